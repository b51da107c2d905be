"""DPPO whose workers send data, not gradients: M. Zhou's tutorial (script 12) on Heess et al., 2017, arXiv:1707.02286.

Workers act by the learner's π, each in a copy of the environment of its own, and send it fragments of what happened
until there is a whole batch. While it learns from that as `ppo` does, with a clipped ratio, they wait.

Departures from the tutorial: a batch is exactly as large as asked for, because fragments are given out until it is
whole, and not pooled until a counter that all write to is above a limit; so nothing is thrown away when workers pause,
and a quick worker makes more fragments than a slow one. A fragment that is cut is followed by v(s′), an episode that
ended by termination by nothing; fragments go through the ends of episodes. One rate for π and v.
"""

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms import ppo
from harness_algorithms.blocks.agents import StoredPolicy, agent_of
from harness_algorithms.blocks.networks import Activation
from harness_algorithms.blocks.optim import adam, set_learning_rate
from harness_algorithms.blocks.ranges import NotNegative, Positive
from harness_algorithms.blocks.rollouts import Rollout
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.blocks.streams import Uniforms
from harness_algorithms.parallel.backends import Name, backend_of, check_cluster
from harness_algorithms.parallel.cluster import Cluster
from harness_algorithms.parallel.operations import Begin, Node, Operation, Pull, Push, Receive, Role, Send, Work
from harness_algorithms.parallel.published import Published
from harness_algorithms.parallel.rollouts import rolled_out

PUBLISHED = "published parameters"


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of DPPO by data."""

    backend: Name = "virtual"  # what runs the workers
    cluster: Cluster = Cluster()  # the machines, where they are virtual; worker i is node i, the learner the last one
    workers: Count = 4

    discount: Fraction = 0.99  # γ, per step
    lambda_: Fraction = 0.95  # λ of the advantages, 1 in the tutorial
    clip: Linear = Linear(0.2, 0.2)  # ε
    batch_size: Count = 256  # steps of all workers together between updates
    fragments: Count = 8  # that a batch consists of; their number divides `batch_size`
    passes: Count = 20  # over each batch
    minibatches: Count = 1  # per pass; their number divides `batch_size`

    hidden: tuple[Count, ...] = (64, 64)  # units of each hidden layer, of π and of v
    activation: Activation = "tanh"  # between layers
    log_std: float = 0.0  # of continuous actions at the start, log σ; learned, the same in every state

    learning_rate: Linear = Linear(2.5e-3, 0.0)  # of Adam, by the steps of all workers
    standardised_advantages: bool = True  # to mean 0 and deviation 1, in each minibatch
    value_weight: NotNegative = 0.5  # c_v
    entropy_weight: NotNegative | None = 0.0  # c_e; None for 0.01 of discrete actions and 0 of continuous ones
    max_gradient_norm: Positive | None = 0.5  # of each seed's gradient, over π and v; None for no limit

    def __post_init__(self) -> None:
        check_cluster(self)
        for name in ("fragments", "minibatches"):
            if self.batch_size % getattr(self, name):
                raise ValueError(
                    f"batch_size: {self.batch_size} steps are no {name} = {getattr(self, name)} equal ones"
                )
        if self.fragments < self.workers:
            raise ValueError(
                f"fragments: {self.fragments} are fewer than workers = {self.workers}, some of whom would idle"
            )

    @property
    def nodes(self) -> int:
        """Roles that run at the same time, the learner among them."""
        return self.workers + 1


class Ticket(NamedTuple):
    """The learner's order for one fragment."""

    number: int  # within the batch
    flat: Tensor | None  # θ, [S, P]; None if the worker has that already


class Fragment(NamedTuple):
    """What a worker sends back."""

    worker: int
    number: int
    rollout: Rollout


def worker(node: Node, config: Config) -> Generator[Operation, Any, None]:
    """Make a fragment for every ticket, by the learner's π."""
    agent = agent_of(node, config, node.streams("initialisation"))
    noise = agent.policy.noise(node.streams("policy"), 1)
    obs = yield Begin()
    while True:
        ticket = yield Receive()
        if ticket.flat is not None:
            agent.load_(ticket.flat)
        length = config.batch_size // config.fragments
        rollout, obs = yield from rolled_out(agent.policy, lambda obs: obs, noise, obs, length)
        yield Send(config.workers, Fragment(node.index, ticket.number, rollout))


def collected(config: Config, flat: Tensor) -> Generator[Operation, Any, tuple[Rollout, list[int]]]:
    """A batch by π of θ, [S, P], with its fragments as copies, by ticket; and how many each worker made."""
    for index in range(config.workers):
        yield Send(index, Ticket(index, flat))
    given, made_by = config.workers, [0] * config.workers
    fragments: dict[int, Rollout] = {}
    while len(fragments) < config.fragments:
        answer = yield Receive()
        fragments[answer.number] = answer.rollout
        made_by[answer.worker] += 1
        if given < config.fragments:
            yield Send(answer.worker, Ticket(given, None))
            given += 1
    columns = zip(*(fragments[number] for number in sorted(fragments)), strict=True)
    return Rollout._make(torch.cat(column, 2) for column in columns), made_by


def learner(node: Node, config: Config, budget: int) -> Generator[Operation, Any, None]:
    """Have a batch collected, learn from all of it, forget it."""
    agent = agent_of(node, config, node.streams("initialisation"))
    agent.load_((yield Pull(PUBLISHED)))
    optimizer = adam(agent.parameters, config.learning_rate.start, ppo.ADAM_EPSILON)
    shuffle = Uniforms(node.streams("batches"), config.batch_size)
    for number in count(1):
        rollout, made_by = yield from collected(config, agent.flat())
        progress = min(1.0, number * config.batch_size / budget)
        set_learning_rate(optimizer, config.learning_rate(progress))
        batch = ppo.batch_of(rollout, agent.policy, agent.v, config)
        learn = partial(ppo.update, agent.policy, agent.v, optimizer, batch, shuffle, config, config.clip(progress))
        terms = yield Work(learn, units=config.passes * config.minibatches)
        told = {
            "flat": agent.flat(),
            "value_loss": terms.value,
            "most_fragments": torch.tensor(max(made_by)),  # of one worker
        }
        yield Push(PUBLISHED, told)


def train(trial: Trial, config: Config) -> None:
    """Let workers and the learner go."""
    backend = backend_of(trial, config)
    agent = agent_of(backend, config, trial.generators("initialisation"))
    rest = {"value_loss": torch.zeros(trial.num_seeds), "most_fragments": torch.zeros((), dtype=torch.int64)}
    published = Published(agent.flat(), [*rest], **rest)
    roles: list[Role] = [*[partial(worker, config=config)] * config.workers]
    roles.append(partial(learner, config=config, budget=trial.budget))
    backend.run(roles, {PUBLISHED: published}, StoredPolicy(agent, published.flat))
