"""Roles as actors of a Ray cluster; stores, and the meter, stay in the trial's process, which serves one at a time.

An actor lets its role go on until that needs what is not on its node: a store, a message, or steps beyond its lease.
What it did until then it tells in one turn. So the trial counts every step, evaluates between turns, while nobody
changes a store, and knows what a lost node has not told: its steps go to the others.

The cluster is the one that RAY_ADDRESS names, as in Ray's own programs; without, one of this machine, for the trial.
"""

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import ray
import torch
from ray import exceptions

from harness.api import Made, Trial, code, code_differences
from harness_algorithms.parallel.as_found import left_as_found
from harness_algorithms.parallel.one_env import OneEnv, acted, streams_of
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

LEASE = 64  # steps of one turn at most
READY_SECONDS = 120.0  # for all roles to have a place and to import what they need
PLUGIN = "harness-algorithms"
QUIET = {"log_to_driver": False, "logging_level": "CRITICAL", "include_dashboard": False}
VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_LOG_TO_STDERR": "1",  # Ray would keep files open until the process ends
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}


class Steps(NamedTuple):
    """What a role needs that has none left."""


class Turn(NamedTuple):
    """What a role did, and what it needs."""

    made: Made
    sent: tuple[Push | Send, ...]
    needs: Pull | PullAll | Receive | Steps | None  # to be answered; None if the role is over


class Host:
    """A role on a node of its own."""

    def __init__(self, role: Role, index: int, seed: int, factory: Any) -> None:
        torch.set_num_threads(1)
        env, self._lease = factory()
        self._env = OneEnv(env)
        self._course = role(Node(index, env.observation_space, env.action_space, partial(streams_of, seed)))
        self._unmade: TakeStep | None = None  # a step that the lease did not hold

    def differences(self, told: Mapping[str, Any]) -> str:
        """How the code here is not the trial's; empty if it is."""
        return code_differences(told)

    def go(self, answer: Any, granted: int) -> Turn:
        """Go on until something is needed that is not here."""
        self._lease.left = granted
        sent: list[Push | Send] = []
        operation: Operation | None = self._unmade or self._next(answer)
        self._unmade = None
        while operation is not None:
            if isinstance(operation, TakeStep) and not self._lease.left:
                self._unmade = operation
                return Turn(self._lease.made(), tuple(sent), Steps())
            if isinstance(operation, Pull | PullAll | Receive):
                return Turn(self._lease.made(), tuple(sent), operation)
            if isinstance(operation, Push | Send):
                sent.append(operation)
                operation = self._next(None)
            else:
                operation = self._next(self._carried_out(operation))
        return Turn(self._lease.made(), tuple(sent), None)

    def _next(self, result: Any) -> Operation | None:
        try:
            return self._course.send(result)
        except StopIteration:
            return None

    def _carried_out(self, operation: Operation) -> Any:
        match operation:
            case TakeStep():
                return self._env.step(operation.chosen())
            case Work():
                return operation.function()
            case Begin():
                return self._env.reset()
            case Wait():
                time.sleep(operation.seconds)
                return time.monotonic()
        raise TypeError(f"a role yields operations, not {operation!r}")


class _Still:
    """A policy that takes over parameters whenever episodes begin: between turns nothing else happens."""

    def __init__(self, policy: Evaluated) -> None:
        self._policy = policy

    def reset(self, mask: Any) -> None:
        """Forget the past where the mask, bool [B], is true."""
        self._policy.take_over()
        self._policy.reset(torch.as_tensor(mask).unsqueeze(0))

    def act(self, obs: Any) -> Any:
        """Actions [B, ...] of one run, for arrays."""
        return acted(self._policy, obs)


@contextlib.contextmanager
def _joined(roles: int) -> Iterator[None]:
    """Belong to a cluster."""
    with left_as_found():
        os.environ.update({**VARIABLES, **os.environ})
        there = os.environ.get("RAY_ADDRESS", "")
        ray.init(address=there or "local", **({} if there else {"num_cpus": roles}), **QUIET)
        try:
            yield
        finally:
            ray.shutdown()


class RayBackend:
    """Runs every role of one run as an actor of a Ray cluster."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._leases = trial.leases()
        env, _ = self._leases.env_factory(0)()  # only to be looked at
        self.observation_space, self.action_space = env.observation_space, env.action_space
        env.close()

    def run(self, roles: Sequence[Role], stores: Mapping[str, Store], policy: Evaluated) -> None:
        """Run roles until the budget is spent; a role whose node is lost is left out, if the others can go on.

        Raises:
            RuntimeError: a role failed or has no place, or none can go on.
        """
        self._trial.policy = _Still(policy)
        with _joined(len(roles)):
            served = _Served(self._trial, self._leases, stores, self._started(roles))
            while True:
                served.turn()

    def _started(self, roles: Sequence[Role]) -> list[Any]:
        """An actor for each role, on as many nodes as there are."""
        processors = [each["Resources"].get("CPU", 0.0) for each in ray.nodes() if each["Alive"]]
        shares = (n for n in range(1, len(roles) + 1) if sum(int(each * n) for each in processors) >= len(roles))
        share = 1 / next(shares, len(roles))  # so large that every role fits on one node, as those of no other do
        host = ray.remote(Host).options(num_cpus=share, scheduling_strategy="SPREAD", max_restarts=0)
        hosts = [
            host.remote(role, i, self._trial.seed(f"node {i}"), self._leases.env_factory(i))
            for i, role in enumerate(roles)
        ]
        try:
            told = code(PLUGIN)
            found = ray.get([each.differences.remote(told) for each in hosts], timeout=READY_SECONDS)
        except exceptions.GetTimeoutError:
            where = f"{len(roles)} roles, on nodes with {processors} processors"
            raise RuntimeError(f"Ray had no place after {READY_SECONDS:g} s for all of {where}") from None
        except exceptions.RayError as error:
            raise RuntimeError(f"a role could not begin: {error}") from None
        if other := next(filter(None, found), ""):
            raise RuntimeError(f"a node of the Ray cluster has other code than the trial: {other}")
        return hosts


class _Served:
    """The trial's side of all turns."""

    def __init__(self, trial: Trial, leases: Any, stores: Mapping[str, Store], hosts: Sequence[Any]) -> None:
        self._trial = trial
        self._leases = leases
        self._stores = stores
        self._hosts = hosts
        self._mailboxes: list[deque[Any]] = [deque() for _ in hosts]
        self._going: dict[Any, int] = {}  # turns that roles are at, and whose they are
        self._granted = [0] * len(hosts)
        self._hungry: deque[int] = deque()  # roles that wait for steps
        self._listening: set[int] = set()  # roles that wait for a message
        for index in range(len(hosts)):
            self._go(index, None, 0)

    def turn(self) -> None:
        """Take the next turn that ends, and let everybody go on who can."""
        if not self._going:
            raise RuntimeError(
                f"after {self._trial.steps} of {self._trial.budget} steps every role has ended, was lost or waits for "
                "a message of another"
            )
        (ready,), _ = ray.wait(list(self._going), num_returns=1)
        index = self._going.pop(ready)
        try:
            told = ray.get(ready)
        except exceptions.RayTaskError as error:
            raise RuntimeError(f"node {index}: {error}") from None
        except exceptions.RayError:  # its node, or its process, was lost
            told = Turn(Made(0, ()), (), None)
        granted, self._granted[index] = self._granted[index], 0
        self._leases.redeem(index, granted, told.made)
        for message in told.sent:
            self._deliver(message)
        for waiting in [self._hungry.popleft() for _ in range(len(self._hungry))]:
            self._feed(waiting)  # first: a role that goes on and on without stepping would keep what it is granted
        self._answer(index, told.needs, LEASE if told.made.steps else 0)

    def _go(self, index: int, answer: Any, most: int) -> None:
        """Let a role go on with an answer, and with steps if it is one that steps."""
        self._granted[index] = granted = self._leases.grant(most)
        self._going[self._hosts[index].go.remote(answer, granted)] = index

    def _feed(self, index: int) -> None:
        """Let a role go on that wants to step, if there are steps."""
        granted = self._leases.grant(LEASE)
        if granted:
            self._granted[index] = granted
            self._going[self._hosts[index].go.remote(None, granted)] = index
        else:
            self._hungry.append(index)

    def _answer(self, index: int, needs: Pull | PullAll | Receive | Steps | None, most: int) -> None:
        match needs:
            case Steps():
                self._feed(index)
            case Pull():
                self._go(index, self._stores[needs.store].pulled(needs.asked), most)
            case PullAll():
                self._go(index, [self._stores[store].pulled(needs.asked) for store in needs.stores], most)
            case Receive() if self._mailboxes[index]:
                self._go(index, self._mailboxes[index].popleft(), most)
            case Receive():
                self._listening.add(index)

    def _deliver(self, message: Push | Send) -> None:
        if isinstance(message, Push):
            store = self._stores[message.store]
            store.pushed(message.message)
            self._trial.log(**store.status())
        elif message.to in self._listening:
            self._listening.remove(message.to)
            self._go(message.to, message.message, 0)
        else:
            self._mailboxes[message.to].append(message.message)
