"""Action-values of continuous actions, with a leading seed axis."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness_algorithms.blocks.convolutions import StackedTorso, stacked_torso
from harness_algorithms.blocks.networks import StackedMLP, stacked_mlp


class Transition(NamedTuple):
    """What one step showed; fields [S, N, ...] when stored, [S, B, ...] when sampled.

    Attributes:
        obs: s.
        action: a in [−1, 1], [..., A].
        reward: r.
        discount: d, 0 where the MDP terminated, else 1; so a time limit keeps 1.
        next_obs: s′, before any reset.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    next_obs: Tensor


class Critic:
    """K estimates Qₖ(s, a) per seed, from perceptrons that see the observation and the action.

    Frames go through convolutions first. They are the critic's own, shared by its K perceptrons: an actor has
    others, so neither loss trains features of the other network.

    Args:
        heads: K perceptrons per seed, with one output.
        torso: for frames; None where observations are vectors.
    """

    def __init__(self, heads: StackedMLP, torso: StackedTorso | None = None) -> None:
        self.heads = heads
        self.torso = torso

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that learns, [S, P] each."""
        return [*self.heads.parameters, *([] if self.torso is None else [self.torso.flat])]

    def __call__(self, obs: Tensor, action: Tensor) -> Tensor:
        """Qₖ(s, a), [S, K, B], differentiable by autograd.

        Args:
            obs: s, [S, B, ...].
            action: a, [S, B, A].
        """
        features = obs.flatten(2).float() if self.torso is None else self.torso(obs)
        values = self.heads(torch.cat((features, action), 2)).squeeze(-1)
        return values if self.heads.members > 1 else values.unsqueeze(1)

    def first(self) -> "Critic":
        """Q₁ alone, [S, 1, B] when called; it shares parameters, but autograd does not see its perceptron's."""
        flat = self.heads.flat.detach()
        one = flat[:, : flat.shape[1] // self.heads.members]
        return Critic(StackedMLP(self.heads.sizes, one, self.heads.activation), self.torso)

    def copy(self) -> "Critic":
        """The same estimates with parameters of their own, which autograd does not follow."""
        return Critic(self.heads.copy(), None if self.torso is None else self.torso.copy())


def stacked_critic(
    space: Any, action_size: int, hidden: Sequence[int], generators: Sequence[torch.Generator], members: int = 1
) -> Critic:
    """The critic for a space of observations, as `convolutions.stacked_network` is its actor.

    Args:
        space: Gymnasium's Box of one observation.
        action_size: A, numbers in one action.
        hidden: units of each hidden layer of the perceptrons.
        generators: one per seed.
        members: K.
    """
    torso, features = stacked_torso(space, generators)
    return Critic(stacked_mlp((features + action_size, *hidden, 1), generators, members=members), torso)


def critic_loss(values: Tensor, target: Tensor) -> Tensor:
    """The mean over the batch of Σₖ (Qₖ(s, a) − y)², [S].

    Args:
        values: Qₖ(s, a), [S, K, B].
        target: y, [S, B].
    """
    return (values - target.unsqueeze(1)).square().mean(2).sum(1)
