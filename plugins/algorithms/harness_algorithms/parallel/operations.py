"""What the roles of a parallel algorithm are made of.

A role, such as an actor, a learner or a chief, is a generator: it yields operations and is sent their results. What it
yields says what is to be done, never how: a backend carries it out, in virtual time (`virtual`) or in processes
(`processes`). A store, such as a shard of a parameter server or a replay memory, is passive: it answers what is pulled
from it and takes in what is pushed to it, one at a time.

Everything has a leading seed axis S. What a role does next may depend on counts, never on numbers that differ between
seeds, so that all seeds share one course of events; where seeds differ, tensors hold masks.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from harness.api import RecurrentPolicy


class Begin(NamedTuple):
    """Begin the first episode; gives obs, [S, 1, ...]. Once, before the first `TakeStep`."""


class TakeStep(NamedTuple):
    """Take one step with action [S, 1, ...] in the role's own copy of the environment; gives a `harness.api.Step`.

    The action may be a function that gives it, which is called when the step is taken.
    """

    action: Tensor | Callable[[], Tensor]

    def chosen(self) -> Tensor:
        """The action."""
        return self.action() if callable(self.action) else self.action


class Work(NamedTuple):
    """Do what takes time on the role's node; gives what ``function()`` returns. One unit is one gradient."""

    function: Callable[[], Any]
    units: float = 1.0


class Pull(NamedTuple):
    """Ask a store; gives what its ``pulled`` returns."""

    store: str
    asked: Any = None


class PullAll(NamedTuple):
    """Ask several stores at the same time; gives the list of what they answer, once all have."""

    stores: tuple[str, ...]
    asked: Any = None


class Push(NamedTuple):
    """Give a store something; the role goes on at once, and its later pulls come after."""

    store: str
    message: Any


class Send(NamedTuple):
    """Put a message into the mailbox of another role, by its node; the role goes on at once."""

    to: int
    message: Any


class Receive(NamedTuple):
    """Wait for the next message in one's own mailbox; gives that. Messages of one sender arrive in order."""


class Wait(NamedTuple):
    """Do nothing for some seconds, or for none; gives the time then, in seconds since some moment in the past."""

    seconds: float = 0.0


Operation = Begin | TakeStep | Work | Pull | PullAll | Push | Send | Receive | Wait
Course = Generator[Operation, Any, Any]
"""Operations of a role, or of a part of one."""


class Store(Protocol):
    """What roles share. All that changes lies in tensors, the attributes of the store, written in place."""

    def pulled(self, asked: Any) -> Any:
        """The answer: tensors of its own, which no later push changes."""

    def pushed(self, message: Any) -> None:
        """Take something in."""

    def status(self) -> Mapping[str, Tensor]:
        """Diagnostics worth keeping, [S] or [] each."""


@dataclass(frozen=True)
class Node:
    """Where a role runs.

    Attributes:
        index: of the node, from 0; one role runs on each.
        observation_space, action_space: Gymnasium's, of one observation and one action.
        streams: one torch generator per seed for a tag, of this node alone.
    """

    index: int
    observation_space: Any
    action_space: Any
    streams: Callable[[str], list[torch.Generator]]


Role = Callable[[Node], Generator[Operation, Any, None]]


class Evaluated(RecurrentPolicy, Protocol):
    """A policy that is evaluated by parameters of its own, taken over from a store that stands still meanwhile."""

    def take_over(self) -> None:
        """Act by the parameters as they are now."""


class Backend(Protocol):
    """What carries out operations."""

    observation_space: Any
    action_space: Any

    def run(self, roles: Sequence[Role], stores: Mapping[str, Store], policy: Evaluated) -> None:
        """Run roles, one per node, and stores until the budget is spent.

        Args:
            roles: node i runs the i-th.
            stores: by their names.
            policy: to be evaluated.

        Raises:
            RuntimeError: the budget cannot be spent any more.
        """
