"""Model-based control that a model-free policy begins with: MBMF (Nagabandi et al., 2018, arXiv:1708.02596).

Four stages, one after the other, share the budget of real steps:

    1  random actions
    2  a network is fitted to Δs = s′ − s, and MPC by random shooting acts in it, again and again; nine tenths of a
       batch are of what MPC did, the rest of the random actions
    3  a Gaussian policy imitates MPC: its mean is regressed on MPC's actions, at first where MPC went, then also where
       the policy itself goes, for which MPC is asked what it would have done (DAgger; Ross et al., 2011,
       arXiv:1011.0686)
    4  TRPO from there, with a deviation σ that is set: imitation by squared error has none of its own

The mean of the policy is evaluated throughout, so what is seen of stages 1 and 2 is a policy that has learned nothing.
Real steps of MPC, and of the policy while it is relabelled, are steps like any others.

Models see numbers relative to the mean and deviation of the random data, in all fits, as in the authors' code.
Departures from it: rows of a batch are drawn with replacement; noise in the model's data is drawn anew for every batch,
and is relative to their deviation, not to their mean; MPC's actions get none; the policy is regressed once more in the
end, on what was relabelled last; TRPO is ours, with a value network for their linear baseline.
All seeds are trained in lockstep: a leading axis S throughout.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, LockstepEnv, Trial
from harness_algorithms import trpo
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.dynamics import Dynamics, make_dynamics
from harness_algorithms.blocks.moments import moments_of
from harness_algorithms.blocks.networks import orthogonal
from harness_algorithms.blocks.optim import Adam, adam, descend
from harness_algorithms.blocks.planning import Actions, Draw, Planner, Shooting, Task, actions_of, trajectory_sampling
from harness_algorithms.blocks.policies import GaussianPolicy, stochastic_policy
from harness_algorithms.blocks.regression import regress
from harness_algorithms.blocks.rollouts import by_seed, collect, minibatches
from harness_algorithms.blocks.streams import Normals, Uniforms


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of MBMF; steps are real ones, rounded up to as many of every copy."""

    random_steps: Count = 1_000  # with uniform actions
    aggregations: Count = 3  # times that MPC adds to what the model is fitted to
    aggregation_steps: Count = 400  # of MPC, each time
    expert_steps: Count = 1_000  # of MPC in the last model, the first that are imitated
    relabellings: int = 3  # iterations of DAgger
    relabelled_steps: Count = 400  # of the policy, in each

    horizon: Count = 20  # H of MPC, steps
    candidates: Count = 1_000  # sequences tried at once

    model_hidden: tuple[Count, ...] = (500,)  # units of each hidden layer of the model
    model_epochs: Count = 60  # per fit, each of as many rows as there are transitions
    newer_share: Fraction = 0.9  # of a batch that is of what MPC did
    noise: float = 0.01  # in what the model is fitted to, deviations of it
    imitation_epochs: Count = 100  # likewise, per imitation
    batch_size: Count = 512  # of both
    learning_rate: Fraction = 1e-3  # of both, Adam's

    fine_tuning: trpo.Config = field(default_factory=trpo.Config)  # its copies, networks and log σ, before it, too


Act = Callable[[Tensor], Tensor]  # actions [S, B, A] for obs [S, B, D]
Transitions = tuple[Tensor, Tensor, Tensor]  # s, a and s′ before any reset; [S, M, ...] each


class Examples(NamedTuple):
    """What a network is regressed on; [S, M, ...] each."""

    x: Tensor
    y: Tensor

    def drawn(self, share: Tensor) -> "Examples":
        """Rows of every seed's own: which, in shares of M, [S, B] in [0, 1)."""
        rows = (share * self.x.shape[1]).long().unsqueeze(2)
        return Examples._make(part.gather(1, rows.expand(-1, -1, part.shape[2])) for part in self)


def joined(first: Examples, second: Examples) -> Examples:
    """Both, one after the other."""
    return Examples._make(torch.cat(parts, 1) for parts in zip(first, second, strict=True))


@torch.no_grad()
def visited(env: LockstepEnv, act: Act, obs: Tensor, steps: int) -> tuple[Transitions, Tensor]:
    """Take real steps from ``obs``; also returns the obs to go on from."""
    rows = []
    for _ in range(-(-steps // env.copies)):
        action = act(obs)
        step = env.step(action)
        rows.append((obs, action, step.next_obs))
        obs = step.obs
    s, a, successor = (by_seed(torch.stack(column)) for column in zip(*rows, strict=True))
    return (s, a, successor), obs


class Model:
    """A network of the change of states, and all that it is fitted to, relative to the random data.

    Args:
        trial: for the streams of batches and of their noise.
        dynamics: one deterministic member, which is given its scales here.
        random: s, a and s′ of the random actions.
        config: how to fit.
    """

    def __init__(self, trial: Trial, dynamics: Dynamics, random: Transitions, config: Config) -> None:
        obs, action, next_obs = random
        dynamics.inputs = moments_of(torch.cat((obs, action), 2)).scale
        dynamics.outputs = moments_of(next_obs - obs).scale
        self._dynamics = dynamics
        self._config = config
        self._random = self._standardised(random)
        self._newer = Examples._make(part[:, :0] for part in self._random)
        self._optimizer = adam([parameter.requires_grad_() for parameter in dynamics.parameters], config.learning_rate)
        self._shares = Uniforms(trial.generators("model batches"), config.batch_size)
        self._widths = [part.shape[2] for part in self._random]
        self._noise = Normals(trial.generators("model noise"), config.batch_size, sum(self._widths))

    def add(self, newer: Transitions) -> None:
        """Fit to these, too, from now on."""
        self._newer = joined(self._newer, self._standardised(newer))

    def batch(self) -> Examples:
        """Rows to fit to, the newer ones first, with noise in them; until there are newer ones, all are random."""
        share = self._shares()
        newer = round(self._config.newer_share * share.shape[1]) if self._newer.x.shape[1] else 0
        rows = joined(self._newer.drawn(share[:, :newer]), self._random.drawn(share[:, newer:]))
        noise = self._noise().split(self._widths, 2)
        return Examples._make(torch.add(*both, alpha=self._config.noise) for both in zip(rows, noise, strict=True))

    def fit(self) -> Tensor:
        """Go on fitting from where it stands; the mean loss, [S]."""
        rows, of = self._random.x.shape[1] + self._newer.x.shape[1], self._dynamics
        batches = range(updates(rows, self._config.model_epochs, self._config))
        mean = descended(self._optimizer, (of.rows.loss(of.parameters, *self.batch()) for _ in batches))
        of.refresh()
        return mean

    def _standardised(self, transitions: Transitions) -> Examples:
        obs, action, next_obs = transitions
        of = self._dynamics
        return Examples(of.inputs.of(torch.cat((obs, action), 2)), of.outputs.of(next_obs - obs))


def updates(rows: int, epochs: int, config: Config) -> int:
    """Batches in so many epochs."""
    return epochs * -(-rows // config.batch_size)


def descended(optimizer: Adam, losses: Iterator[Tensor]) -> Tensor:
    """One step down each of the losses, [S], which are computed one after the other; their mean, [S]."""
    total, count = torch.zeros(()), 0
    for loss in losses:
        descend(optimizer, loss)
        total, count = total + loss.detach(), count + 1
    return total / count


def expert(trial: Trial, dynamics: Dynamics, actions: Actions, config: Config) -> Act:
    """MPC by random shooting, which plans anew from any obs, whatever it was asked before."""
    model = trajectory_sampling(dynamics, actions, ())
    task = Task(model, trial.known.reward_fn, trial.known.termination_fn, actions)
    draw = Draw(trial.generators("planning"), config.candidates)
    planner = Planner(trial, task, Shooting(config.candidates), config.horizon, draw)

    def act(obs: Tensor) -> Tensor:
        planner.reset(torch.ones(obs.shape[:2], dtype=torch.bool, device=obs.device))
        return planner.act(obs)

    return act


def imitate(policy: GaussianPolicy, optimizer: Adam, examples: Examples, shares: Uniforms, config: Config) -> Tensor:
    """Regress the mean of the policy on actions; σ stays as it is. The mean of the squared errors, [S].

    Args:
        policy: changed in place.
        optimizer: of its network, without σ.
        examples: s, and what the expert did or would have done.
        shares: a stream of [S, B] per call.
        config: how long.
    """

    def losses() -> Iterator[Tensor]:
        for _ in range(updates(examples.x.shape[1], config.imitation_epochs, config)):
            obs, action = examples.drawn(shares())
            yield (policy(obs).mode - action).square().flatten(1).mean(1)

    return descended(optimizer, losses())


def fine_tune(trial: Trial, env: LockstepEnv, policy: GaussianPolicy, obs: Tensor, config: trpo.Config) -> None:
    """TRPO for what is left of the budget, as in `trpo.train`, of a policy that there is already."""
    first = trial.generators("initial values")
    v = stacked_network(env.single_observation_space, config.hidden, 1, first, config.activation, orthogonal(1.0))
    optimizer = adam(v.parameters, config.value_learning_rate, trpo.ADAM_EPSILON)
    noise = policy.noise(trial.generators("policy"), config.copies)
    shuffle = Uniforms(trial.generators("batches"), config.rollout_length * config.copies)
    while trial.within_budget:
        rollout, obs = collect(env, policy, noise, obs, config.rollout_length)
        batch = trpo.batch_of(rollout, v, config)
        outcome = trpo.update(policy, batch, config)
        for _ in range(config.value_passes):
            for part in minibatches(batch, config.value_minibatches, shuffle):
                value_loss = regress(v, optimizer, part.obs, part.target)
        trial.log(kl=outcome.kl, surrogate=outcome.surrogate, value_loss=value_loss)


def train(trial: Trial, config: Config) -> None:
    """Act at random; fit a model and plan in it, again and again; imitate that; go on by TRPO."""
    tuning = config.fine_tuning
    env = trial.make_lockstep_env(tuning.copies)
    spaces = env.single_observation_space, env.single_action_space
    actions, first = actions_of(spaces[1], trial.device), trial.generators("initialisation")
    policy = stochastic_policy(*spaces, tuning.hidden, first, tuning.activation, orthogonal(0.01), tuning.log_std)
    dynamics = make_dynamics(spaces[0].shape[0], actions.size, config.model_hidden, first)
    uniform = Uniforms(trial.generators("first actions"), env.copies, actions.size)

    def act_at_random(obs: Tensor) -> Tensor:
        return torch.lerp(policy.low, policy.high, uniform().float())

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return policy.bounded(policy(obs).mode)

    trial.policy = act
    random, obs = visited(env, act_at_random, env.reset(), config.random_steps)
    model, mpc = Model(trial, dynamics, random, config), expert(trial, dynamics, actions, config)
    for _ in range(config.aggregations):
        trial.log(model_loss=model.fit())
        newer, obs = visited(env, mpc, obs, config.aggregation_steps)
        model.add(newer)
    trial.log(model_loss=model.fit())

    (s, a, _), obs = visited(env, mpc, obs, config.expert_steps)
    examples, shares = Examples(s, a), Uniforms(trial.generators("imitation"), config.batch_size)
    optimizer = adam(policy.network.parameters, config.learning_rate)
    for _ in range(config.relabellings):
        trial.log(imitation_loss=imitate(policy, optimizer, examples, shares, config))
        (s, _, _), obs = visited(env, act, obs, config.relabelled_steps)
        examples = joined(examples, Examples(s, mpc(s)))
    trial.log(imitation_loss=imitate(policy, optimizer, examples, shares, config))
    fine_tune(trial, env, policy, obs, tuning)
