"""A trial in this process: what an algorithm is given, and what it leaves behind."""

import functools
import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import gymnasium
import numpy as np
import torch

from harness.contract import BudgetExhausted, ContractBroken, LockstepEnv, Policy, Trial
from harness.measuring import environments, seeding
from harness.measuring.clock import Clock
from harness.measuring.environments import Env
from harness.measuring.evaluation import evaluate, global_random_state_kept
from harness.measuring.lockstep import EnvLockstep
from harness.measuring.lockstep_array import ArrayLockstep, ArrayModule
from harness.measuring.meter import Diverged, Episode, EvaluationEpisode, Meter, evaluation_marks
from harness.measuring.metered_env import MeteredEnv
from harness.measuring.metered_vector import MeteredVectorEnv, VectorEnv
from harness.measuring.shared_meter import Control, SharedEnvFactory, Watcher, recorded_episodes
from harness.specs import EnvironmentSpec, as_json

LOGGED_POINTS = 1_000  # per name and run; a later call within the same 1/1000 of the budget is not kept


@dataclass
class RunRecord:
    """What one run leaves behind. Rows are as in the tables of the same names."""

    seed: int
    meter: Meter
    evaluations: list[EvaluationEpisode] = field(default_factory=list)
    diagnostics: list[tuple[int, str, float]] = field(default_factory=list)

    @property
    def episodes(self) -> list[Episode]:
        """Finished training episodes."""
        return self.meter.episodes


class LocalTrial:
    """Implements `harness.contract.Trial` in this process.

    Args:
        environment: what to train on.
        seeds: of the runs trained here; several only in lockstep.
        budget: steps per run.
        points: evaluations spread evenly over the budget, the last one at its end; one more at 0.
        episodes: per evaluation.
        device: "cpu" or "cuda", with an index or not.
        lockstep: whether the policy takes a leading seed axis. Follows from ``seeds`` unless said.
        shared: folder in which environments of other processes meter; None if all step in this process.
    """

    def __init__(
        self,
        environment: EnvironmentSpec,
        seeds: Sequence[int] = (0,),
        budget: int = 1_000,
        points: int = 1,
        episodes: int = 1,
        device: str = "cpu",
        lockstep: bool | None = None,
        shared: Path | None = None,
    ) -> None:
        self.environment = environment
        self.seeds = tuple(seeds)
        self.lockstep = len(self.seeds) > 1 if lockstep is None else lockstep
        self._device = torch.device(device)
        self.clock = Clock(self._synchronize)
        self._points = points
        self._evaluation_episodes = episodes
        marks = evaluation_marks(budget, points)
        self.runs = [
            RunRecord(s, Meter(budget, marks, self._evaluate, self._stop_if_all_diverged, self.clock))
            for s in self.seeds
        ]
        self.shared = shared
        self._control = (
            None if shared is None else Control.create(shared, budget, self.runs[0].meter.next_mark)
        )
        self._policy: Policy | None = None
        self._evaluations = 0
        self._evaluator: int | None = None  # the thread that is evaluating
        self._copies = 0
        self._closers: list[Callable[[], None]] = []
        self._rng = np.random.default_rng(seeding.stream(self.seeds[0], "policy"))
        self._generators: dict[str, list[torch.Generator]] = {}
        self._logged: list[tuple[int, str, Any]] = []
        self._log_due: dict[str, float] = {}

    # What is measured

    @property
    def policy(self) -> Policy:
        """What the harness evaluates; setting it for the first time evaluates it."""
        if self._policy is None:
            raise ContractBroken("trial.policy was not set: set it before the first step")
        return self._policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        first = self._policy is None
        self._policy = policy
        if first:
            meter = self.runs[0].meter
            meter.reached_mark()  # the mark at 0: a step before this would have met it without a policy
            if self._control is not None:
                self._control.set_clock(self.clock.training)
                self._control.proceed(meter.next_mark)

    @property
    def num_seeds(self) -> int:
        """S."""
        return len(self.seeds)

    @property
    def budget(self) -> int:
        """Steps each run may take."""
        return self.runs[0].meter.budget

    @property
    def steps(self) -> int:
        """Steps taken by each run so far.

        Where environments step in other processes, it waits while the trial evaluates: the training clock stands
        still then, and so shall training.
        """
        if self._control is None:
            return self.runs[0].meter.steps
        if threading.get_ident() != self._evaluator:
            self._control.wait_for_evaluation()
        return self._control.steps

    @property
    def progress(self) -> float:
        """Share of the budget used."""
        return self.steps / self.budget

    @property
    def within_budget(self) -> bool:
        """Whether another step may be taken."""
        return self.steps < self.budget and not self.exhausted

    @property
    def exhausted(self) -> bool:
        """Whether a step was refused because the budget is spent."""
        return self.runs[0].meter.exhausted if self._control is None else self._control.spent

    # Randomness and device

    @property
    def device(self) -> torch.device:
        """Where to train."""
        return self._device

    @property
    def rng(self) -> np.random.Generator:
        """The NumPy stream "policy"."""
        return self._rng

    def _synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def generators(self, tag: str = "policy") -> list[torch.Generator]:
        """One torch generator per seed for the stream ``tag``; the same objects on every call."""
        if tag not in self._generators:
            self._generators[tag] = [
                torch.Generator(self._device).manual_seed(seeding.integer(s, tag)) for s in self.seeds
            ]
        return self._generators[tag]

    def seed(self, tag: str) -> int:
        """An integer for the stream ``tag`` of the first seed."""
        return seeding.integer(self.seeds[0], tag)

    # Environments

    def make_env(self) -> Env:
        """A metered environment; every call makes the run's next copy."""
        return self.metered(self._next_copies(1))

    def metered(self, copy: int) -> Env:
        """The metered environment copy of that index."""
        self._single_run("make_env")
        if self.shared is not None:
            return self.env_factory(copy)()
        env = MeteredEnv(self._fresh(), self.runs[0].meter, self.seeds[0], copy)
        self._closers.append(env.close)
        return env

    def make_vector_env(
        self,
        copies: int,
        vectorization: Literal["sync", "native"] = "sync",
        autoreset: Literal["next_step", "same_step", "disabled"] = "next_step",
    ) -> VectorEnv:
        """A metered vector environment of ``copies`` copies."""
        self._single_run("make_vector_env")
        if vectorization == "native":
            self._one_process("a native vector environment")
            if copies > self.budget:
                raise ContractBroken(f"a budget of {self.budget} steps holds no step of {copies} copies")
            native = environments.make_native_vector(self.environment, copies, autoreset)
            first = self._next_copies(copies)
            env: VectorEnv = MeteredVectorEnv(native, self.runs[0].meter, self.seeds[0], first)
        else:
            mode = gymnasium.vector.AutoresetMode[autoreset.upper()]
            env = gymnasium.vector.SyncVectorEnv([self.make_env] * copies, autoreset_mode=mode)
            env.action_space.seed(self.seed("action_space"))
        self._closers.append(env.close)
        return env

    def make_lockstep_env(self, copies: int = 1) -> LockstepEnv:
        """All seeds x ``copies`` environments as tensors: one array where the environment declares it.

        On a CPU, a single copy is stepped by Gymnasium all the same: up to about ten environments that is faster.
        The number of seeds must not decide, since a seed's result may not depend on it.
        """
        self._one_process("trial.make_lockstep_env")
        shared = (
            [run.meter for run in self.runs],
            self.seeds,
            copies,
            self._device,
            self._next_copies(copies),
        )
        env: EnvLockstep | ArrayLockstep
        if self.environment.array is None or (copies == 1 and self._device.type == "cpu"):
            env = EnvLockstep(self._fresh, *shared)
        else:
            array = importlib.import_module(self.environment.array)
            env = ArrayLockstep(cast(ArrayModule, array), self._fresh(), *shared)
        self._closers.append(env.close)
        return env

    def env_factory(self, index: int = 0) -> Callable[[], Env]:
        """A factory of the metered environment copy ``index``; picklable if processes are shared."""
        if self.shared is None:
            return functools.partial(self.metered, index)
        return SharedEnvFactory(str(self.shared), as_json(self.environment), self.seeds[0], index)

    def _fresh(self) -> Env:
        return environments.make(self.environment)

    def _next_copies(self, number: int) -> int:
        """The first of as many copy indices that no environment of this trial has yet."""
        first, self._copies = self._copies, self._copies + number
        return first

    def _one_process(self, what: str) -> None:
        if self.shared is not None:
            raise ContractBroken(
                f'{what} would have a meter of its own; processes="many" has trial.env_factory'
            )

    def _single_run(self, method: str) -> None:
        if self.num_seeds > 1:
            raise ContractBroken(f"trial.{method} serves one run; in lockstep use trial.make_lockstep_env")

    # Diagnostics

    def log(self, **scalars: Any) -> None:
        """Keep numbers or tensors, scalar or [S], at the current step.

        Raises:
            ContractBroken: a value has another shape.
        """
        step = self.steps
        for name, value in scalars.items():
            if step >= self._log_due.get(name, 0):
                self._log_due[name] = step + self.budget / LOGGED_POINTS
                kept = value.detach().clone() if isinstance(value, torch.Tensor) else np.array(value, float)
                if tuple(kept.shape) not in ((), (self.num_seeds,)):
                    raise ContractBroken(
                        f"trial.log({name}=...) wants a scalar or [S], not {tuple(kept.shape)}"
                    )
                self._logged.append((step, name, kept))

    def _flush_log(self) -> None:
        for step, name, value in self._logged:
            array = np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value, np.float64)
            for run, scalar in zip(self.runs, np.broadcast_to(array, (self.num_seeds,)), strict=True):
                run.diagnostics.append((step, name, float(scalar)))
        self._logged.clear()

    # Evaluation and the end

    def _evaluate(self) -> None:
        """Evaluate the policy now, with the training clock stopped."""
        policy = self.policy
        index, self._evaluations = self._evaluations, self._evaluations + 1
        # What another thread draws meanwhile must not be put back.
        kept = global_random_state_kept(self._device) if self.shared is None else nullcontext()
        self._evaluator = threading.get_ident()
        try:
            with self.clock.paused(), kept:
                outcomes = evaluate(
                    self._fresh,
                    policy,
                    self.seeds,
                    index,
                    self._evaluation_episodes,
                    self._device,
                    self.lockstep,
                )
        finally:
            self._evaluator = None
        seconds = self.clock.training
        for run, episodes in zip(self.runs, outcomes, strict=True):
            run.evaluations += [
                EvaluationEpisode(index, run.meter.steps, seconds, k, *episode)
                for k, episode in enumerate(episodes)
            ]
            for episode in episodes:
                run.meter.check(episode.value, "evaluation")

    def _stop_if_all_diverged(self) -> None:
        if all(run.meter.diverged for run in self.runs):
            raise Diverged(self.runs[0].meter.diverged)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Evaluate from a thread while environments step in other processes; afterwards, collect their counts."""
        if self._control is None or self.shared is None:
            yield
            return
        self._control.set_clock(self.clock.training)
        watcher = Watcher(self._control, self.runs[0].meter)
        watcher.start()
        try:
            yield
        finally:
            meter = self.runs[0].meter
            watcher.stop()
            meter.steps = self._control.steps
            meter.episodes += recorded_episodes(self.shared)
            for episode in meter.episodes:
                meter.check(episode.value, "training")

    def ends_by(self, error: Exception) -> bool:
        """Whether an exception is how the spent budget ended training.

        A library's worker process may die of the refused step, and its parent then sees a closed pipe.
        """
        return self.shared is not None or _first(BudgetExhausted, error) is not None

    def finish(self) -> None:
        """End training: the last evaluation, unless the algorithm broke the contract.

        Raises:
            ContractBroken: it never set a policy, or returned before its budget was spent.
        """
        self.clock.stop()
        meter = self.runs[0].meter
        if self._policy is None:
            raise ContractBroken("train ended without setting trial.policy")
        if meter.steps + meter.slack < meter.budget:
            raise ContractBroken(
                f"train returned after {meter.steps} of {meter.budget} steps; loop while trial.within_budget"
            )
        self._evaluate()

    def close(self) -> None:
        """Close every environment made and flush diagnostics."""
        self._flush_log()
        for close in reversed(self._closers):
            close()
        self._closers.clear()


def run_training(trial: LocalTrial, train: Callable[[Trial, Any], None], config: Any) -> None:
    """Train until the budget is spent, then evaluate the final policy.

    Raises:
        ContractBroken: see `LocalTrial.finish`.
        Diverged: a return was not finite.
        Exception: whatever ``train`` raised, unless the budget's end caused it.
    """
    trial.clock.start()
    try:
        with trial.watched():
            try:
                train(cast(Trial, trial), config)
            except Exception as error:
                diverged = _first(Diverged, error)
                if diverged is not None:
                    raise diverged from None
                if not (trial.exhausted and trial.ends_by(error)):
                    raise
        trial.finish()
    finally:
        trial.clock.stop()
        trial.close()


def _first(kind: type[Exception], error: BaseException) -> BaseException | None:
    """The error of a kind that an error is, wraps or followed: libraries raise their own in place of ours."""
    if isinstance(error, kind):
        return error
    earlier = [cause for cause in dict.fromkeys((error.__cause__, error.__context__)) if cause is not None]
    return next((found for cause in earlier if (found := _first(kind, cause))), None)
