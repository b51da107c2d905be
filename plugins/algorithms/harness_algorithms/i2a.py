"""Imagination-augmented agents (I2A; Racanière et al., 2017, arXiv:1707.06203).

A policy π and a value v are heads of one network that sees an observation as it is, and what would come of it. From
there a model of the environment is followed for τ steps once for each action; the first action is forced, the others
are a rollout policy's, π̂. A recurrent encoder reads each rollout from its end to its beginning, and what it then holds,
for all actions, goes beside the features of the observation into the layer below π and v. They learn as in A2C, by

    −log π(a|s) Â + c_v (G − v(s))² − c_e H[π(·|s)] + λ_dist KL[π(·|s) ‖ π̂(·|s)]

where no gradient of the last term reaches π: π̂ is to act as π does, at the price of a small network. No gradient passes
through what is imagined. The model is trained before, on what a plain agent sees while it begins to learn; those steps
are taken from the budget. Then it stays as it is.

`imagination = "copy"` is the paper's copy-model agent: the same network, told that nothing changes and nothing is paid.
`imagination = "none"` is its plain agent, whose last layer is as wide as is needed for as many parameters. Neither
needs a model, so that all of their budget is learned from. `act_by = "planning"` is what the agent is compared with:
in evaluation the action of the best mean return in Monte-Carlo rollouts of the same model and π̂.

Departures from the paper: copies step together instead of asynchronously; Adam, because RMSProp's first steps make so
wide a layer sure of one action; networks are small; frames enter the encoder by one layer; `corruption` is the share
of numbers imagined that are wrong, no lack of training. π̂ begins with what the plain agent does. Actions are sampled
in evaluation. Seeds are trained in lockstep: losses averaged over the batch and summed over seeds.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from harness.api import Count, Fraction, LockstepEnv, Trial
from harness_algorithms.blocks.distributions import Categorical
from harness_algorithms.blocks.environment_model import EnvironmentModel, Sight, environment_model, fit
from harness_algorithms.blocks.imagination_core import (
    Agent,
    CopyModel,
    CorruptedModel,
    Imagined,
    Model,
    as_wide,
    imagine,
    planned,
)
from harness_algorithms.blocks.networks import StackedMLP, stacked_mlp
from harness_algorithms.blocks.optim import adam, descend, set_learning_rate
from harness_algorithms.blocks.returns import gae
from harness_algorithms.blocks.rollouts import by_seed, by_time
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of I2A."""

    imagination: Literal["model", "copy", "none"] = "model"
    depth: Count = 3  # τ, steps of a rollout
    corruption: Fraction = 0.0  # share of the numbers imagined that are wrong
    act_by: Literal["policy", "planning"] = "policy"  # in evaluation

    model_share: Fraction = 0.1  # of the budget, at least a rollout: steps that the model is trained on
    model_units: Count = 32  # channels of the model of frames, units of that of vectors
    model_updates: Count = 2_000
    model_batch_size: Count = 64
    model_learning_rate: float = 4e-3  # of Adam

    discount: Fraction = 0.99  # γ, per step
    lambda_: Fraction = 1.0  # λ of the returns; 1 for the published ones
    copies: Count = 16  # N, environments stepped together
    rollout_length: Count = 5  # T, steps of each copy between updates

    features: Count = 64  # units that show the observation itself
    code_units: Count = 64  # of the encoder, for each action
    head_units: Count = 128  # units below π and v
    rollout_units: Count = 64  # of the one hidden layer of π̂

    learning_rate: Linear = Linear(7e-4, 7e-4)  # of Adam
    value_weight: float = 0.1  # c_v
    entropy_weight: float = 0.01  # c_e
    distillation_weight: float = 0.01  # λ_dist
    max_gradient_norm: float = 2.0  # of each seed's gradient

    planned_rollouts: Count = 8  # for each action
    planned_depth: Count = 10  # steps of each


class Rollout(NamedTuple):
    """T steps of N copies: fields [S, T · N, ...]."""

    obs: Tensor  # s
    imagined: Imagined | None  # from s; None where nothing is
    action: Tensor
    reward: Tensor
    discount: Tensor  # 0 where the MDP terminated, else 1; γ is not in it
    ended: Tensor  # an episode ended here, by either kind of end
    next_obs: Tensor  # s′, before any reset
    next_value: Tensor  # v(s′)


Core = Callable[[Tensor], Imagined | None]
"""What is imagined from obs [S, B, ...]."""


class Player:
    """An agent in N copies of an environment: what it sees and imagines now, and how it goes on."""

    def __init__(self, env: LockstepEnv, agent: Agent, core: Core, noise: Uniforms, obs: Tensor) -> None:
        self._env, self.agent, self._core, self._noise = env, agent, core, noise
        with torch.no_grad():
            self._look(obs, obs)

    def _look(self, next_obs: Tensor, obs: Tensor) -> Tensor:
        """See where steps led and where to go on from; returns v of the former, [S, N]."""
        imagined = self._core(torch.cat([next_obs, obs], 1))
        parts = [] if imagined is None else zip(*(part.chunk(2, 1) for part in imagined), strict=True)
        after, now = [Imagined(*part) for part in parts] or (None, None)
        self.obs, self._imagined = obs, now
        return self.agent(next_obs, after)[1]

    @torch.no_grad()
    def play(self, length: int) -> Rollout:
        """Act for some steps in every copy, by the policy as it is now, after any update."""
        rows, dreams = [], []
        for _ in range(length):
            obs, imagined = self.obs, self._imagined
            action = self.agent(obs, imagined)[0].sample(self._noise())
            step = self._env.step(action)
            value = self._look(step.next_obs, step.obs)
            rows.append((obs, action, step.reward, step.discount, step.ended, step.next_obs, value))
            dreams.append(imagined)
        obs, *rest = (by_seed(torch.stack(column)) for column in zip(*rows, strict=True))
        seen = None if imagined is None else Imagined(*(by_seed(torch.stack(x)) for x in zip(*dreams, strict=True)))
        return Rollout(obs, seen, *rest)


class Terms(NamedTuple):
    """The parts of the loss, [S] each: averages over the batch."""

    policy: Tensor
    value: Tensor
    entropy: Tensor
    distillation: Tensor


def terms(agent: Agent, rollout: Rollout, told: Tensor, config: Config) -> Terms:
    """What the loss is made of; ``told`` are logits of π̂ at the rollout's observations, [S, T · N, A]."""
    policy, value = agent(rollout.obs, rollout.imagined)
    rows = rollout.reward, config.discount * rollout.discount, rollout.ended, value.detach(), rollout.next_value
    advantage = by_seed(gae(*(by_time(row, config.copies) for row in rows), config.lambda_))
    fixed = Categorical(policy.log_probs.detach())
    return Terms(
        policy=-(policy.log_prob(rollout.action) * advantage).mean(1),
        value=(advantage + value.detach() - value).square().mean(1),
        entropy=policy.entropy().mean(1),
        distillation=fixed.kl(Categorical(told)).mean(1),
    )


def update(agent: Agent, told: Tensor, optimizer: Optimizer, rollout: Rollout, config: Config) -> Terms:
    """One step down the gradient of the loss; returns its parts before."""
    parts = terms(agent, rollout, told, config)
    loss = parts.policy + config.value_weight * parts.value - config.entropy_weight * parts.entropy
    descend(optimizer, loss + config.distillation_weight * parts.distillation, config.max_gradient_norm)
    return Terms._make(part.detach() for part in parts)


def learn(
    trial: Trial, player: Player, rollout_policy: StackedMLP, sight: Sight, config: Config, steps: float
) -> Iterator[Rollout]:
    """Act for a few steps in all copies and learn from them once, until the trial has taken so many; what was seen."""
    parameters = [*player.agent.parameters, *rollout_policy.parameters]
    optimizer = adam(parameters, config.learning_rate.start, epsilon=1e-5)
    while trial.steps < steps:
        rollout = player.play(config.rollout_length)
        set_learning_rate(optimizer, config.learning_rate(trial.progress))
        parts = update(player.agent, rollout_policy(sight(rollout.obs)), optimizer, rollout, config)
        trial.log(**parts._asdict())
        yield rollout


def modelled(trial: Trial, sight: Sight, actions: int, seen: Sequence[Rollout], config: Config) -> EnvironmentModel:
    """A model of what was seen."""
    columns = ((rollout.obs, rollout.action, rollout.next_obs, rollout.reward) for rollout in seen)
    transitions = [torch.cat(column, 1) for column in zip(*columns, strict=True)]
    model = environment_model(sight, actions, config.model_units, trial.generators("model"))
    pick = Uniforms(trial.generators("batches"), config.model_batch_size)
    loss = fit(model, sight, transitions, pick, config.model_updates, config.model_learning_rate)
    trial.log(model_loss=loss)
    return model


def train(trial: Trial, config: Config) -> None:
    """Let a plain agent begin and a model be made of what it sees; then imagine, act and learn."""
    env = trial.make_lockstep_env(config.copies)
    space, actions = env.single_observation_space, int(env.single_action_space.n)
    sight, initialisation = Sight(space), trial.generators("initialisation")
    sizes = sight.size, actions, config.features, config.code_units, config.head_units
    rollout_policy = stacked_mlp((sight.size, config.rollout_units, actions), initialisation)
    plain = Agent(space, *sizes[:3], 0, as_wide(*sizes), initialisation)
    agent = Agent(space, *sizes, initialisation)
    noise, deciding = Uniforms(trial.generators("policy"), config.copies), trial.generators("evaluation")
    dreams = Uniforms(trial.generators("imagination"), config.depth - 1, 2 * config.copies, actions)
    learned = partial(learn, trial, rollout_policy=rollout_policy, sight=sight, config=config)
    model: Model = CopyModel()

    def spoiled(tag: str) -> Model:
        chance = trial.generators(tag)
        return CorruptedModel(model, config.corruption, bool(sight.frames), chance) if config.corruption else model

    def drawn(*shape: int) -> Tensor:
        rows = [torch.rand(shape, generator=g, device=g.device, dtype=torch.float64) for g in deciding]
        return torch.stack(rows, min(1, len(shape) - 1))  # seeds stand after the steps of a rollout

    def core(obs: Tensor) -> Imagined:
        trial.simulated(obs.shape[1] * actions * config.depth * (config.imagination == "model"))
        with trial.planning():
            return imagine(followed, rollout_policy, sight(obs), actions, dreams().transpose(0, 1), config.depth)

    @torch.no_grad()
    def act_plainly(obs: Tensor) -> Tensor:
        return plain(obs, None)[0].sample(drawn(obs.shape[1]))

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        batch, more = obs.shape[1], config.depth - 1
        imagined = imagine(shown, rollout_policy, sight(obs), actions, drawn(more, batch, actions), config.depth)
        return agent(obs, imagined)[0].sample(drawn(batch))

    @torch.no_grad()
    def plan(obs: Tensor) -> Tensor:
        shape = config.planned_depth - 1, obs.shape[1], config.planned_rollouts, actions
        return planned(shown, rollout_policy, sight(obs), actions, drawn(*shape), config.discount)

    trial.policy = act_plainly
    obs = env.reset()
    if config.imagination != "copy":
        player = Player(env, plain, lambda obs: None, noise, obs)
        share = 1.0 if config.imagination == "none" else config.model_share
        seen = learned(player, steps=max(1, share * trial.budget))
        if config.imagination == "none":
            deque(seen, maxlen=0)
            return
        model, obs = modelled(trial, sight, actions, [*seen], config), player.obs
    followed, shown = spoiled("corruption"), spoiled("corruption in evaluation")
    trial.policy = plan if config.act_by == "planning" else act
    deque(learned(Player(env, agent, core, noise, obs), steps=trial.budget), maxlen=0)
