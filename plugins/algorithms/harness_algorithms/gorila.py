"""General reinforcement learning architecture (Gorila; Nair et al., 2015, arXiv:1507.04296), of DQN.

Actors act ε-greedily by a replica θ of the parameters and fill replay memories. Learners sample these and compute

    g = ∇ mean huber(δ),   δ = r + γ d maxₐ′ Q(s′, a′; θ⁻) − Q(s, a; θ),   d = 0 where the MDP terminated, else 1

and never step themselves: they push g to a parameter server, whose shards each hold a part of θ⁺ and descend g by
AdaGrad with statistics of their own. Everyone pulls θ ← θ⁺; learners also fetch θ⁻, which is θ⁺ as it was after the
server's last multiple of N updates. Two things keep learning stable where nodes are slow or broken:

    a shard drops a gradient that is too old: more than `max_staleness` updates, or seconds, since its θ was pulled
    a learner drops its own gradient where the batch's mean |δ| is above the running mean by several deviations

An actor and a learner are a node each, or one node, a bundle, and share θ. A memory is each actor's own or global.

Departures from the paper: an actor pulls every `pull_every` steps and not before an episode, which would begin at
another step for each seed: with 1, it always acts by the newest θ, so the pull before an episode is one of these. In a
bundle there is a second one, before the gradient. One message in place of none says that a seed's gradient is dropped.
Rewards are clipped neither, nor are errors, unless κ is given. The memory's size is that of all its parts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.networks import Network, flattened
from harness_algorithms.blocks.outliers import Usual, everything
from harness_algorithms.blocks.q_learning import Transition, epsilon_greedy, huber_loss_gradient, td_error
from harness_algorithms.blocks.ranges import Positive
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms
from harness_algorithms.parallel.backends import Name, backend_of, check_cluster
from harness_algorithms.parallel.cluster import Cluster
from harness_algorithms.parallel.operations import Begin, Course, Node, Push, Role, TakeStep, Wait, Work
from harness_algorithms.parallel.parameter_server import Replica, ServedPolicy, Shard, Slope
from harness_algorithms.parallel.shared_replay import SharedReplay, keep, sample, shared_replay

POLL_SECONDS = 1e-3  # between a learner's looks into a memory that holds too little


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of Gorila."""

    backend: Name = "virtual"  # what runs the roles
    cluster: Cluster = Cluster()  # the machines, where they are virtual; actors are the first nodes, learners the last
    actors: Count = 4
    learners: Count | None = None  # on nodes of their own; None for one in a bundle with every actor
    replay: Literal["local", "global"] = "local"  # a memory per actor, or one for all
    shards: Count = 1  # of the parameter server

    discount: Fraction = 0.99  # γ, per step
    epsilon: Linear = Linear(1.0, 0.05)  # probability of a random action; until: of `epsilon_updates`
    epsilon_updates: Count = 25_000  # updates of the server
    pull_every: Count = 1  # steps of an actor between its pulls of θ⁺

    hidden: tuple[Count, ...] = (120, 84)  # units of each hidden layer
    learning_rate: Fraction = 0.01  # η of AdaGrad
    batch_size: Count = 128  # transitions
    replay_capacity: Count = 10_000  # transitions, in all memories together
    learning_starts: Annotated[int, Ge(0)] = 1_000  # steps of all actors; actions are uniformly random until then
    target_every: Count = 100  # N, updates of the server
    huber_threshold: Positive | None = (
        None  # κ, a return: gradients of larger errors are clipped to it; None for no limit
    )

    max_staleness: Annotated[int, Ge(0)] | None = 50  # updates that a gradient may miss; None for no limit
    max_staleness_seconds: Positive | None = None  # the backend's, from the pull of θ to the push of a gradient
    loss_deviations: Positive | None = 5.0  # above the mean that a loss may be; None for no limit
    loss_warm_up: Count = 1_000  # gradients of a learner before it drops any; of several θ⁻, at each of which |δ| jumps
    loss_window: Count = 1_000  # gradients that mean and deviation are about

    def __post_init__(self) -> None:
        if self.replay_capacity < self.actors:
            raise ValueError(f"replay_capacity is {self.replay_capacity}: fewer transitions than actors")
        check_cluster(self)

    @property
    def nodes(self) -> int:
        """Roles that run at the same time."""
        return self.actors + (self.learners or 0)

    @property
    def shard_names(self) -> tuple[str, ...]:
        """The parameter server."""
        return tuple(f"parameter server {i}" for i in range(self.shards))

    @property
    def memory_names(self) -> tuple[str, ...]:
        """Where each actor stores, if not on its own node."""
        return tuple("replay" if self.replay == "global" else f"replay {i}" for i in range(self.actors))


class Actor:
    """Acts and stores what happened."""

    def __init__(self, node: Node, config: Config, replica: Replica, memory: str | SharedReplay) -> None:
        self._node = node
        self._config = config
        self._replica = replica
        self._memory = memory
        self._writer = node.index if config.replay == "global" else 0
        self._num_actions = int(node.action_space.n)
        self._noise = Uniforms(node.streams("policy"), 1, 2)
        self._random_steps = config.learning_starts // config.actors
        self._steps = 0
        self._obs: Tensor | None = None

    def act(self) -> Course:
        """One step, by the newest θ⁺ if a pull is due."""
        obs = self._obs if self._obs is not None else (yield Begin())
        if self._steps % self._config.pull_every == 0:
            yield from self._replica.pull(learns=False)
        epsilon = 1.0 if self._steps < self._random_steps else self._epsilon()
        action = epsilon_greedy(self._replica.greedy(obs), self._num_actions, epsilon, self._noise())
        step = yield TakeStep(action)
        transition = Transition(obs, action, step.reward, step.discount, step.next_obs)
        yield from keep(self._memory, self._writer, transition)
        self._steps, self._obs = self._steps + 1, step.obs

    def _epsilon(self) -> Tensor:
        """ε of every seed, [S, 1]: by the updates of the server, as far as known here, not by steps."""
        shares = (self._replica.versions[0] / self._config.epsilon_updates).clamp(max=1.0).tolist()
        return torch.tensor([[self._config.epsilon(share)] for share in shares], dtype=torch.float64)


class Learner:
    """Samples a batch and pushes the gradient, dropped where its loss is unusual; never steps itself."""

    def __init__(self, number: int, node: Node, config: Config, replica: Replica, memories: Sequence[Any]) -> None:
        generators = node.streams("batches")
        self._number = number
        self._config = config
        self._replica = replica
        self._memories = memories
        self._noise = Uniforms(generators, config.batch_size)
        self._asked = self._noise()
        self._samples = 0
        seeds = len(generators)
        self._usual: Callable[[Tensor], Tensor] = everything
        if config.loss_deviations is not None:
            self._usual = Usual(seeds, config.loss_deviations, config.loss_warm_up, config.loss_window)

    def learn(self) -> Course:
        """One gradient; gives whether there was enough to sample from."""
        memory = self._memories[self._samples % len(self._memories)]
        batch = yield from sample(memory, self._asked)
        if batch is None:
            return False
        self._samples, self._asked = self._samples + 1, self._noise()
        yield from self._replica.pull(learns=True)
        pulled_at = yield from self._now()
        gradient, loss = yield Work(partial(slope_of, self._replica, batch, self._config))
        usual = self._usual(loss)
        seconds = (yield from self._now()) - pulled_at
        parts = self._replica.partition(gradient)
        for shard, part, version in zip(self._replica.shards, parts, self._replica.versions, strict=True):
            yield Push(shard, Slope(self._number, part, loss, usual, version, seconds))
        return True

    def _now(self) -> Course:
        """The time, if a limit needs it."""
        if self._config.max_staleness_seconds is None:
            return 0.0
        return (yield Wait())


@torch.no_grad()
def slope_of(replica: Replica, batch: Transition, config: Config) -> tuple[Tensor, Tensor]:
    """The gradient of the loss, [S, P], and the mean of |δ|, [S]."""
    q = replica.q
    values, tape = q.record(batch.obs)
    error = td_error(values, replica.frozen_q(batch.next_obs), batch, config.discount)
    q.backward_(tape, huber_loss_gradient(error, batch.action, values.shape[2], config.huber_threshold))
    return flattened([p.grad for p in q.parameters]), error.abs().mean(1)


def q_of(spaces: Any, config: Config, generators: Sequence[torch.Generator]) -> Network:
    """Q for a pair of spaces."""
    return stacked_network(spaces.observation_space, config.hidden, int(spaces.action_space.n), generators)


def replica_of(node: Node, config: Config) -> Replica:
    """A node's replica; what it holds before its first pull is nobody's."""
    return Replica(q_of(node, config, node.streams("initialisation")), config.shard_names)


def memory_of(spaces: Any, seeds: int, config: Config, budget: int, writers: int) -> SharedReplay:
    """A memory of some of the actors, with their share of what all remember and must have seen before learning."""
    capacity = min(config.replay_capacity // config.actors, budget)  # more is never stored
    least = config.learning_starts * writers // config.actors
    return shared_replay(spaces.observation_space, seeds, capacity, writers, least)


def bundle(node: Node, config: Config, budget: int) -> Course:
    """An actor and a learner that share θ."""
    replica = replica_of(node, config)
    memory: Any = config.memory_names[node.index]
    if config.replay == "local":
        memory = memory_of(node, len(replica.versions[0]), config, budget, writers=1)
    actor, learner = Actor(node, config, replica, memory), Learner(node.index, node, config, replica, [memory])
    while True:
        yield from actor.act()
        yield from learner.learn()


def lone_actor(node: Node, config: Config) -> Course:
    """An actor on a node of its own."""
    actor = Actor(node, config, replica_of(node, config), config.memory_names[node.index])
    while True:
        yield from actor.act()


def lone_learner(node: Node, config: Config) -> Course:
    """A learner on a node of its own, which takes local memories in turn."""
    replica = replica_of(node, config)
    learner = Learner(node.index - config.actors, node, config, replica, config.memory_names)
    while True:
        if not (yield from learner.learn()):
            yield Wait(POLL_SECONDS)


def train(trial: Trial, config: Config) -> None:
    """Start a parameter server; let actors and learners go."""
    backend = backend_of(trial, config)
    generators = trial.generators("initialisation")
    q = q_of(backend, config, generators)
    parts = Replica(q, config.shard_names).partition(flattened(q.parameters))
    how = (config.learners or config.actors, config.learning_rate, config.target_every)
    limits = (config.max_staleness, config.max_staleness_seconds)
    shards = {name: Shard(part, *how, *limits) for name, part in zip(config.shard_names, parts, strict=True)}
    names = set(config.memory_names) if config.learners or config.replay == "global" else ()
    memory = partial(memory_of, backend, len(generators), config, trial.budget)
    memories = {name: memory(writers=config.actors // len(names)) for name in names}
    if config.learners is None:
        roles: list[Role] = [partial(bundle, config=config, budget=trial.budget)] * config.actors
    else:
        roles = [partial(lone_actor, config=config)] * config.actors
        roles += [partial(lone_learner, config=config)] * config.learners
    backend.run(roles, {**shards, **memories}, ServedPolicy(q, list(shards.values())))
