"""Evaluation: the current policy in fresh environments, disturbing nothing that training reads."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from harness.contract.trial import ContractBroken, Policy
from harness.measuring import seeding
from harness.measuring.environments import Env, EnvFactory, EnvironmentError_, reward_of
from harness.measuring.lockstep import array_dtype
from harness.measuring.unmetered import WATCH

MOST_OF_A_RUN = 20  # episodes at once: a constant, for what a policy draws goes by the episodes played before
MOST_OPEN = 256  # environments at once: an emulator takes memory, and there may be many seeds


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

    run: int
    number: int
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
    begin: Callable[[], None] = lambda: None,
    make_first: Callable[[int], Env] | None = None,
) -> list[list[PlayedEpisode]]:
    """Play ``episodes`` episodes per run, in each a fresh environment and its own seed; returns them by run.

    Seeds of episodes come from a reserved stream of the run's seed, shared by all algorithms, so differences
    pair. Which episodes are played is settled beforehand, so short ones are not over-represented. The policy always
    acts on S x B observations, of S seeds and the B episodes of each that are played at once: obs [B, ...] (NumPy), or
    [S, B, ...] (tensors on ``device``) in lockstep. Where that is too many, groups of runs play in turn; ``begin``
    puts the random streams of the policy at their start before each. So nothing that a run does depends on the
    seeds beside it, nor on the number of groups. ``index`` counts evaluations of a run. ``make_first``
    makes the environment of the first episode of a run, where somebody wants to see that.
    """

    def of_episode(run: int, number: int) -> Env:
        return make() if number or make_first is None else make_first(run)

    window = min(episodes, MOST_OF_A_RUN)
    together = max(1, MOST_OPEN // window)
    reserved = [[seeding.integer(s, seeding.EVALUATION, index, k) for k in range(episodes)] for s in seeds]
    played: list[list[PlayedEpisode]] = []
    for first in range(0, len(seeds), together):
        begin()
        group = range(first, min(first + together, len(seeds)))
        played += _play(
            of_episode, lambda env: actor(policy, env, len(seeds), device, lockstep), reserved, group, window
        )
    return played


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
        batch = (num_seeds, len(observations) // num_seeds) if lockstep else (len(observations),)
        return unbatched(env.action_space, chosen, batch)

    return actions


def stacked(space: gymnasium.Space[Any], rows: list[Any], dtype: np.dtype[Any] | None = None) -> Any:
    """Observations of several copies along a new first axis, in the dtype given, or else in that of the space."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        empty: Any = gymnasium.vector.utils.create_empty_array(space, len(rows))
        return gymnasium.vector.utils.concatenate(space, rows, empty)
    given = np.asarray(rows)
    found = given.astype(dtype or space.dtype or given.dtype, copy=False)
    if given.dtype.kind == "f" and found.dtype.kind in "iub" and (found != given).any():
        raise EnvironmentError_(f"the environment observes fractions, though its space is {space}")
    return found


def unbatched(space: gymnasium.Space[Any], chosen: Any, batch: tuple[int, ...]) -> Sequence[Any]:
    """The action of each copy: a row of an array; of `Tuple` and `Dict`, of Gymnasium's batch or a list of actions."""
    if isinstance(space, spaces.Dict) and isinstance(chosen, Mapping) and chosen.keys() == space.keys():
        columns = [unbatched(part, chosen[name], batch) for name, part in space.items()]
        return [dict(zip(space, row, strict=True)) for row in zip(*columns, strict=True)]
    if isinstance(space, spaces.Tuple) and isinstance(chosen, tuple) and len(chosen) == len(space):
        return [*zip(*map(unbatched, space, chosen, [batch] * len(space)), strict=True)]
    if isinstance(chosen, torch.Tensor):
        chosen = chosen.detach().cpu().numpy()
    if isinstance(space, spaces.Dict | spaces.Tuple):
        chosen = np.fromiter(chosen if isinstance(chosen, list | np.ndarray) else (), object)
    chosen = np.asarray(chosen)
    if chosen.shape[: len(batch)] != batch:
        what = f"actions of shape {chosen.shape} in {space} for {batch} observations"
        raise ContractBroken(f"the policy gave {what}; act on whole batches")
    return chosen.reshape(-1, *chosen.shape[2:]) if len(batch) > 1 else chosen  # type: ignore[no-any-return]


def _play(
    make: Callable[[int, int], Env],
    actor_on: Callable[[Env], Actor],
    reserved: Sequence[Sequence[int]],
    group: range,
    window: int,
) -> list[list[PlayedEpisode]]:
    """Play an episode of each seed reserved for the runs of a group, in fresh environments, ``window`` of each at once.

    Rows of other runs, and those whose run has no episode left, hold any observation: what the policy makes of those
    is not used.
    """
    waiting = {run: deque(range(len(reserved[run]))) for run in group}
    played: dict[tuple[int, int], PlayedEpisode] = {}  # by run and number
    playing: dict[int, _Playing] = {}  # by row; a run has ``window`` of them
    observations: list[Any] = []
    fresh = np.ones(len(reserved) * window, bool)
    free = [*range(group.start * window, group.stop * window)]
    act: Actor | None = None
    try:
        while free or playing:
            for i in free:
                if waiting[run := i // window]:
                    with WATCH:
                        number = waiting[run].popleft()
                        playing[i] = _Playing(run, number, make(run, number))
                        first, _ = playing[i].env.reset(seed=reserved[run][number])
                    observations = observations or [first] * len(fresh)
                    observations[i], fresh[i] = first, True
                    act = act or actor_on(playing[i].env)
            assert act is not None
            actions = act(observations, fresh)
            fresh[:], free = False, []
            for i, one in list(playing.items()):
                with WATCH:
                    observations[i], reward, terminated, truncated, _ = one.env.step(actions[i])
                one.value += reward_of(reward)
                one.length += 1
                if terminated or truncated:
                    ends, seed = (bool(terminated), bool(truncated)), reserved[one.run][one.number]
                    played[one.run, one.number] = PlayedEpisode(seed, one.value, one.length, *ends)
                    playing.pop(i).env.close()
                    free += [i] * bool(waiting[one.run])
    finally:
        for one in playing.values():
            one.env.close()
    return [[played[run, k] for k in range(len(reserved[run]))] for run in group]
