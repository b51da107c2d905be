"""A policy and a value function as one thing with one vector of parameters, with or without a memory."""

from collections.abc import Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from torch import Tensor

from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.networks import Activation, Network, flattened, load_, orthogonal
from harness_algorithms.blocks.policies import Policy, stochastic_policy
from harness_algorithms.blocks.recurrent import StackedLSTM, State, forget, stacked_lstm
from harness_algorithms.blocks.rollouts import Rollout, by_seed


class Agent:
    """π and v, both of what a memory has made of the observations, if there is one.

    Args:
        policy: π.
        v: one output.
        memory: None for none: then π and v see observations.
    """

    def __init__(self, policy: Policy, v: Network, memory: StackedLSTM | None = None) -> None:
        self.policy = policy
        self.v = v
        self.memory = memory

    @property
    def parameters(self) -> list[Tensor]:
        """Everything that learns, [S, ...] each."""
        remembering = [] if self.memory is None else self.memory.parameters
        return [*self.policy.parameters, *self.v.parameters, *remembering]

    def flat(self) -> Tensor:
        """A copy of all parameters, [S, P]."""
        return flattened(self.parameters)

    def load_(self, flat: Tensor) -> None:
        """Take over all parameters, [S, P]."""
        load_(self.parameters, flat)

    def gradient(self, loss: Tensor) -> Tensor:
        """∂ loss / ∂ parameters, [S, P], of a loss per seed, [S]."""
        gradients = torch.autograd.grad(loss.sum(), self.parameters)
        return flattened(gradients)

    def initial(self, copies: int) -> State | None:
        """What it remembers at the start."""
        return None if self.memory is None else self.memory.initial(copies)

    @torch.no_grad()
    def see(self, obs: Tensor, state: State | None) -> tuple[Tensor, State | None]:
        """What π and v see of obs [S, N, ...], and what is remembered then."""
        if self.memory is None or state is None:
            return obs, None
        state = self.memory(obs, state)
        return state[0], state

    def see_all(self, rollout: Rollout, state: State | None) -> tuple[Tensor, Tensor]:
        """What π and v see at every s and at every s′ of a rollout, [S, T·N, ...] each; differentiable.

        Args:
            rollout: fields [T, S, N, ...].
            state: what was remembered before.
        """
        if self.memory is None or state is None:
            return by_seed(rollout.obs), by_seed(rollout.next_obs)
        outputs, cells, _ = self.memory.unroll(rollout.obs, state, rollout.ended)
        seen = by_seed(outputs)
        return seen, self.memory(by_seed(rollout.next_obs), (seen, by_seed(cells)))[0]


class StoredPolicy:
    """A policy to be evaluated: the likeliest action, or the mean, of parameters that stand in a store.

    Args:
        agent: takes over the parameters.
        flat: the parameters, [S, P], which the store overwrites in place.
    """

    def __init__(self, agent: Agent, flat: Tensor) -> None:
        self._agent = agent
        self._flat = flat
        self._state: State | None = None

    def take_over(self) -> None:
        """Act by the parameters as they are now."""
        self._agent.load_(self._flat)

    def reset(self, mask: Tensor) -> None:
        """Forget the past of some copies, bool [S, B]."""
        if self._state is None or self._state[0].shape[1] != mask.shape[1]:
            self._state = self._agent.initial(mask.shape[1])
        elif self._state is not None:
            self._state = forget(self._state, mask)

    @torch.no_grad()
    def act(self, obs: Tensor) -> Tensor:
        """Actions for obs [S, B, ...]."""
        seen, self._state = self._agent.see(obs, self._state)
        return self._agent.policy.bounded(self._agent.policy(seen).mode)


class Shape(Protocol):
    """What a configuration says of an agent."""

    @property
    def hidden(self) -> tuple[int, ...]:
        """Units of each hidden layer, of π and of v, behind the memory."""

    @property
    def activation(self) -> Activation:
        """Between layers."""

    @property
    def log_std(self) -> float:
        """Initial log σ of continuous actions."""


def agent_of(
    spaces: Any, shape: Shape, generators: Sequence[torch.Generator], memory_units: int | None = None
) -> Agent:
    """The agent for a pair of spaces; π starts nearly uniform, or with means near 0.

    Args:
        spaces: has Gymnasium's ``observation_space`` and ``action_space``, of one each.
        shape: of networks.
        generators: one per seed.
        memory_units: of the memory; None for none.
    """
    memory, space = None, spaces.observation_space
    if memory_units is not None:
        memory = stacked_lstm(int(np.prod(space.shape)), memory_units, generators)
        space = gymnasium.spaces.Box(-1, 1, (memory_units,))
    layers = shape.hidden, generators, shape.activation
    policy = stochastic_policy(space, spaces.action_space, *layers, orthogonal(0.01), shape.log_std)
    v = stacked_network(space, shape.hidden, 1, generators, shape.activation, orthogonal(1.0))
    return Agent(policy, v, memory)
