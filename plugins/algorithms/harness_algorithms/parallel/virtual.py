"""A cluster in one process and in virtual time: a discrete-event scheduler.

What roles compute is computed for good; only how long it takes is imagined. Events happen in the order of virtual time,
those of one moment in the order in which they were asked for. So one seed gives one result, bit for bit, whatever the
machine does meanwhile; and as roles' courses depend on counts alone, all seeds go through the same one together.
"""

import heapq
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor

from harness.api import LockstepEnv, Trial
from harness_algorithms.parallel.cluster import Cluster, Pace
from harness_algorithms.parallel.operations import (
    Begin,
    Evaluated,
    Node,
    Operation,
    Pull,
    PullAll,
    Push,
    Receive,
    Role,
    Send,
    Store,
    TakeStep,
    Wait,
    Work,
)


@dataclass
class _Running:
    """A role and what has become of it."""

    course: Generator[Operation, Any, None]
    pace: Pace
    reward_factor: float
    env: LockstepEnv | None = None  # if it has begun
    mailbox: deque[Any] = field(default_factory=deque)
    waits: bool = False  # for a message
    over: bool = False


class _Answers:
    """What several stores answer; handed on, in the order of the stores, once it is complete."""

    def __init__(self, stores: Sequence[str], hand_on: Callable[[list[Any]], None]) -> None:
        self._stores = stores
        self._hand_on = hand_on
        self._taken: dict[str, Any] = {}

    def take(self, store: str, answer: Any) -> None:
        """The answer of one of them."""
        self._taken[store] = answer
        if len(self._taken) == len(self._stores):
            self._hand_on([self._taken[name] for name in self._stores])


class _Still:
    """A policy that takes over parameters whenever episodes begin: nothing else happens meanwhile."""

    def __init__(self, policy: Evaluated) -> None:
        self._policy = policy

    def reset(self, mask: Tensor) -> None:
        """Forget the past where the mask, bool [S, B], is true."""
        self._policy.take_over()
        self._policy.reset(mask)

    def act(self, obs: Tensor) -> Tensor:
        """Actions [S, B, ...]."""
        return self._policy.act(obs)


class VirtualBackend:
    """Runs roles and stores until the budget is spent.

    Args:
        trial: where.
        cluster: its times.
    """

    def __init__(self, trial: Trial, cluster: Cluster) -> None:
        self._trial = trial
        self._cluster = cluster
        self._unused = [trial.make_lockstep_env()]  # environments that no role has begun
        self.observation_space = self._unused[0].single_observation_space
        self.action_space = self._unused[0].single_action_space
        self._stores: Mapping[str, Store] = {}
        self._free_at: dict[str, float] = {}  # when a store has served all that has reached it
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0  # events so far
        self._nodes: list[_Running] = []
        self.now = 0.0  # virtual seconds

    def run(self, roles: Sequence[Role], stores: Mapping[str, Store], policy: Evaluated) -> None:
        """Let everything happen; ends by `harness.api.BudgetExhausted`.

        Args:
            roles: one per node.
            stores: by their names.
            policy: to be evaluated.
        """
        self._stores, self._free_at = stores, dict.fromkeys(stores, 0.0)
        for role in roles:
            self._add(role)
        for index, seconds in self._cluster.deaths:
            self._at(seconds, partial(self._end, self._nodes[index]))
        self._trial.policy = _Still(policy)
        while self._events:
            self.now, _, happen = heapq.heappop(self._events)
            happen()
        raise RuntimeError(
            f"after {self.now:g} virtual seconds and {self._trial.steps} of {self._trial.budget} steps every role has "
            "ended, died or waits for a message of another"
        )

    def _add(self, role: Role) -> None:
        """Have a role run on the next node."""
        index = len(self._nodes)
        streams = lambda tag: self._trial.generators(f"{tag} of node {index}")  # noqa: E731
        node = Node(index, self.observation_space, self.action_space, streams)
        factor = dict(self._cluster.corrupted).get(index, 1.0)
        running = _Running(role(node), self._cluster.pace(index), factor)
        self._nodes.append(running)
        self._at(0.0, partial(self._resume, running, None))

    def _at(self, time: float, happen: Callable[[], None]) -> None:
        self._asked += 1
        heapq.heappush(self._events, (time, self._asked, happen))

    def _end(self, running: _Running) -> None:
        running.over = True
        running.course.close()

    def _resume(self, running: _Running, result: Any) -> None:
        """Let a role go on until it asks for something that takes time."""
        while not running.over:
            try:
                operation = running.course.send(result)
            except StopIteration:
                running.over = True
                return
            result = None
            if isinstance(operation, Push):
                self._serve(operation.store, partial(self._push, operation))
            elif isinstance(operation, Send):
                self._at(self.now + self._cluster.hop_seconds, partial(self._deliver, operation))
            elif isinstance(operation, Begin):
                running.env = self._unused.pop() if self._unused else self._trial.make_lockstep_env()
                result = running.env.reset()
            elif isinstance(operation, Receive) and running.mailbox:
                result = running.mailbox.popleft()
            else:
                self._begin(running, operation)
                return

    def _begin(self, running: _Running, operation: Operation) -> None:
        """Begin what takes time: at its end the role is resumed."""
        match operation:
            case TakeStep():
                end = self.now + running.pace(self._cluster.step_seconds)
                self._at(end, partial(self._step, running, operation))
            case Work():
                end = self.now + running.pace(self._cluster.work_seconds * operation.units)
                self._at(end, partial(self._finish, running, operation))
            case Pull():
                answer = partial(self._answer, operation.store, operation.asked)
                self._serve(operation.store, partial(answer, partial(self._resume, running)))
            case PullAll():
                answers = _Answers(operation.stores, partial(self._resume, running))
                for store in operation.stores:
                    self._serve(store, partial(self._answer, store, operation.asked, partial(answers.take, store)))
            case Wait():
                end = self.now + operation.seconds
                self._at(end, partial(self._resume, running, end))
            case Receive():
                running.waits = True
            case _:
                raise TypeError(f"a role yields operations, not {operation!r}")

    def _step(self, running: _Running, operation: TakeStep) -> None:
        if not running.over:
            assert running.env is not None, "a role begins before its first step"
            step = running.env.step(operation.chosen())
            if running.reward_factor != 1 and self.now >= self._cluster.corrupted_from:
                step = step._replace(reward=step.reward * running.reward_factor)
            self._resume(running, step)

    def _finish(self, running: _Running, operation: Work) -> None:
        if not running.over:
            self._resume(running, operation.function())

    def _serve(self, store: str, happen: Callable[[], None]) -> None:
        """Have something happen at a store, a hop away, once that is free; in the order of asking."""
        free = max(self._free_at[store], self.now + self._cluster.hop_seconds) + self._cluster.serve_seconds
        self._free_at[store] = free
        self._at(free, happen)

    def _push(self, operation: Push) -> None:
        store = self._stores[operation.store]
        store.pushed(operation.message)
        self._trial.log(virtual_seconds=self.now, **store.status())

    def _answer(self, store: str, asked: Any, take: Callable[[Any], None]) -> None:
        """Have a store answer, and the answer taken a hop later."""
        answer = self._stores[store].pulled(asked)
        self._at(self.now + self._cluster.hop_seconds, partial(take, answer))

    def _deliver(self, operation: Send) -> None:
        running = self._nodes[operation.to]
        running.mailbox.append(operation.message)
        if running.waits:
            running.waits = False
            self._resume(running, running.mailbox.popleft())
