"""Rollouts of a stochastic policy, and the batches learning makes of them."""

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from harness.api import LockstepEnv
from harness_algorithms.blocks.networks import Network
from harness_algorithms.blocks.policies import Policy
from harness_algorithms.blocks.returns import gae
from harness_algorithms.blocks.streams import Normals, Uniforms

Batch = TypeVar("Batch", bound=NamedTuple)


class Rollout(NamedTuple):
    """T steps of N copies: fields [T, S, N, ...]; row t holds only what happened at step t.

    Attributes:
        obs: s.
        action: a as sampled, not clipped.
        reward: r.
        discount: 0 where the MDP terminated, else 1; γ is not in it.
        ended: an episode ended here, by either kind of end.
        next_obs: s′, before any reset.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    ended: Tensor
    next_obs: Tensor


@torch.no_grad()
def collect(
    env: LockstepEnv, policy: Policy, noise: Uniforms | Normals, obs: Tensor, length: int
) -> tuple[Rollout, Tensor]:
    """Act for ``length`` steps in every copy, from obs [S, N, ...]; also returns the obs to go on from."""
    rows = []
    for _ in range(length):
        action = policy(obs).sample(noise())
        step = env.step(policy.bounded(action))
        rows.append((obs, action, step.reward, step.discount, step.ended, step.next_obs))
        obs = step.obs
    return Rollout._make(torch.stack(column) for column in zip(*rows, strict=True)), obs


def by_seed(x: Tensor) -> Tensor:
    """[T, S, N, ...] as [S, T·N, ...], what networks take; a copy's rows lie N apart.

    A seed's numbers lie side by side: in which order they are summed depends on that, hence would on S.
    """
    return x.transpose(0, 1).flatten(1, 2).contiguous()


def by_time(x: Tensor, copies: int) -> Tensor:
    """[S, T·N, ...] as [T, S, N, ...]: the inverse of `by_seed`."""
    return x.unflatten(1, (-1, copies)).transpose(0, 1)


@torch.no_grad()
def advantages(rollout: Rollout, v: Network, discount: float, lambda_: float) -> tuple[Tensor, Tensor]:
    """Generalised advantages of a rollout, and the values v(s) they are relative to; [S, T·N] each.

    Args:
        rollout: fields [T, S, N, ...].
        v: the value function, one output.
        discount: γ.
        lambda_: λ.
    """
    copies = rollout.reward.shape[2]
    value, next_value = (v(by_seed(x)).squeeze(2) for x in (rollout.obs, rollout.next_obs))
    ends = rollout.reward, discount * rollout.discount, rollout.ended
    return by_seed(gae(*ends, by_time(value, copies), by_time(next_value, copies), lambda_)), value


def minibatches(batch: Batch, number: int, shuffle: Uniforms) -> Iterator[Batch]:
    """Split a batch at random into equal parts, every seed in an order of its own.

    Args:
        batch: fields [S, B, ...].
        number: of parts; it divides B.
        shuffle: a stream of [S, B] per call.

    Raises:
        ValueError: ``number`` does not divide B.
    """
    num_seeds, size = batch[0].shape[:2]
    if size % number:
        raise ValueError(f"{size} rows cannot be split into {number} equal minibatches")
    first_rows = torch.arange(num_seeds, device=batch[0].device)[:, None] * size
    rows = (shuffle().argsort(1) + first_rows).flatten()
    shuffled = [field.flatten(0, 1).index_select(0, rows).unflatten(0, (num_seeds, size)) for field in batch]
    for parts in zip(*(field.chunk(number, 1) for field in shuffled), strict=True):
        yield batch._make(parts)
