"""A trial in this process: what an algorithm is given, and what it leaves behind."""

import importlib
import operator
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import gymnasium
import numpy as np
import torch

from harness.contract.specs import KNOWN_FUNCTIONS
from harness.contract.trial import ContractBroken, Dataset, LockstepEnv, Policy, SelfPlay
from harness.measuring import environments, seeding
from harness.measuring.clock import Clock
from harness.measuring.description import TrialDescription
from harness.measuring.drawing import drawn
from harness.measuring.environments import Env, VectorEnv
from harness.measuring.evaluation import evaluate
from harness.measuring.leases import Leases
from harness.measuring.lockstep import EnvLockstep
from harness.measuring.lockstep_array import ArrayLockstep, ArrayModule
from harness.measuring.meter import LocalMeter, Meter, check_return, evaluation_marks
from harness.measuring.metered_vector import MeteredVectorEnv
from harness.measuring.random_state import Generators
from harness.measuring.recorded import load_dataset
from harness.measuring.records import EvaluationEpisode, RunRecord, Unmetered
from harness.measuring.self_play import GamesInLockstep
from harness.measuring.shared_meter import SharedMeter
from harness.measuring.unmetered import WATCH

AtMark = Callable[["LocalTrial"], None] | None  # what happens at marks and at the end in place of evaluating
LOGGED_POINTS = 1_000  # per name and run; a later call within the same 1/1000 of the budget is not kept


class LocalTrial:
    """Implements `harness.contract.trial.Trial` in this process.

    ``device`` is "cpu" or "cuda", with an index or not. Environments of other processes meter in ``folder``, which is
    needed where ``needs.processes`` is "many".
    """

    def __init__(
        self, description: TrialDescription, device: str = "cpu", folder: Path | None = None, at_mark: AtMark = None
    ) -> None:
        self.description = description
        self.environment = description.environment
        self.num_seeds = len(description.seeds)
        self.seeds = tuple(seeding.of_environment(seed, self.environment.name) for seed in description.seeds)
        self._device = torch.device(device)
        self.clock = Clock(self._synchronize)
        self.runs = [RunRecord(seed) for seed in description.seeds]
        self._reached_mark = partial(at_mark or LocalTrial._evaluate, self)
        marks = evaluation_marks(description.budget, description.points)
        counted = (description.budget, marks, self._reached_mark, self.runs, self.clock)
        if description.needs.processes == "many":
            assert folder is not None
            self.meter: Meter = SharedMeter(folder, *counted)
        else:
            self.meter = LocalMeter(*counted)
        WATCH.begin(self.meter.unmetered)
        self._planned = 0  # steps that a planner says it took, evaluations included
        self._policy: Policy | None = None
        self._evaluations = 0
        self._ending = False  # whether the next evaluation is the last one
        self._copies = 0
        self._closers: list[Callable[[], None]] = []
        self.rng = np.random.default_rng(seeding.stream(self.seeds[0], "policy"))
        self._generators = Generators(self.seeds, self._device)
        self._dataset: Dataset | None = None
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
            self.meter.start()

    @property
    def budget(self) -> int:
        """Steps each run may take."""
        return self.meter.budget

    @property
    def steps(self) -> int:
        """Steps taken by each run so far."""
        return self.meter.steps

    @property
    def progress(self) -> float:
        """Share of the budget used."""
        return self.steps / self.budget

    @property
    def within_budget(self) -> bool:
        """Whether another step may be taken."""
        return self.meter.left > 0 and not self.meter.exhausted

    # Randomness and device

    @property
    def device(self) -> torch.device:
        """Where to train."""
        return self._device

    def _synchronize(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def generators(self, tag: str = "policy") -> list[torch.Generator]:
        """One torch generator per seed for the stream ``tag``; the same objects on every call."""
        return self._generators.of(tag)

    def seed(self, tag: str) -> int:
        """An integer for the stream ``tag`` of the first seed."""
        return seeding.integer(self.seeds[0], tag)

    # Environments

    def make_env(self) -> Env:
        """A metered environment; every call makes the run's next copy."""
        return self.metered(self._next_copies(1))

    def metered(self, copy: int) -> Env:
        """The metered environment copy of that index."""
        env = self.env_factory(copy)()
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
            self.meter.require_own_process("a native vector environment")
            if copies > self.budget:
                raise ContractBroken(f"a budget of {self.budget} steps holds no step of {copies} copies")
            first = self._next_copies(copies)
            native = environments.make_native_vector(self.environment, copies, autoreset)
            env: VectorEnv = MeteredVectorEnv(native, self.meter, self.seeds[0], first)
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
        self.meter.require_own_process("trial.make_lockstep_env")
        shared = (self.meter, self.seeds, copies, self._device, self._next_copies(copies))
        env: EnvLockstep | ArrayLockstep
        if self.environment.array is None or (copies == 1 and self._device.type == "cpu"):
            env = EnvLockstep(self._fresh, *shared)
        else:
            array = importlib.import_module(self.environment.array)
            env = ArrayLockstep(cast(ArrayModule, array), self._fresh(), *shared)
        self._closers.append(env.close)
        return env

    def make_game(self, copies: int = 1) -> SelfPlay:
        """All seeds x ``copies`` games of self-play, as tensors."""
        self.meter.require_own_process("trial.make_game")
        rules = self._view("game")
        return GamesInLockstep(rules, self.meter, self.seeds, copies, self._device, self._next_copies(copies))

    def env_factory(self, index: int = 0) -> Callable[[], Env]:
        """A factory of the metered environment copy ``index``; picklable if other processes may step."""
        self._single_run("make_env")
        self._refuse_steps_beside_data()
        return self.meter.env_factory(self.environment, self.seeds[0], index)

    def leases(self) -> Leases:
        """Steps in blocks, for environments on machines that share nothing with this one."""
        self._single_run("leases")
        self._refuse_steps_beside_data()
        return Leases(self.meter, self.environment, self.seeds[0])

    # What else an environment shows of itself

    def _view(self, name: str) -> Any:
        """The module of a view, which the algorithm must have declared to use."""
        module = getattr(self.environment, name)
        if name not in self.description.views or module is None:
            raise ContractBroken(f"the algorithm must declare {name} in its AlgorithmSpec to use it")
        return importlib.import_module(module)

    @property
    def known(self) -> Any:
        """What may be known of the MDP."""
        module = self._view("known")
        return SimpleNamespace(**{f: getattr(module, f) for f in KNOWN_FUNCTIONS if hasattr(module, f)})

    def simulated(self, steps: int) -> None:
        """Count simulated steps of every run; those of an evaluation are not training's."""
        try:
            count = operator.index(steps)
        except TypeError:
            count = -1
        if count < 0:
            raise ContractBroken(f"trial.simulated wants a whole number of steps, 0 or more, not {steps!r:.80}")
        self._planned += count * self.num_seeds
        for run in self.runs:
            run.simulated += 0 if self.meter.evaluates else count

    def planning(self) -> AbstractContextManager[None]:
        """Bill the time inside to planning."""
        return nullcontext() if self.meter.evaluates else self.clock.planned()

    def dataset(self) -> Dataset:
        """The recorded transitions; the same tensors on every call."""
        self._view("dataset")
        if self._dataset is None:
            with WATCH:  # it may be recorded now
                self._dataset = load_dataset(self.environment, self._device)
        return self._dataset

    def update(self) -> None:
        """Take one update from the budget, and let a due evaluation happen before it."""
        self._view("dataset")
        self.meter.settle()
        self.meter.take()

    def _fresh(self) -> Env:
        return environments.make(self.environment)

    def _shown(self, run: int) -> Env:
        return drawn(self.environment, self.runs[run].drawings)

    def _next_copies(self, number: int) -> int:
        """The first of as many copy indices that no environment of this trial has yet."""
        self._refuse_steps_beside_data()
        first, self._copies = self._copies, self._copies + number
        return first

    def _refuse_steps_beside_data(self) -> None:
        if "dataset" in self.description.views:
            raise ContractBroken("an algorithm that declares dataset takes no steps; use trial.dataset")

    def _single_run(self, method: str) -> None:
        if self.num_seeds > 1:
            raise ContractBroken(f"trial.{method} serves one run; in lockstep use trial.make_lockstep_env")

    # Diagnostics

    def log(self, **scalars: Any) -> None:
        """Keep numbers or tensors, scalar or [S], at the current step."""
        step = self.steps
        for name, value in scalars.items():
            if step >= self._log_due.get(name, 0):
                self._log_due[name] = step + self.budget / LOGGED_POINTS
                kept = value.detach().clone() if isinstance(value, torch.Tensor) else np.array(value, float)
                if tuple(kept.shape) not in ((), (self.num_seeds,)):
                    raise ContractBroken(f"trial.log({name}=...) wants a scalar or [S], not {tuple(kept.shape)}")
                self._logged.append((step, name, kept))

    # Evaluation and the end

    def _evaluate(self) -> None:
        """Evaluate the policy now, with the training clock stopped."""
        told = self.description
        index, self._evaluations = self._evaluations, self._evaluations + 1
        asked = (self._fresh, self.policy, self.seeds, index, told.episodes, self._device, told.lockstep)
        shown = self._shown if self._ending and self.environment.game is not None else None
        with self.meter.evaluating(self._generators, index) as begin:
            with self.clock.paused():
                played = evaluate(*asked, begin, shown)
            steps, seconds = self.meter.steps, self.clock.training
        for run, episodes in zip(self.runs, played, strict=True):
            run.evaluations += [
                EvaluationEpisode(index, steps, seconds, k, *episode) for k, episode in enumerate(episodes)
            ]
            for episode in episodes:
                check_return(self.runs, run, episode.value, "evaluation", steps)

    def finish(self) -> None:
        """End training: the last evaluation, a `ContractBroken`, or `Unmetered` for learning from uncounted steps."""
        self.clock.stop()
        if self._policy is None:
            raise ContractBroken("train ended without setting trial.policy")
        if self.meter.left > self.meter.slack:
            advice = "loop while trial.within_budget"
            raise ContractBroken(f"train returned after {self.steps} of {self.budget} steps; {advice}")
        self._ending = True
        self._reached_mark()
        beside = self.meter.unmetered[0] - self._planned
        recorded = max(sum(episode.length for episode in run.episodes) for run in self.runs)
        problems = [f"train replaced {name}.step" for name in WATCH.replaced()]
        if beside > 0:
            advice = "step what the trial makes, and tell trial.simulated of a planner's copy"
            problems.append(f"{beside:,} steps were taken beside the meter; {advice}")
        if recorded > self.steps:
            problems.append(f"training episodes have {recorded:,} steps, and the meter counted {self.steps:,}")
        if problems:
            raise Unmetered("; ".join(problems))

    def close(self) -> None:
        """Close every environment made and flush diagnostics."""
        for step, name, value in self._logged:
            array = np.asarray(value.cpu() if isinstance(value, torch.Tensor) else value, np.float64)
            for run, scalar in zip(self.runs, np.broadcast_to(array, (self.num_seeds,)), strict=True):
                run.diagnostics.append((step, name, float(scalar)))
        self._logged.clear()
        for close in reversed(self._closers):
            close()
        self._closers.clear()
