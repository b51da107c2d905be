"""Asynchronous advantage actor-critic (A3C; Mnih et al., 2016, arXiv:1602.01783, algorithm S3).

Each worker has a copy of the environment and of the agent. It takes over the shared parameters θ, acts for t_max
steps, and descends, by itself and waiting for nobody, on

    −Σ log π(a|s) (G − v(s)) + c_v (G − v(s))² − c_e H[π(·|s)],    G = Σᵢ γⁱ rᵢ + γⁿ v(s′ₙ)

with RMSProp whose statistics g are shared, too, and nothing locked:  g ← α g + (1 − α) Δθ²,  θ ← θ − η Δθ / √(g + ε).
Workers in different parts of the environment take the place of a replay memory.

Departures from the paper: a worker acts for t_max steps through the ends of episodes, as copies do in A2C, and not to
the first end only, so that its course does not depend on chance; the last value is left out where the MDP terminated,
and only there; π and v share no layer but the memory; initial weights are orthogonal.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.agents import Agent, StoredPolicy, agent_of
from harness_algorithms.blocks.networks import Activation, flattened
from harness_algorithms.blocks.optim import clip_
from harness_algorithms.blocks.policies import entropy_weight
from harness_algorithms.blocks.ranges import NotNegative, Positive
from harness_algorithms.blocks.recurrent import State, forget
from harness_algorithms.blocks.returns import discounted_returns
from harness_algorithms.blocks.rollouts import Rollout, by_seed, by_time
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.parallel.backends import Name, backend_of, check_cluster
from harness_algorithms.parallel.cluster import Cluster
from harness_algorithms.parallel.operations import Begin, Node, Operation, Pull, Push, Role, TakeStep, Work
from harness_algorithms.parallel.together import Together

SHARED = "shared parameters"
MOST = 2**20  # parameters side by side, above which nothing is gained


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of A3C."""

    backend: Name = "virtual"  # what runs the workers
    cluster: Cluster = Cluster()  # the machines, where they are virtual; worker i is node i
    workers: Count = 8

    discount: Fraction = 0.99  # γ, per step
    rollout_length: Count = 5  # t_max, steps between updates

    hidden: tuple[Count, ...] = (64, 64)  # units of each hidden layer, of π and of v
    activation: Activation = "tanh"  # between layers
    memory_units: Count | None = None  # of a long short-term memory that π and v see by; None for none
    log_std: float = 0.0  # of continuous actions at the start, log σ; learned, the same in every state

    learning_rate: Linear = Linear(2e-3, 0.0)  # η, by the steps of all workers
    value_learning_rate: Linear | None = None  # of v, as RMSProp makes no difference of c_v; None for η
    rms_decay: Fraction = 0.99  # α, per update
    rms_epsilon: Positive = 1e-5  # ε, inside the root
    value_weight: NotNegative = 0.5  # c_v
    entropy_weight: NotNegative | None = None  # c_e; None for 0.01 of discrete actions and 0 of continuous ones
    max_gradient_norm: Positive | None = None  # of each worker's gradient; None for no limit

    def __post_init__(self) -> None:
        check_cluster(self)

    @property
    def nodes(self) -> int:
        """Roles that run at the same time."""
        return self.workers


class Slope(NamedTuple):
    """What a worker pushes."""

    worker: int
    gradient: Tensor  # [S, P]
    steps: int  # that it is of
    version: int  # how many updates had made the θ it was taken at


class SharedParameters:
    """θ and the statistics of RMSProp, which every worker overwrites.

    Args:
        flat: θ, [S, P].
        budget: steps of all workers.
        config: hyper-parameters.
        of_value: the place of v's parameters among the P.
    """

    def __init__(self, flat: Tensor, budget: int, config: Config, of_value: slice = slice(0)) -> None:
        self.flat = flat
        self.squares = torch.zeros_like(flat)  # g
        # Each worker counts in a place of its own: so nothing is lost, though nothing is locked.
        self.steps = torch.zeros(config.workers, dtype=torch.int64)  # T is their sum
        self.updates = torch.zeros(config.workers, dtype=torch.int64)
        self.staleness = torch.zeros((), dtype=torch.int64)  # of the last gradient: updates since its θ was pulled
        self._budget = budget
        self._config = config
        self._of_value = of_value

    def pulled(self, asked: None) -> tuple[Tensor, int]:
        """θ as it is, and how many updates have made it."""
        return self.flat.clone(), int(self.updates.sum())

    @torch.no_grad()
    def pushed(self, message: Slope) -> None:
        """One step of RMSProp down a worker's gradient."""
        gradient = message.gradient
        self.steps[message.worker] += message.steps
        decay = self._config.rms_decay
        self.squares.mul_(decay).add_(gradient.square().mul_(1 - decay))
        self.flat.sub_(gradient.mul_(self._rates()).div_((self.squares + self._config.rms_epsilon).sqrt_()))
        self.staleness.copy_(self.updates.sum() - message.version)
        self.updates[message.worker] += 1

    def _rates(self) -> float | Tensor:
        """The step size now; of each of the parameters, [P], where v has one of its own."""
        progress = min(1.0, int(self.steps.sum()) / self._budget)
        rate, of_value = self._config.learning_rate(progress), self._config.value_learning_rate
        if of_value is None:
            return rate
        rates = self.flat.new_full(self.flat.shape[1:], rate)
        rates[self._of_value] = of_value(progress)
        return rates

    def status(self) -> Mapping[str, Tensor]:
        """How many updates there were, and how old the last one was."""
        return {"updates": self.updates.sum(), "staleness": self.staleness}


def gradient(agent: Agent, rollout: Rollout, state: State | None, config: Config) -> Tensor:
    """The gradient of the loss, a sum over the rollout, [S, P]; ``state`` is what was remembered before it."""
    seen, seen_next = agent.see_all(rollout, state)
    value = agent.v(seen).squeeze(2)  # [S, T]
    with torch.no_grad():
        bootstrap = by_time(agent.v(seen_next).squeeze(2), 1)
        discount = config.discount * rollout.discount
        target = by_seed(discounted_returns(rollout.reward, discount, rollout.ended, bootstrap))
        advantage = target - value
    distribution = agent.policy(seen)
    policy_loss = -distribution.log_prob(by_seed(rollout.action)) * advantage
    bonus = entropy_weight(config.entropy_weight, agent.policy) * distribution.entropy()
    return agent.gradient((policy_loss + config.value_weight * (target - value).square() - bonus).sum(1))


class Crew:
    """The agents of those workers who act, or learn, at the same time, side by side.

    Args:
        make: gives an agent of so many rows.
        most: workers at once.
    """

    def __init__(self, make: Callable[[int], Agent], most: int) -> None:
        self._make = make
        self._made: dict[int, Agent] = {}  # by their rows
        self.act, self.slope = Together(self._acts, most), Together(self._slopes, most)

    def _joined(self, agents: Sequence[Agent]) -> Agent:
        """One agent that is all of these."""
        if len(agents) == 1:
            return agents[0]
        flat = torch.cat([agent.flat() for agent in agents])
        if len(flat) not in self._made:
            self._made[len(flat)] = self._make(len(flat))
        self._made[len(flat)].load_(flat)
        return self._made[len(flat)]

    @torch.no_grad()
    def _acts(self, asked: Sequence[Any]) -> list[tuple[Tensor, Tensor, State | None]]:
        """Of an agent for obs, what is remembered and noise: an action as sampled and as taken, and the new memory."""
        agents, obs, states, noise = zip(*asked, strict=True)
        agent = self._joined(agents)
        seen, state = agent.see(torch.cat(obs), side_by_side(states))
        action = agent.policy(seen).sample(torch.cat(noise))
        taken = agent.policy.bounded(action)
        remembered = [None] * len(asked) if state is None else zip(*(x.chunk(len(asked)) for x in state), strict=True)
        return [*zip(action.chunk(len(asked)), taken.chunk(len(asked)), remembered, strict=True)]

    def _slopes(self, asked: Sequence[Any]) -> Sequence[Tensor]:
        """Of an agent for a rollout, what was remembered before it, and a configuration: the gradient, [S, P]."""
        agents, rollouts, states, configs = zip(*asked, strict=True)
        rollout = Rollout._make(torch.cat(column, 1) for column in zip(*rollouts, strict=True))
        return gradient(self._joined(agents), rollout, side_by_side(states), configs[0]).chunk(len(asked))


def side_by_side(states: Sequence[State | None]) -> State | None:
    """What several remember."""
    h, c = zip(*(state or (None, None) for state in states), strict=True)
    return None if h[0] is None else (torch.cat(h), torch.cat(c))


def worker(node: Node, config: Config, crew: Crew) -> Generator[Operation, Any, None]:
    """An actor-learner: take over θ, act, push the gradient of what happened, at the θ that acted."""
    agent = made(node, config, node.streams("initialisation"))
    noise = agent.policy.noise(node.streams("policy"), 1)
    obs = yield Begin()
    state = agent.initial(1)
    while True:
        flat, version = yield Pull(SHARED)
        agent.load_(flat)
        rows, before = [], state
        for _ in range(config.rollout_length):
            acted = crew.act.later(agent, obs, state, noise())
            step = yield TakeStep(lambda acted=acted: acted()[1])
            action, _, state = acted()
            rows.append((obs, action, step.reward, step.discount, step.ended, step.next_obs))
            state = None if state is None else forget(state, step.ended)
            obs = step.obs
        rollout = Rollout._make(torch.stack(column) for column in zip(*rows, strict=True))
        slope = yield Work(crew.slope.later(agent, rollout, before, config))
        if config.max_gradient_norm is not None:
            clip_([slope], config.max_gradient_norm)
        yield Push(SHARED, Slope(node.index, slope, config.rollout_length, version))


def made(spaces: Any, config: Config, generators: list[torch.Generator]) -> Agent:
    """The agent for a pair of spaces."""
    return agent_of(spaces, config, generators, config.memory_units)


def train(trial: Trial, config: Config) -> None:
    """Share parameters; let workers go."""
    backend = backend_of(trial, config)
    agent = made(backend, config, trial.generators("initialisation"))
    before, own = (flattened(network.parameters).shape[1] for network in (agent.policy, agent.v))
    shared = SharedParameters(agent.flat(), trial.budget, config, slice(before, before + own))
    spaces = SimpleNamespace(observation_space=backend.observation_space, action_space=backend.action_space)
    crew = Crew(lambda rows: made(spaces, config, [torch.Generator()] * rows), max(1, MOST // shared.flat.numel()))
    roles: list[Role] = [partial(worker, config=config, crew=crew)] * config.workers
    backend.run(roles, {SHARED: shared}, StoredPolicy(agent, shared.flat))
