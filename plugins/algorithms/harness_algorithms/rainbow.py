"""Rainbow (Hessel et al., 2018, arXiv:1710.02298): six improvements of DQN at once.

Each is one line or one block here:

    laws of returns   logits of fixed atoms, their divergence from a projected target (C51)       `divergence`
    double            the online network chooses a*, the frozen one gives its law                 `divergence`
    dueling           streams of V and A, joined atom by atom, the mean of A taken off            `RainbowNetwork`
    noisy networks    every layer of the streams; they explore, and ε-greedy is not needed        `NoisyMLP`
    n steps           Rₜ = Σ γᵏ rₜ₊ₖ before bootstrapping from n steps on, not corrected off policy  `NStepWindow`
    prioritized       in proportion to the divergence to a power, weights correct the bias        `PrioritizedReplay`

    m = Φ(law of Rₜ + γⁿ d Z⁻(sₜ₊ₙ, a*; ε′)),   a* = argmaxₐ Q(sₜ₊ₙ, a; ε″),   loss = w KL(m ‖ Z(sₜ, aₜ; ε))

The noise ε is drawn anew for every action, and ε, ε′ and ε″ for every update. The policy that is evaluated has none:
it is greedy in the law of the mean weights, which says what was learned and not how it explores.

Departures from the paper: rewards are not clipped; frames are taken as the environment gives them. Where observations
are no frames, the streams, which share the convolutions, share nothing. The step across an episode's end is a shorter
one. All seeds are trained in lockstep: a leading axis S throughout, the loss averaged over the batch and summed over
seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks import laws, optim
from harness_algorithms.blocks.convolutions import StackedTorso, stacked_torso
from harness_algorithms.blocks.laws import Support, chosen, expectation
from harness_algorithms.blocks.networks import copy_, frozen_copy
from harness_algorithms.blocks.noisy import NoisyMLP, noisy_mlp
from harness_algorithms.blocks.nstep import NStepWindow
from harness_algorithms.blocks.prioritized import PrioritizedReplay
from harness_algorithms.blocks.projection import project
from harness_algorithms.blocks.q_learning import Transition, dueling_values
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Normals


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of Rainbow."""

    discount: Fraction = 0.99  # γ, per step
    steps: Count = 3  # n, rewards before bootstrapping
    support: Support = Support()  # must span the discounted returns
    noise: float = 0.5  # σ₀: a weight's initial scale of noise is σ₀ / √(units that enter its layer)

    hidden: tuple[Count, ...] = (128,)  # units of each hidden layer, of either stream
    learning_rate: Fraction = 1e-3  # of Adam
    adam_epsilon: float = 1.5e-4  # added to the root of the second moment
    batch_size: Count = 64  # transitions
    replay_capacity: Count = 10_000  # transitions
    learning_starts: int = 1_000  # steps
    train_every: Count = 2  # steps
    target_every: Count = 100  # steps: after k copies from 0, no value exceeds (1 − γᵏ) / (1 − γ) rewards
    max_gradient_norm: float | None = 10.0  # of each seed's gradient; None for no limit

    alpha: float = 0.5  # ω: 0 replays uniformly, 1 in proportion to the divergence
    beta: Linear = Linear(0.4, 1.0)  # 0 corrects no bias of replay, 1 all of it; until: of the budget
    priority_epsilon: float = 1e-6  # added to a divergence, so that nothing is never replayed; small beside all others


class RainbowNetwork:
    """S networks of two noisy streams over common convolutions, if any.

    Args:
        torso: of frames; None where observations are no frames.
        value: the stream of V, one output per atom.
        advantage: the stream of A, one output per action and atom.
    """

    def __init__(self, torso: StackedTorso | None, value: NoisyMLP, advantage: NoisyMLP) -> None:
        self.torso = torso
        self.value = value
        self.advantage = advantage

    @property
    def parameters(self) -> list[Tensor]:
        """Of torsos and streams, [S, ...] each."""
        torso = [] if self.torso is None else [self.torso.flat]
        return [*torso, self.value.flat, self.advantage.flat]

    @property
    def noise_size(self) -> int:
        """Normal numbers one evaluation needs per seed."""
        return self.value.noise_size + self.advantage.noise_size

    def __call__(self, obs: Tensor, noise: Tensor | None = None) -> Tensor:
        """Logits of the laws of all actions, [S, B, A, M], for observations [S, B, ...].

        Args:
            obs: s.
            noise: from N(0, 1), [S, noise_size]; None for the law of the mean weights.
        """
        features = obs if self.torso is None else self.torso(obs)
        sizes = self.value.noise_size, self.advantage.noise_size
        of_value, of_advantage = (None, None) if noise is None else noise.split(sizes, 1)
        value = self.value(features, of_value).unsqueeze(2)  # [S, B, 1, M]
        advantages = self.advantage(features, of_advantage).unflatten(2, (-1, value.shape[3]))
        return dueling_values(value, advantages)

    def copy(self) -> "RainbowNetwork":
        """The same networks with parameters of their own, which autograd does not follow."""
        torso = None if self.torso is None else self.torso.copy()
        return RainbowNetwork(torso, self.value.copy(), self.advantage.copy())


def rainbow_network(
    space: Any, config: Config, num_actions: int, generators: Sequence[torch.Generator]
) -> RainbowNetwork:
    """One network per generator, initialised from it alone, for a space of observations."""
    torso, features = stacked_torso(space, generators)
    value, advantage = (
        noisy_mlp((features, *config.hidden, laws * config.support.atoms), generators, scale=config.noise)
        for laws in (1, num_actions)
    )
    return RainbowNetwork(torso, value, advantage)


def divergence(logits: Tensor, next_logits: Tensor, frozen_next: Tensor, batch: Transition, support: Tensor) -> Tensor:
    """KL(m ‖ Z(s, a)), m the law of r + d Z⁻(s′, a*) on the atoms, a* greedy in Z; [S, B].

    Args:
        logits: of Z(s, ·), [S, B, A, M].
        next_logits: of Z(s′, ·), [S, B, A, M]; they get no gradient, as an argmax has none.
        frozen_next: of Z⁻(s′, ·), [S, B, A, M].
        batch: transitions over n steps, fields [S, B, ...], γⁿ in their discounts.
        support: the atoms, [M].
    """
    best = expectation(next_logits, support).argmax(2)
    law = chosen(frozen_next, best).softmax(2)
    target = project(law, batch.reward, batch.discount, support)
    return laws.divergence(chosen(logits, batch.action), target)


def descend(
    z: RainbowNetwork,
    frozen_z: RainbowNetwork,
    optimizer: torch.optim.Optimizer,
    batch: Transition,
    weight: Tensor,
    noise: Normals,
    support: Tensor,
    max_gradient_norm: float | None,
) -> Tensor:
    """One step of Z down the gradient of the loss with weights [S, B]; returns the divergences before, [S, B]."""
    with torch.no_grad():
        next_logits, frozen_next = z(batch.next_obs, noise()), frozen_z(batch.next_obs, noise())
    error = divergence(z(batch.obs, noise()), next_logits, frozen_next, batch, support)
    optim.descend(optimizer, (weight * error).mean(1), max_gradient_norm)
    return error.detach()


def train(trial: Trial, config: Config) -> None:
    """Act noisily, store, replay what surprised; copy Z to Z⁻ now and then."""
    env = trial.make_lockstep_env()
    support = config.support.on(trial.device)
    z = rainbow_network(
        env.single_observation_space, config, int(env.single_action_space.n), trial.generators("initialisation")
    )
    frozen_z = frozen_copy(z)
    optimizer = optim.adam(z.parameters, config.learning_rate, config.adam_epsilon)
    window = NStepWindow[Transition](config.steps, config.discount)
    capacity = min(config.replay_capacity, trial.budget)  # more is never stored
    replay = PrioritizedReplay(
        Transition,
        capacity,
        config.batch_size,
        trial.generators("batches"),
        alpha=config.alpha,
        epsilon=config.priority_epsilon,
        weight_scale="batch",
    )
    acting_noise = Normals(trial.generators("policy"), z.noise_size)
    learning_noise = Normals(trial.generators("noise"), z.noise_size)

    @torch.no_grad()
    def greedy(obs: Tensor, noise: Tensor | None = None) -> Tensor:
        return expectation(z(obs, noise), support).argmax(2)

    trial.policy = greedy
    obs = env.reset()
    while trial.within_budget:
        learning = trial.steps >= config.learning_starts
        action = greedy(obs, acting_noise())
        step = env.step(action)
        transition = Transition(obs, action, step.reward, step.discount, step.next_obs)
        if (spanned := window.push(transition, step.ended)) is not None:
            replay.add(spanned)
        obs = step.obs
        if learning and len(replay) and trial.steps % config.train_every == 0:
            index, weight, batch = replay.sample(config.beta(trial.progress))
            error = descend(z, frozen_z, optimizer, batch, weight, learning_noise, support, config.max_gradient_norm)
            replay.update(index, error)
            trial.log(loss=error.mean(1))
        if trial.steps % config.target_every == 0:
            copy_(frozen_z, z)
