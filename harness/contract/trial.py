"""What an algorithm is given: the types of `harness.api` that concern training."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Protocol

from annotated_types import Ge, Le

if TYPE_CHECKING:
    import gymnasium
    import numpy as np
    import torch


Count = Annotated[int, Ge(1)]
"""The type of a field of `Config` that must be 1 or more, such as a batch size: any other value is refused by name."""


Fraction = Annotated[float, Ge(0), Le(1)]
"""The type of a field of `Config` that must be from 0 to 1, such as a discount: any other value is refused by name."""


class BudgetExhausted(Exception):  # noqa: N818, because it is no error but the normal end of training
    """Raised by ``env.step`` instead of taking a step that the budget does not hold.

    Let it pass: the harness takes it as the normal end of training. It is an ``Exception``, since Gymnasium's
    worker processes forward nothing else.
    """


class ContractBroken(RuntimeError):  # noqa: N818, because it names what happened
    """The algorithm did not do what every algorithm must; the message says what and how to mend it."""


class Step(NamedTuple):
    """What one lockstep step gave; tensors with leading axes [S, N] (seeds, copies).

    Attributes:
        next_obs: the true successor, before any reset.
        reward: float32 [S, N], the environment's own.
        discount: float32 [S, N]; 0 only where the MDP terminated, so a time limit keeps 1.
        ended: bool [S, N]; an episode ended here, by either kind of end.
        obs: what to act on next; equals ``next_obs`` except where ``ended``.
    """

    next_obs: "torch.Tensor"
    reward: "torch.Tensor"
    discount: "torch.Tensor"
    ended: "torch.Tensor"
    obs: "torch.Tensor"


class Ply(NamedTuple):
    """What one move in every game gave; tensors with leading axes [S, N] (seeds, copies).

    Attributes:
        next_state: the position after the move, before any new game.
        outcome: float32 [S, N], of the first player in [-1, 1] where the game ended, else 0.
        ended: bool [S, N].
        state: what to move in next; equals ``next_state`` except where ``ended``.
    """

    next_state: "torch.Tensor"
    outcome: "torch.Tensor"
    ended: "torch.Tensor"
    state: "torch.Tensor"


class Dataset(NamedTuple):
    """Recorded transitions, M of them, on the trial's device; only to be read.

    Attributes:
        obs: [M, ...].
        action: [M, ...].
        reward: float32 [M].
        discount: float32 [M]; 0 only where the MDP terminated.
        ended: bool [M]; the last transition of an episode.
        next_obs: [M, ...].
    """

    obs: "torch.Tensor"
    action: "torch.Tensor"
    reward: "torch.Tensor"
    discount: "torch.Tensor"
    ended: "torch.Tensor"
    next_obs: "torch.Tensor"


class GameRules(Protocol):
    """A two-player game of perfect information, as functions of tensors over any leading shape.

    They are pure. A position is one tensor [..., D]; moves are numbered from 0. This is what the module named by
    ``EnvironmentSpec.game`` holds; the environment itself plays the same game against a fixed opponent.

    It may have ``played_out(state, seed)`` as well: the first player's outcomes, float32 [...], of random games from
    positions, one from each by a seed, int64 [...], of its own. Searches by random games are faster with it.
    """

    def initial(self, shape: tuple[int, ...]) -> "torch.Tensor":
        """Positions [*shape, D] at the beginning."""

    def legal(self, state: "torch.Tensor") -> "torch.Tensor":
        """Which moves are allowed, bool [..., A]."""

    def apply(self, state: "torch.Tensor", action: "torch.Tensor") -> "torch.Tensor":
        """The positions after legal moves, int64 [...]; new tensors."""

    def to_move(self, state: "torch.Tensor") -> "torch.Tensor":
        """Who moves: 0 the first player, 1 the second; int64 [...]."""

    def outcome(self, state: "torch.Tensor") -> "torch.Tensor":
        """The first player's outcome in [-1, 1], float32 [...]; NaN while the game goes on."""

    def observe(self, state: "torch.Tensor") -> "torch.Tensor":
        """What who is to move sees, as the environment's observations are."""

    def position(self, obs: "torch.Tensor") -> "torch.Tensor":
        """A position of a game that goes on which looks so to who is to move: what a policy may search from."""


class SelfPlay(Protocol):
    """S seeds x N games that an algorithm plays against itself; every ply is a step of the budget."""

    num_seeds: int
    copies: int
    rules: GameRules

    def reset(self) -> "torch.Tensor":
        """Begin all games; returns positions [S, N, D]. Called once."""

    def step(self, action: "torch.Tensor") -> Ply:
        """Make one legal move in every game, int64 [S, N]; a game that ended begins anew."""


class LockstepEnv(Protocol):
    """S seeds x N copies of the environment, stepped together as tensors on the trial's device."""

    num_seeds: int
    copies: int
    single_observation_space: "gymnasium.Space[Any]"
    single_action_space: "gymnasium.Space[Any]"

    def reset(self) -> "torch.Tensor":
        """Start the first episode of every copy; returns obs [S, N, ...]. Called once."""

    def step(self, action: "torch.Tensor") -> Step:
        """Take one step in every copy with action [S, N, ...]."""


class RecurrentPolicy(Protocol):
    """A policy with memory. Plain policies are functions ``act(obs) -> action``."""

    def reset(self, mask: Any) -> None:
        """Forget the past of the copies where mask, bool [B] ([S, B] in lockstep), is true."""

    def act(self, obs: Any) -> Any:
        """Action [B, ...] for obs [B, ...]."""


Policy = Callable[[Any], Any] | RecurrentPolicy


class Made(NamedTuple):
    """What one environment copy did with a block of steps.

    Attributes:
        steps: how many it made.
        episodes: that ended: after how many of these steps, return, length, whether terminated, whether truncated.
    """

    steps: int
    episodes: tuple[tuple[int, float, int, bool, bool], ...]


class Lease(Protocol):
    """The meter of one environment copy on another machine: it holds a block of steps, and raises beyond it."""

    left: int  # steps that may still be made; what the trial granted is put here

    def made(self) -> Made:
        """What was done since this was last asked; what is left of the block goes back with it."""


class Leases(Protocol):
    """Steps of a trial that spans machines.

    No block reaches beyond the next mark or the end of the budget, nor do all together that are out: the sum is exact.
    """

    def env_factory(self, index: int) -> "Callable[[], tuple[gymnasium.Env[Any, Any], Lease]]":
        """Makes environment copy ``index`` and its meter, on any machine that has what is installed here."""

    def grant(self, most: int) -> int:
        """Steps for one copy to make, at most so many; 0 while others hold all that there are before the next mark.

        Raises:
            BudgetExhausted: the budget is spent.
        """

    def redeem(self, index: int, granted: int, made: Made) -> int:
        """Count what copy ``index`` has made of a block, of one that is lost ``Made(0, ())``; evaluates at a mark.

        Returns:
            All steps of the trial so far.

        Raises:
            ContractBroken: that is more than it was granted.
        """


class Trial(Protocol):
    """One call of ``train``: the only door between an algorithm and the harness.

    The harness owns steps, clock, budget, seeds, evaluation and recording. An algorithm makes its
    environments here, sets ``policy``, and learns until the budget is spent.
    """

    policy: Policy
    """What the harness evaluates, whenever it chooses.

    ``act(obs[B, ...]) -> action[B, ...]``, NumPy arrays; in lockstep ``act(obs[S, B, ...]) -> action[S, B, ...]``,
    tensors. It must change nothing that training reads.
    """

    @property
    def num_seeds(self) -> int:
        """S, the number of runs trained together; 1 unless the algorithm declares ``lockstep``."""

    @property
    def budget(self) -> int:
        """Steps each run may take."""

    @property
    def steps(self) -> int:
        """Steps taken by each run so far, summed over its environment copies."""

    @property
    def progress(self) -> float:
        """``steps / budget``, in [0, 1]."""

    @property
    def within_budget(self) -> bool:
        """Whether another step may be taken."""

    @property
    def device(self) -> "torch.device":
        """Where to train."""

    @property
    def rng(self) -> "np.random.Generator":
        """The NumPy stream "policy" of this run (of the first seed in lockstep)."""

    def generators(self, tag: str = "policy") -> "list[torch.Generator]":
        """One torch generator per seed, on the trial's device, for the stream named ``tag``; policies may draw, too."""

    def seed(self, tag: str) -> int:
        """An integer below 2**31 for the stream named ``tag``: what a library's ``seed=`` wants."""

    def make_env(self) -> "gymnasium.Env[Any, Any]":
        """A metered environment, already seeded: what any library expects."""

    def make_vector_env(
        self,
        copies: int,
        vectorization: Literal["sync", "native"] = "sync",
        autoreset: Literal["next_step", "same_step", "disabled"] = "next_step",
    ) -> "gymnasium.vector.VectorEnv[Any, Any, Any]":
        """A metered vector environment, already seeded.

        "sync" steps single metered copies one after the other; "native" is the environment's own implementation,
        where it has one with that autoreset.
        """

    def make_lockstep_env(self, copies: int = 1) -> LockstepEnv:
        """S seeds x ``copies`` environments stepped together as tensors."""

    def make_game(self, copies: int = 1) -> SelfPlay:
        """S seeds x ``copies`` games of the environment's ``game``, for an algorithm that declares ``game``."""

    @property
    def known(self) -> Any:
        """What the environment's ``known`` module gives, for an algorithm that declares which it needs.

        Pure functions of tensors over any leading shape: ``reward_fn(obs, action, next_obs)``,
        ``termination_fn(obs, action, next_obs)``, ``dynamics_fn(obs, action)``, ``initial_fn(generator, shape)``.
        """

    def simulated(self, steps: int) -> None:
        """Count steps (0 or more) of each run that a model, learned or given, took in training: no sample use."""

    def planning(self) -> AbstractContextManager[None]:
        """Bills the time inside to planning: a part of learning, told apart in tables."""

    def dataset(self) -> Dataset:
        """The environment's recorded transitions, for an algorithm that declares ``dataset``."""

    def update(self) -> None:
        """Take one update of each run from the budget, before it is made; for an algorithm that declares ``dataset``.

        Raises:
            BudgetExhausted: the budget holds none.
        """

    def env_factory(self, index: int = 0) -> "Callable[[], gymnasium.Env[Any, Any]]":
        """A picklable factory of metered environment copy ``index``, for use in another process too."""

    def leases(self) -> Leases:
        """Steps in blocks, for environments on machines that share nothing with this one; of one run."""

    def log(self, **scalars: Any) -> None:
        """Record diagnostics at the current step: numbers or tensors, scalar or [S].

        They land in their own table and are never ranked. Tensors are converted when flushed, so logging
        does not wait for a device.

        Raises:
            ContractBroken: a value has another shape.
        """
