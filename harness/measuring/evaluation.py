"""Evaluation: the current policy in fresh environments, disturbing nothing that training reads."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch

from harness.contract.trial import ContractBroken, Policy
from harness.measuring import seeding
from harness.measuring.environments import Env, EnvFactory
from harness.measuring.lockstep import array_dtype
from harness.measuring.unmetered import WATCH

MOST_OPEN = 64  # environments at once: an emulator takes memory, and there may be seeds x episodes of them


class PlayedEpisode(NamedTuple):
    """One evaluation episode of one run."""

    seed: int
    value: float
    length: int
    terminated: bool
    truncated: bool


Actor = Callable[[list[Any], np.ndarray[Any, Any]], Any]  # observations and a mask of fresh copies to actions


@dataclass
class _Playing:
    """An episode under way."""

    env: Env
    value: float = 0.0
    length: int = 0


def evaluate(
    make: EnvFactory,
    policy: Policy,
    seeds: Sequence[int],
    index: int,
    episodes: int,
    device: torch.device,
    lockstep: bool,
) -> list[list[PlayedEpisode]]:
    """Play ``episodes`` episodes per run, in each a fresh environment and its own seed; returns them by run.

    Seeds of episodes come from a reserved stream of the run's seed, shared by all algorithms, so differences
    pair. Which episodes are played is settled beforehand, so short ones are not over-represented. The policy always
    acts on all S x B observations, so that nothing depends on how many environments are open: obs [B, ...] (NumPy), or
    [S, B, ...] (tensors on ``device``) in lockstep, for S seeds and B episodes. ``index`` counts evaluations of a run.
    """
    reserved = [seeding.integer(s, seeding.EVALUATION, index, k) for s in seeds for k in range(episodes)]
    played = _play(make, lambda env: actor(policy, env, len(seeds), device, lockstep), reserved)
    return [played[i * episodes : (i + 1) * episodes] for i in range(len(seeds))]


def actor(policy: Policy, env: Env, num_seeds: int, device: torch.device, lockstep: bool) -> Actor:
    """The policy in terms of arrays, of copies in the order of ``num_seeds`` seeds; ``env`` is one of them."""
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


def _play(make: EnvFactory, actor_on: Callable[[Env], Actor], seeds: Sequence[int]) -> list[PlayedEpisode]:
    """Play an episode of each seed, each in a fresh environment, `MOST_OPEN` of which are open at once.

    Rows of episodes that wait or have ended hold the observation of another, or their last: what the policy makes of
    those is not used.
    """
    waiting, playing = deque(range(len(seeds))), dict[int, _Playing]()
    played: dict[int, PlayedEpisode] = {}
    observations: list[Any] = []
    fresh = np.ones(len(seeds), bool)
    act: Actor | None = None
    try:
        while waiting or playing:
            while waiting and len(playing) < MOST_OPEN:
                i = waiting.popleft()
                with WATCH:
                    playing[i] = _Playing(make())
                    first, _ = playing[i].env.reset(seed=seeds[i])
                observations = observations or [first] * len(seeds)
                observations[i], fresh[i] = first, True
                act = act or actor_on(playing[i].env)
            assert act is not None
            actions = act(observations, fresh)
            fresh[:] = False
            for i, one in list(playing.items()):
                with WATCH:
                    observations[i], reward, terminated, truncated, _ = one.env.step(actions[i])
                one.value += float(reward)
                one.length += 1
                if terminated or truncated:
                    played[i] = PlayedEpisode(seeds[i], one.value, one.length, bool(terminated), bool(truncated))
                    playing.pop(i).env.close()
    finally:
        for one in playing.values():
            one.env.close()
    return [played[i] for i in range(len(seeds))]
