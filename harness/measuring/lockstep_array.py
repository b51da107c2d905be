"""S seeds x N copies of an environment as one array, stepped by a few tensor operations."""

from collections.abc import Sequence
from typing import Protocol

import torch

from harness.contract.trial import ContractBroken, Step
from harness.measuring import seeding
from harness.measuring.environments import Env, EnvironmentError_
from harness.measuring.lockstep import Lockstep, check_actions_from_zero
from harness.measuring.meter import Meter

MOST_ROWS = 256  # of initial states drawn at once
DRAWN_AT_ONCE = 2**14  # initial states per seed, unless one row is more


class ArrayModule(Protocol):
    """The functions of the module that ``EnvironmentSpec.array`` names: an MDP over any leading shape, on any device.

    They are pure: they change no argument and keep nothing. A state is one tensor [..., D], float64 so that it takes
    Gymnasium's steps to the last digits. Time limits are the harness's.
    """

    def initial(self, generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
        """Independent initial states [*shape, D], on the generator's device, drawn from it alone."""

    def step(self, state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Successor [..., D], reward [...] and termination, bool [...].

        ``action`` is int64 [...] for `Discrete`, float32 [..., *shape] for `Box`; the module treats one out of range
        as Gymnasium's environment does. Every returned tensor is a new one.
        """

    def observe(self, state: torch.Tensor) -> torch.Tensor:
        """What the agent sees of states, in the dtype of the observation space; a new tensor."""

    def state_of(self, env: Env) -> torch.Tensor:
        """The state [D] of an unwrapped Gymnasium environment: how the conformance check compares the two."""


class ArrayLockstep(Lockstep):
    """Implements `harness.contract.trial.LockstepEnv` over an array module; all it measures is as in `EnvLockstep`.

    Every seed draws its initial states from a generator of its own, a row of N at every step, used or not: so its
    episodes do not depend on the seeds beside it. ``env`` is a Gymnasium environment of the same description, for its
    spaces and time limit. It is closed.
    """

    def __init__(
        self,
        array: ArrayModule,
        env: Env,
        meter: Meter,
        seeds: Sequence[int],
        copies: int,
        device: torch.device,
        first: int,
    ) -> None:
        returns = torch.zeros(len(seeds) * copies, dtype=torch.float64, device=device)
        super().__init__(meter, len(seeds), copies, first, returns)
        self.single_observation_space = env.observation_space
        self.single_action_space = env.action_space
        env.close()
        check_actions_from_zero(self.single_action_space)
        if env.spec is None or env.spec.max_episode_steps is None:
            raise EnvironmentError_(f"{env} has no time limit")
        self._limit = env.spec.max_episode_steps
        self._array = array
        self._next_limit = self._limit  # no episode reaches its limit before this time
        self._action_shape = (self.num_seeds, copies, *(self.single_action_space.shape or ()))
        self._generators = [
            torch.Generator(device).manual_seed(seeding.integer(s, seeding.ENVIRONMENT, first)) for s in seeds
        ]
        self._rows = min(MOST_ROWS, max(1, DRAWN_AT_ONCE // copies))  # whatever the number of seeds
        self._row = self._rows  # of the next initial states
        self._ones = torch.ones(self.num_seeds, copies, device=device)

    def reset(self) -> torch.Tensor:
        """Start the first episode of every copy; returns obs [S, N, ...]."""
        began = self._start()
        self._draw()
        self._state = self._initial[self._row]
        self._row += 1
        obs = self._array.observe(self._state)
        self._bill(began)
        return obs

    def step(self, action: torch.Tensor) -> Step:
        """Take one step in every copy as `EnvLockstep.step` does; `ContractBroken` if the action has another shape."""
        if action.shape != self._action_shape:
            raise ContractBroken(f"step wants action {list(self._action_shape)}, not {list(action.shape)}")
        copies = self._take()
        began = self._now()
        self._draw()
        self._state, reward, terminated = self._array.step(self._state, action.detach())
        self._ledger.step(reward.reshape(-1))
        next_obs = self._array.observe(self._state)
        ended, over, at_limit = self._ends(terminated)
        if over:
            self._report(over, at_limit, terminated, copies)
            discount = 1 - terminated.float()
            self._state = torch.where(ended.unsqueeze(-1), self._initial[self._row], self._state)
            self._ledger.returns.masked_fill_(ended.reshape(-1), 0.0)
            obs = self._array.observe(self._state)
        else:
            discount, obs = self._ones.clone(), next_obs
        self._row += 1
        self._bill(began)
        self._settle(copies)
        return Step(next_obs, reward.float(), discount, ended, obs)

    def _ends(self, terminated: torch.Tensor) -> tuple[torch.Tensor, list[int], list[int]]:
        """Where episodes end, bool [S, N]; the flat indices of all of them, and of those at their time limit."""
        over = terminated.reshape(-1).nonzero().reshape(-1).tolist()
        time, began = self._ledger.time, self._ledger.began
        if time < self._next_limit:
            return terminated, over, []
        at_limit = [i for i, start in enumerate(began) if time - start == self._limit]
        later = [start for start in began if time - start < self._limit]
        self._next_limit = self._limit + min(later, default=time)
        if not at_limit:
            return terminated, over, []
        ended = terminated.clone(memory_format=torch.contiguous_format)
        ended.view(-1)[at_limit] = True
        return ended, sorted({*over, *at_limit}), at_limit

    def _draw(self) -> None:
        """Draw initial states [rows, S, N, D] for the next steps, when those drawn before are used up."""
        if self._row == self._rows:
            shape = (self._rows, self.copies)
            drawn = [self._array.initial(generator, shape) for generator in self._generators]
            self._initial, self._row = torch.stack(drawn, 1), 0

    def close(self) -> None:
        """Nothing is open."""
