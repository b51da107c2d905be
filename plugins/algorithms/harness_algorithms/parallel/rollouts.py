"""Acting in a role: rollouts of one copy of the environment."""

from collections.abc import Callable, Generator
from typing import Any

import torch
from torch import Tensor

from harness_algorithms.blocks.policies import Policy
from harness_algorithms.blocks.rollouts import Rollout
from harness_algorithms.blocks.streams import Normals, Uniforms
from harness_algorithms.parallel.operations import Operation, TakeStep


def rolled_out(
    policy: Policy, seen: Callable[[Tensor], Tensor], noise: Uniforms | Normals, obs: Tensor, length: int
) -> Generator[Operation, Any, tuple[Rollout, Tensor]]:
    """Act for ``length`` steps from obs [S, 1, ...], through the ends of episodes.

    Args:
        policy: π.
        seen: what π sees of an observation.
        noise: a stream of what `sample` wants.
        obs: where to begin.
        length: T.

    Returns:
        A rollout of observations as they are, not as they are seen; and the obs to go on from.
    """
    rows = []
    for _ in range(length):
        with torch.no_grad():
            action = policy(seen(obs)).sample(noise())
        step = yield TakeStep(policy.bounded(action))
        rows.append((obs, action, step.reward, step.discount, step.ended, step.next_obs))
        obs = step.obs
    return Rollout._make(torch.stack(column) for column in zip(*rows, strict=True)), obs
