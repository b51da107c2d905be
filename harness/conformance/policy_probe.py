"""Does a policy treat every observation of a batch as it would treat it alone?"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from harness.contract.trial import Policy
from harness.measuring.environments import make
from harness.measuring.lockstep import array_dtype
from harness.measuring.trial import LocalTrial

BATCH = 6
ASKED_AGAIN = 5  # times, to tell a random policy
Array = np.ndarray[Any, Any]


def probe(trial: LocalTrial) -> dict[str, Any]:
    """Ask the policy of a trial for the same actions in different company.

    Returns:
        ``random``, whether it answers one question in different ways; ``actions``, its answers as nested lists;
        ``problems``, one line each.
    """
    num_seeds, lockstep = trial.num_seeds, trial.description.lockstep
    ask, obs = _asker(trial.policy, lockstep, trial.device), _observations(trial)
    given = obs.copy()
    actions = ask(given)
    writes = not np.array_equal(given, obs)
    answer: dict[str, Any] = {"random": False, "actions": actions.tolist(), "problems": []}
    if any(not np.array_equal(actions, ask(obs.copy())) for _ in range(ASKED_AGAIN)):
        return answer | {"random": True}
    axis = 1 if lockstep else 0
    alone = np.concatenate([ask(obs.take([i], axis)) for i in range(BATCH)], axis)
    if writes:
        answer["problems"].append("it writes into the observations it is given")
    if not _agree(actions, alone):
        told = f"actions {actions.tolist()}, one at a time {alone.tolist()}"
        answer["problems"].append(f"a batch of {BATCH} observations gets {told}")
    leaking = [s for s in range(num_seeds) if lockstep and not _agree(actions[s], ask(_others(obs, s))[s])]
    if leaking:
        answer["problems"].append(f"actions of seed {leaking[0]} depend on observations of other seeds")
    return answer


def actions(trial: LocalTrial) -> Array:
    """What the policy does, now, for observations that are always the same."""
    return _asker(trial.policy, trial.description.lockstep, trial.device)(_observations(trial))


def _observations(trial: LocalTrial) -> Array:
    """Random ones, the same at every call; [S, B, ...] in lockstep, else [B, ...]."""
    space = make(trial.environment).observation_space
    space.seed(0)
    shape = (trial.num_seeds, BATCH) if trial.description.lockstep else (BATCH,)
    rows = np.asarray([space.sample() for _ in range(int(np.prod(shape)))], array_dtype(space))
    return rows.reshape(*shape, *rows.shape[1:])


def _asker(policy: Policy, lockstep: bool, device: torch.device) -> Callable[[Array], Array]:
    """A function from observations to actions, as NumPy arrays; a policy with memory begins afresh."""

    def to_policy(array: Array) -> Any:
        return torch.from_numpy(array).to(device) if lockstep else array

    def ask(obs: Array) -> Array:
        with torch.no_grad():
            if callable(policy):
                actions = policy(to_policy(obs))
            else:
                policy.reset(to_policy(np.ones(obs.shape[: 2 if lockstep else 1], bool)))
                actions = policy.act(to_policy(obs))
        array = actions.cpu().numpy() if isinstance(actions, torch.Tensor) else actions
        return np.array(array)

    return ask


def _others(obs: Array, seed: int) -> Array:
    """The observations, those of all other seeds in reverse order."""
    others = obs[:, ::-1].copy()
    others[seed] = obs[seed]
    return others


def _agree(actions: Array, others: Array) -> bool:
    """Whether actions are the same, up to rounding where they are real."""
    if actions.shape != others.shape:
        return False
    if actions.dtype.kind == "f":
        return np.allclose(actions, others, rtol=1e-4, atol=1e-5)
    return np.array_equal(actions, others)
