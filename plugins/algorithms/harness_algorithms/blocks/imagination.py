"""Imagination: rollouts of a policy in models instead of the environment."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from harness_algorithms.blocks.streams import Normals

Model = Callable[[Tensor, Tensor], Tensor]
"""Successors [S, K, B, D] of obs [S, K, B, D] and actions [S, K, B, A], each of the K by a model of its own."""


def unfit(observation_space: Any, action_space: Any) -> str:
    """Why a Gaussian policy cannot be imagined with such spaces, if so; what `AlgorithmSpec.fits` wants."""
    if observation_space.dtype.kind != "f" or len(observation_space.shape) != 1:
        return (
            f"observations of {observation_space.dtype} {[*observation_space.shape]} are no row of reals; add a wrapper"
        )
    if len(action_space.shape) != 1 or not action_space.is_bounded():
        return f"{action_space}: a bounded Box of one axis is wanted"
    return ""


class Knowledge(Protocol):
    """What is known of the environment, and is the same whatever the model; as in `trial.known`."""

    def initial_fn(self, generator: torch.Generator, shape: tuple[int, ...]) -> Tensor:
        """Observations [*shape, D] of initial states; only a `World` wants them."""

    def reward_fn(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        """r, [...]."""

    def termination_fn(self, obs: Tensor, action: Tensor, next_obs: Tensor) -> Tensor:
        """Whether the MDP terminates with this transition, bool [...]."""


class Imagined(NamedTuple):
    """Trajectories of H steps, B in each of K models: fields [S, K, B, H, ...].

    What follows a termination was computed, but never happens: ``alive`` is false there, and ``reward`` is 0.

    Attributes:
        obs: s.
        action: a as sampled, not bounded.
        reward: r.
        discount: 0 where the MDP terminated, else 1; γ is not in it.
        next_obs: s′.
        alive: bool; no earlier step terminated.
    """

    obs: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    next_obs: Tensor
    alive: Tensor

    @property
    def steps(self) -> int:
        """Simulated steps of each seed, those after a termination included: the models took them, too."""
        return self.reward[0].numel()

    @property
    def returns(self) -> Tensor:
        """Undiscounted sums of rewards, [S, K, B]."""
        return self.reward.sum(3)


@torch.no_grad()
def imagine(
    act: Callable[[Tensor], tuple[Tensor, Tensor]],
    model: Model,
    known: Knowledge,
    obs: Tensor,
    horizon: int,
    limit: float,
) -> Imagined:
    """Follow a policy through models for H steps, all trajectories at once.

    Args:
        act: actions [S, K, B, A] for obs [S, K, B, D]: as sampled, and as an environment takes them.
        model: the K models.
        known: rewards and terminations.
        obs: where to begin, [S, K, B, D].
        horizon: H.
        limit: largest absolute number in a successor; a model that diverges is held there.
    """
    alive = torch.ones_like(obs[..., 0], dtype=torch.bool)
    rows = []
    for _ in range(horizon):
        sampled, action = act(obs)
        next_obs = model(obs, action).clamp(-limit, limit)
        reward = known.reward_fn(obs, action, next_obs)
        terminated = known.termination_fn(obs, action, next_obs)
        rows.append((obs, sampled, torch.where(alive, reward, 0), (~terminated).float(), next_obs, alive))
        obs, alive = next_obs, alive & ~terminated
    return Imagined._make(torch.stack(column, 3) for column in zip(*rows, strict=True))


class World(NamedTuple):
    """Where episodes are imagined: all that they need besides a policy.

    Attributes:
        model: the K models.
        known: rewards, terminations and initial states.
        starts: a generator per seed, of initial states.
        noise: of actions, [S, K, B, A] per call.
        shape: K and B.
        horizon: H.
        limit: as in `imagine`.
    """

    model: Model
    known: Knowledge
    starts: Sequence[torch.Generator]
    noise: Normals
    shape: tuple[int, int]
    horizon: int
    limit: float

    def chance(self) -> tuple[Tensor, list[Tensor]]:
        """All that is random in episodes: initial states [S, K, B, D], and noise of actions, H times [S, K, B, A]."""
        first = [self.known.initial_fn(generator, self.shape) for generator in self.starts]
        return torch.stack(first), [self.noise() for _ in range(self.horizon)]

    def episodes(self, policy: Any, chance: tuple[Tensor, list[Tensor]]) -> Imagined:
        """H steps of ``policy``, whose ``policy(obs)`` is a distribution that samples actions, [S, K, B, A]."""
        first, noise = chance
        upcoming = iter(noise)

        def act(obs: Tensor) -> tuple[Tensor, Tensor]:
            action = policy(obs).sample(next(upcoming))
            return action, policy.bounded(action)

        return imagine(act, self.model, self.known, first, self.horizon, self.limit)
