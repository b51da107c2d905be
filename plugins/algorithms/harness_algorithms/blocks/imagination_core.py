"""What an imagination-augmented agent imagines, and how it reads that (Racanière et al., 2017, arXiv:1707.06203).

From every observation a model is followed for τ steps once for each action: that is the first, and the others are a
rollout policy's. Rollouts of one observation lie side by side, action after action: row b · A + a of [S, B·A, ...]
starts at observation b with action a. All that is repeated, encoded or concatenated goes by that one order.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.distributions import Categorical
from harness_algorithms.blocks.networks import StackedMLP, orthogonal, stacked_mlp
from harness_algorithms.blocks.recurrent import StackedLSTM, stacked_lstm


class Model(Protocol):
    """What is followed."""

    def predict(self, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen next, [S, B, D], and rewards [S, B], of numbers [S, B, D] and actions, int64 [S, B]."""


class Imagined(NamedTuple):
    """Rollouts from B observations.

    Attributes:
        seen: what is seen after each step, [S, B, A, τ, D].
        reward: [S, B, A, τ].
    """

    seen: Tensor
    reward: Tensor


class CopyModel:
    """Nothing changes, and nothing is paid: the paper's baseline for what comes of the architecture alone."""

    def predict(self, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen already, and 0."""
        return x, x.new_zeros(action.shape)


class CorruptedModel:
    """A model that sees some numbers wrongly: 1 − x of a frame's, −x of a vector's, where chance says so.

    Args:
        model: what it spoils.
        share: of the numbers.
        frames: whether they are of frames.
        generators: one per seed.
    """

    def __init__(self, model: Model, share: float, frames: bool, generators: Sequence[torch.Generator]) -> None:
        self._model, self._share, self._top, self._generators = model, share, float(frames), generators

    def predict(self, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen next, spoiled, and the reward that the model says."""
        seen, reward = self._model.predict(x, action)
        drawn = [torch.rand(seen.shape[1:], generator=g, device=g.device) for g in self._generators]
        return torch.where(torch.stack(drawn) < self._share, self._top - seen, seen), reward


@torch.no_grad()
def imagine(
    model: Model, rollout_policy: Callable[[Tensor], Tensor], x: Tensor, actions: int, noise: Tensor | None, depth: int
) -> Imagined:
    """Follow the model from every row once for each action.

    Args:
        model: what is followed.
        rollout_policy: logits [S, B, A] of numbers [S, B, D].
        x: numbers of observations, [S, B, D].
        actions: A.
        noise: what `Categorical.sample` wants, [τ − 1, S, B, A]; None for the likeliest action.
        depth: τ.
    """
    batch = x.shape[1]
    seen = x.repeat_interleave(actions, 1)
    action = torch.arange(actions, device=x.device).repeat(batch).expand(len(x), -1)
    rows, rewards = [], []
    for t in range(depth):
        if t:
            policy = Categorical(rollout_policy(seen))
            action = policy.mode if noise is None else policy.sample(noise[t - 1].flatten(1))
        seen, reward = model.predict(seen, action)
        rows.append(seen)
        rewards.append(reward)
    by_action = (torch.stack(column, 2).unflatten(1, (batch, actions)) for column in (rows, rewards))
    return Imagined(*by_action)


class Encoder:
    """A long short-term memory that reads each rollout from its end to its beginning, and what it then holds.

    Args:
        size: D.
        units: of the layer that sees a frame, and of the memory, which sees those and the reward.
        generators: one per seed.
    """

    def __init__(self, size: int, units: int, generators: Sequence[torch.Generator]) -> None:
        self.frame: StackedMLP = stacked_mlp((size, units), generators, initial=orthogonal(2**0.5))
        self.memory: StackedLSTM = stacked_lstm(units + 1, units, generators)
        self.parameters = [*self.frame.parameters, *self.memory.parameters]

    def __call__(self, imagined: Imagined) -> Tensor:
        """Codes of all rollouts from an observation, one after the other: [S, B, A · units]."""
        seeds, batch, actions, depth, _ = imagined.seen.shape
        frames = torch.relu(self.frame(imagined.seen.flatten(1, 3)))
        steps = torch.cat([frames, imagined.reward.reshape(seeds, -1, 1)], 2).unflatten(1, (-1, depth))
        state = self.memory.initial(batch * actions)
        for t in reversed(range(depth)):
            state = self.memory(steps[:, :, t], state)
        return state[0].reshape(seeds, batch, -1)


class Agent:
    """π and v: heads of one network that sees an observation, and what is imagined from it.

    Args:
        space: of observations.
        size: D.
        actions: A.
        features: units that show the observation itself.
        codes: units of the encoder; 0 for an agent that imagines nothing.
        hidden: units below π and v.
        generators: one per seed.
    """

    def __init__(
        self,
        space: Any,
        size: int,
        actions: int,
        features: int,
        codes: int,
        hidden: int,
        generators: Sequence[torch.Generator],
    ) -> None:
        self.body = stacked_network(space, (), features, generators, initial=orthogonal(2**0.5))
        self.encoder = Encoder(size, codes, generators) if codes else None
        sizes = (features + actions * codes, hidden, actions + 1)
        self.head: StackedMLP = stacked_mlp(sizes, generators, initial=orthogonal(0.01))
        imagined = [] if self.encoder is None else self.encoder.parameters
        self.parameters = [*self.body.parameters, *imagined, *self.head.parameters]

    def __call__(self, obs: Tensor, imagined: Imagined | None) -> tuple[Categorical, Tensor]:
        """π, [S, B], and v, [S, B], at obs [S, B, ...] and what is imagined from there."""
        seen = torch.relu(self.body(obs))
        if self.encoder is not None and imagined is not None:
            seen = torch.cat([seen, self.encoder(imagined)], 2)
        out = self.head(seen)
        return Categorical(out[..., :-1]), out[..., -1]


def as_wide(size: int, actions: int, features: int, codes: int, hidden: int) -> int:
    """Units below π and v with which an agent that imagines nothing has the parameters of one that does, to a half."""
    encoder = (size + 1) * codes + 4 * codes * (2 * codes + 2)
    return hidden + round((encoder + actions * codes * hidden) / (features + actions + 2))


@torch.no_grad()
def planned(
    model: Model, rollout_policy: Callable[[Tensor], Tensor], x: Tensor, actions: int, noise: Tensor, discount: float
) -> Tensor:
    """The action of the best mean return in Monte-Carlo rollouts of the model, int64 [S, B].

    Args:
        model: what is planned in.
        rollout_policy: as of `imagine`.
        x: numbers of observations, [S, B, D].
        actions: A.
        noise: [τ − 1, S, B, R, A], for R rollouts from every action of τ steps.
        discount: γ, per step.
    """
    depth, rollouts = len(noise) + 1, noise.shape[3]
    many = x.repeat_interleave(rollouts, 1)
    reward = imagine(model, rollout_policy, many, actions, noise.flatten(2, 3), depth).reward
    worth = discount ** torch.arange(depth, device=x.device)
    returns = (reward * worth).sum(3).unflatten(1, (-1, rollouts)).mean(2)  # [S, B, A]
    return returns.argmax(2)
