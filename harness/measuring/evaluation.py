"""Evaluation: the current policy in fresh environments, disturbing nothing that training reads."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch

from harness.contract import ContractBroken, Policy
from harness.measuring import seeding
from harness.measuring.environments import Env
from harness.measuring.lockstep import array_dtype


class Outcome(NamedTuple):
    """One evaluation episode of one run."""

    seed: int
    value: float
    length: int
    terminated: bool
    truncated: bool


@contextmanager
def global_random_state_kept(device: torch.device) -> Iterator[None]:
    """Restore the global random state of Python, NumPy and torch at the end."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002, since libraries draw from it
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, device)


def evaluate(
    make: Callable[[], Env],
    policy: Policy,
    seeds: Sequence[int],
    index: int,
    episodes: int,
    device: torch.device,
    lockstep: bool,
) -> list[list[Outcome]]:
    """Play ``episodes`` episodes per run; episode k of evaluation ``index`` has its own copy and seed.

    Seeds of episodes come from a reserved stream of the run's seed, shared by all algorithms, so differences
    pair. Every episode has its copy from the start, so short episodes are not over-represented.

    Args:
        make: makes a fresh environment.
        policy: acts on obs [B, ...] (NumPy), or [S, B, ...] (tensors) in lockstep.
        seeds: of the runs, S of them.
        index: of this evaluation within the run.
        episodes: B.
        device: of lockstep tensors.
        lockstep: whether the policy takes the seed axis.

    Returns:
        For every run, its episodes' outcomes.
    """
    reserved = [seeding.integer(s, seeding.EVALUATION, index, k) for s in seeds for k in range(episodes)]
    envs = [make() for _ in reserved]
    try:
        outcomes = _play(envs, actor(policy, envs[0], len(seeds), device, lockstep), reserved)
    finally:
        for env in envs:
            env.close()
    return [outcomes[i * episodes : (i + 1) * episodes] for i in range(len(seeds))]


def actor(
    policy: Policy, env: Env, num_seeds: int, device: torch.device, lockstep: bool
) -> Callable[[list[Any], np.ndarray[Any, Any]], Any]:
    """A function from the copies' observations and a mask of fresh copies to their actions, as arrays.

    Args:
        policy: as in `evaluate`.
        env: one of the copies.
        num_seeds: S; copies are in the order of seeds.
        device: of lockstep tensors.
        lockstep: whether the policy takes the seed axis.
    """
    recurrent = None if callable(policy) else policy
    act = policy if callable(policy) else policy.act
    dtype = array_dtype(env.observation_space) if lockstep else None

    def to_policy(rows: np.ndarray[Any, Any]) -> Any:
        if not lockstep:
            return rows
        return torch.from_numpy(rows.reshape(num_seeds, -1, *rows.shape[1:])).to(device)

    def actions(observations: list[Any], fresh: np.ndarray[Any, Any]) -> Any:
        if recurrent is not None and fresh.any():
            recurrent.reset(to_policy(fresh))
        with torch.no_grad():
            chosen = act(to_policy(stacked(env.observation_space, observations, dtype)))
        if isinstance(chosen, torch.Tensor):
            chosen = chosen.detach().cpu().numpy()
        chosen = np.asarray(chosen)
        batch = (num_seeds, len(observations) // num_seeds) if lockstep else (len(observations),)
        if chosen.shape[: len(batch)] != batch:
            raise ContractBroken(
                f"the policy gave actions of shape {chosen.shape} for a batch of {batch} observations; "
                "act on whole batches"
            )
        return chosen.reshape(-1, *chosen.shape[2:]) if lockstep else chosen

    return actions


def stacked(space: gymnasium.Space[Any], rows: list[Any], dtype: np.dtype[Any] | None) -> Any:
    """Observations of several copies along a new first axis."""
    if isinstance(space, gymnasium.spaces.Dict | gymnasium.spaces.Tuple):
        empty: Any = gymnasium.vector.utils.create_empty_array(space, len(rows))
        return gymnasium.vector.utils.concatenate(space, rows, empty)
    return np.asarray(rows, dtype)


def _play(
    envs: list[Env], act: Callable[[list[Any], np.ndarray[Any, Any]], Any], seeds: list[int]
) -> list[Outcome]:
    """Play one episode in every environment; a finished copy is stepped no more and keeps its last obs."""
    observations = [env.reset(seed=seed)[0] for env, seed in zip(envs, seeds, strict=True)]
    returns, lengths = [0.0] * len(envs), [0] * len(envs)
    outcomes: list[Outcome | None] = [None] * len(envs)
    playing = list(range(len(envs)))
    fresh = np.ones(len(envs), bool)
    while playing:
        actions = act(observations, fresh)
        fresh = np.zeros(len(envs), bool)
        for i in playing:
            observations[i], reward, terminated, truncated, _ = envs[i].step(actions[i])
            returns[i] += float(reward)
            lengths[i] += 1
            if terminated or truncated:
                outcomes[i] = Outcome(seeds[i], returns[i], lengths[i], bool(terminated), bool(truncated))
        playing = [i for i in playing if outcomes[i] is None]
    return [outcome for outcome in outcomes if outcome is not None]
