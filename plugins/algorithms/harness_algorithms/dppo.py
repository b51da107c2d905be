"""Distributed proximal policy optimisation (DPPO; Heess et al., 2017, arXiv:1707.02286, algorithms 2 and 3).

PPO with a penalty whose data stay where they are made. Each of W workers acts by π_old for its share of a batch, in
windows of K steps at whose ends v stands for what follows. Then it sends a chief, time after time, the gradient of

    −ρ Â + β d + ξ max(0, d − 2 target)² + c_v (v(s) − G)²,    d = KL(π_old(·|s) ‖ π(·|s)),    ρ = π(a|s) / π_old(a|s)

over its share. The chief waits for W − D gradients, goes down their average by Adam, and tells the new θ. What comes
later is dropped, and who sent it goes on from where the chief is. π rests in a seed where d is beyond 4 targets. After
the passes, β is multiplied by 1.5 where d is above 2 targets, and divided by it where d is below half of one.

Observations are seen relative to mean and deviation of all before, rewards in units of their deviation. The chief
merges what workers know of theirs; also of their advantages, which are standardised over the batch, not over a share.

Departures from the paper: there is one β and one place where π rests, by the average d, not one per worker by its own,
and v goes on there; gradients of π and v travel together, as neither depends on the other; statistics change between
batches only, so that a batch is of one π_old; what lies farther than 10 deviations is seen there; a worker that is late
with its share joins in while the batch lasts; shares go through the ends of episodes; β has the bounds of `ppo_kl`; λ
may be below 1; nothing is recurrent.
"""

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.agents import Agent, StoredPolicy, agent_of
from harness_algorithms.blocks.convolutions import frames_of
from harness_algorithms.blocks.moments import Moments, Scale, merged, moments_of, nothing
from harness_algorithms.blocks.networks import Activation, parts
from harness_algorithms.blocks.optim import Adam, adam, clip_gradients_, resting, set_learning_rate
from harness_algorithms.blocks.ranges import NotNegative, Positive
from harness_algorithms.blocks.returns import gae
from harness_algorithms.blocks.rollouts import Rollout, by_seed, by_time
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.parallel.backends import Name, backend_of, check_cluster
from harness_algorithms.parallel.cluster import Cluster
from harness_algorithms.parallel.operations import Begin, Node, Operation, Pull, Push, Receive, Role, Send, Work
from harness_algorithms.parallel.published import Published
from harness_algorithms.parallel.rollouts import rolled_out
from harness_algorithms.parallel.staff import Answer, Staff, Stage
from harness_algorithms.ppo_kl import ADAM_EPSILON, Batch, Distribution, adapted, terms

PUBLISHED = "published parameters"
Share = tuple[Batch, Distribution]  # what a worker learns from, and π_old(·|s) there
FARTHEST = 10.0  # deviations from the mean that are told apart in an observation


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of DPPO."""

    backend: Name = "virtual"  # what runs the workers
    cluster: Cluster = Cluster()  # the machines, where they are virtual; worker i is node i, the chief the last one
    workers: Count = 4  # W; they divide `batch_size`
    dropped: int = 0  # D, workers that the chief does not wait for

    discount: Fraction = 0.99  # γ, per step
    lambda_: Fraction = 0.95  # λ of the advantages, 1 in the paper
    batch_size: Count = 512  # steps of all workers together between changes of π_old
    window: Count = 32  # K, steps of which a worker adds up rewards
    passes: Count = 20  # over each batch

    target_kl: Positive = 0.01  # in nats, of one batch's updates
    beta: NotNegative = 1.0  # β at the start
    hinge: NotNegative = 50.0  # ξ

    hidden: tuple[Count, ...] = (64, 64)  # units of each hidden layer, of π and of v
    activation: Activation = "tanh"  # between layers
    log_std: float = 0.0  # of continuous actions at the start, log σ; learned, the same in every state

    learning_rate: Linear = Linear(1e-3, 1e-3)  # of Adam, by the steps of all workers
    value_weight: NotNegative = 0.5  # c_v
    max_gradient_norm: Positive | None = 0.5  # of each seed's average gradient, over π and v; None for no limit
    standardised_advantages: bool = True  # to mean 0 and deviation 1, over the batch
    normalised_observations: bool = True  # unless they are frames
    scaled_rewards: bool = True

    def __post_init__(self) -> None:
        check_cluster(self)
        if self.batch_size % self.workers:
            raise ValueError(
                f"batch_size: {self.batch_size} steps cannot be shared equally by workers = {self.workers}"
            )
        if not 0 <= self.dropped < self.workers:
            raise ValueError(f"dropped: at least 0 and less than workers = {self.workers}, not {self.dropped}")

    @property
    def nodes(self) -> int:
        """Roles that run at the same time, the chief among them."""
        return self.workers + 1

    @property
    def share(self) -> int:
        """Steps of one worker in a batch."""
        return self.batch_size // self.workers


class Collect(NamedTuple):
    """The order to act for a share of a batch; answered by moments of observations, rewards and advantages."""

    stage: Stage
    flat: Tensor  # θ, [S, P]
    observed: Scale  # of observations, F features; none if they are not normalised
    rewarded: Scale  # of rewards


class Descend(NamedTuple):
    """The order to compute a gradient, or after the last pass none; answered by that, [S, P] or None, and by d, [S]."""

    stage: Stage
    flat: Tensor
    advantage: Scale  # of the batch's
    beta: Tensor  # [S]


class Standing(StoredPolicy):
    """The policy that is evaluated, which sees as workers do: relative to what is published beside θ."""

    def __init__(self, agent: Agent, published: Published) -> None:
        super().__init__(agent, published.flat)
        self._published = published

    def take_over(self) -> None:
        """Act by what is published now."""
        super().take_over()
        self._observed = Scale(self._published.mean.clone(), self._published.deviation.clone())

    def act(self, obs: Tensor) -> Tensor:
        """Actions for obs [S, B, ...]."""
        return super().act(seen(obs, self._observed))


def seen(obs: Tensor, observed: Scale) -> Tensor:
    """What π and v see of observations [S, B, ...]."""
    return observed.of(obs.flatten(2)).clamp_(-FARTHEST, FARTHEST) if observed.mean.shape[2] else obs


def features_of(observation_space: Any, config: Config) -> int:
    """F, the numbers of an observation that are normalised."""
    normalised = config.normalised_observations and frames_of(observation_space) is None
    return int(observation_space.low.size) if normalised else 0


@torch.no_grad()
def share_of(rollout: Rollout, agent: Agent, order: Collect, config: Config) -> tuple[Share, list[Moments]]:
    """A worker's share as learning sees it, and the moments of its observations, rewards and advantages."""
    raw, reward = by_seed(rollout.obs), by_seed(rollout.reward)
    obs, next_obs = seen(raw, order.observed), seen(by_seed(rollout.next_obs), order.observed)
    scaled = reward / order.rewarded.deviation.squeeze(2) if config.scaled_rewards else reward
    value, next_value = agent.v(obs).squeeze(2), agent.v(next_obs).squeeze(2)
    cut = rollout.ended.clone()
    cut[config.window - 1 :: config.window] = True
    discount = config.discount * rollout.discount
    advantage = by_seed(
        gae(by_time(scaled, 1), discount, cut, by_time(value, 1), by_time(next_value, 1), config.lambda_)
    )
    batch = Batch(obs, by_seed(rollout.action), advantage, advantage + value)
    observations = raw.flatten(2)[:, :, : order.observed.mean.shape[2]]
    share = batch, agent.policy.frozen()(obs)
    return share, [moments_of(x) for x in (observations, reward.unsqueeze(2), advantage.unsqueeze(2))]


def slope(agent: Agent, share: Share, order: Descend, config: Config) -> tuple[Tensor | None, Tensor]:
    """The gradient of the loss over a share, [S, P], None after the last pass; and d, [S]."""
    agent.load_(order.flat)
    batch, old = share
    if config.standardised_advantages:
        batch = batch._replace(advantage=order.advantage.of(batch.advantage.unsqueeze(2)).squeeze(2))
    found = terms(agent.policy(batch.obs), old, agent.v, batch)
    if order.stage[1] > config.passes:
        return None, found.kl.detach()
    penalty = order.beta * found.kl + config.hinge * (found.kl - 2 * config.target_kl).clamp(min=0).square()
    return agent.gradient(found.policy + penalty + config.value_weight * found.value), found.kl.detach()


def descend(agent: Agent, optimizer: Adam, gradient: Tensor, near: Tensor, max_norm: float | None) -> None:
    """One step down a gradient [S, P], of π only in seeds where ``near`` [S] says so."""
    for parameter, part in parts(agent.parameters, gradient):
        parameter.grad = part.contiguous()
    if max_norm is not None:
        clip_gradients_(agent.parameters, max_norm)
    with resting(optimizer, agent.policy.parameters, ~near):
        optimizer.step()


def worker(node: Node, config: Config) -> Generator[Operation, Any, None]:
    """Do what the chief orders: act for a share, then compute gradients of it."""
    agent = agent_of(node, config, node.streams("initialisation"))
    noise = agent.policy.noise(node.streams("policy"), 1)
    obs = yield Begin()
    order = yield Receive()
    while True:
        agent.load_(order.flat)
        rollout, obs = yield from rolled_out(
            agent.policy, partial(seen, observed=order.observed), noise, obs, config.share
        )
        share, moments = share_of(rollout, agent, order, config)
        yield Send(config.workers, Answer(node.index, order.stage, moments))
        while isinstance(order := (yield Receive()), Descend):
            told = yield Work(partial(slope, agent, share, order, config))
            yield Send(config.workers, Answer(node.index, order.stage, told))


def chief(node: Node, config: Config, budget: int) -> Generator[Operation, Any, None]:
    """Have workers collect a batch; descend on the average of their gradients several times over; begin anew."""
    agent = agent_of(node, config, node.streams("initialisation"))
    agent.load_((yield Pull(PUBLISHED)))
    optimizer = adam(agent.parameters, config.learning_rate.start, ADAM_EPSILON)
    seeds, staff = len(agent.flat()), Staff(config.workers, config.dropped)
    observed, rewarded = nothing(seeds, features_of(node.observation_space, config)), nothing(seeds, 1)
    beta = torch.full((seeds,), config.beta)
    for number in count():
        collect = Collect((number, 0), agent.flat(), observed.scale, rewarded.scale)
        reports = yield from staff.told(collect, collect)
        observed, rewarded, advantage = map(merged, (observed, rewarded, nothing(seeds, 1)), *reports)
        set_learning_rate(optimizer, config.learning_rate(min(1.0, int(rewarded.count) / budget)))
        near = torch.ones(seeds, dtype=torch.bool)
        for turn in range(1, config.passes + 2):
            order = Descend((number, turn), agent.flat(), advantage.scale, beta)
            gradients, kls = zip(*(yield from staff.told(order, collect)), strict=True)
            kl = sum(kls) / len(kls)
            if turn <= config.passes:
                near &= kl <= 4 * config.target_kl
                descend(agent, optimizer, sum(gradients) / len(gradients), near, config.max_gradient_norm)
        told = {"flat": agent.flat(), **observed.scale._asdict(), "kl": kl, "beta": beta}
        yield Push(PUBLISHED, {**told, "dropped": torch.tensor(staff.late)})
        beta = adapted(beta, kl, config.target_kl, beyond=2.0, factor=1.5)


def published_first(flat: Tensor, features: int) -> Published:
    """What is published before the first batch: θ, [S, P], and the scale of F features of which none was seen."""
    rest = {name: value.clone() for name, value in nothing(len(flat), features).scale._asdict().items()}
    kl, beta, dropped = torch.zeros(len(flat)), torch.zeros(len(flat)), torch.zeros((), dtype=torch.int64)
    return Published(flat, ("kl", "beta", "dropped"), kl=kl, beta=beta, dropped=dropped, **rest)


def train(trial: Trial, config: Config) -> None:
    """Let workers and their chief go."""
    backend = backend_of(trial, config)
    agent = agent_of(backend, config, trial.generators("initialisation"))
    published = published_first(agent.flat(), features_of(backend.observation_space, config))
    roles: list[Role] = [*[partial(worker, config=config)] * config.workers]
    roles.append(partial(chief, config=config, budget=trial.budget))
    backend.run(roles, {PUBLISHED: published}, Standing(agent, published))
