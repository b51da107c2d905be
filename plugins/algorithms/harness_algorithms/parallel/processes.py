"""One process per role on this machine; stores lie in memory that all share, and nothing locks them.

Whoever pulls or pushes does the store's part itself, on the shared tensors, as the threads of A3C do. An evaluation
stops the world: steps are held back by the meter, and pushes by a gate while the policy takes over parameters.

Processes are forked: that takes a hundredth of the time in which another would import torch, and nothing of the trial's
process that they use has threads of its own yet.
"""

import pickle
import signal
import time
import traceback
from collections.abc import Mapping, Sequence
from functools import partial
from multiprocessing.connection import wait
from typing import Any

import torch
from torch import Tensor, multiprocessing

from harness.api import BudgetExhausted, Trial
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

POLL_SECONDS = 1e-3
LOG_SECONDS = 0.05
PATIENCE_SECONDS = 60.0  # for roles to end once the budget is spent
OVER = b""  # a message that ends a role


class ProcessBackend:
    """Runs every role of one run in a process of its own."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        env = trial.env_factory(0)()  # only to be looked at
        self.observation_space, self.action_space = env.observation_space, env.action_space
        env.close()

    def run(self, roles: Sequence[Role], stores: Mapping[str, Store], policy: Evaluated) -> None:
        """Run roles until the budget is spent.

        Raises:
            RuntimeError: one of them failed or was killed; it says how.
        """
        for store in stores.values():
            share(store)
        context = multiprocessing.get_context("fork")
        place = _Place(stores, Gate(len(roles)), [context.Queue() for _ in roles], context.SimpleQueue())
        processes = []
        for index, role in enumerate(roles):
            streams = partial(streams_of, self._trial.seed(f"node {index}"))
            node = Node(index, self.observation_space, self.action_space, streams)
            told = (role, node, place, self._trial.env_factory(index))
            processes.append(context.Process(target=play, args=told, name=f"node {index}"))
        self._trial.policy = _Still(policy, place, self._trial, processes)  # which evaluates it
        place.resume(self._trial)
        try:
            for process in processes:
                process.start()
            self._attend(processes, place)
        finally:
            for process in processes:
                if process.pid is not None:
                    process.kill()
                    process.join()
            for mailbox in place.mailboxes:
                mailbox.close()

    def _attend(self, processes: Sequence[Any], place: "_Place") -> None:
        """Log what stores say until all roles have ended; once one has, those that never step are told."""
        told, deadline = False, float("inf")
        while (alive := [p.sentinel for p in processes if p.is_alive()]) and time.monotonic() < deadline:
            wait(alive, LOG_SECONDS)
            for store in place.stores.values():
                self._trial.log(**store.status())
            place.resume(self._trial)
            _raise_failure(processes, place.errors)
            if not told and len(alive) < len(processes):
                told, deadline = True, time.monotonic() + PATIENCE_SECONDS
                place.over.fill_(1)
                for mailbox in place.mailboxes:
                    mailbox.put(OVER)
        _raise_failure(processes, place.errors)


class _Place:
    """What all processes share."""

    def __init__(self, stores: Mapping[str, Store], gate: "Gate", mailboxes: Sequence[Any], errors: Any) -> None:
        self.stores = stores
        self.gate = gate
        self.mailboxes = mailboxes
        self.errors = errors
        # For roles that never step, whom no meter stops: 1 ends them, and they wait while the trial evaluates.
        self.over = torch.zeros((), dtype=torch.uint8).share_memory_()
        self._evaluated = torch.zeros((), dtype=torch.int64).share_memory_()  # at which step + 1; 0 if it is over
        for mailbox in mailboxes:
            mailbox.cancel_join_thread()  # for a message that nobody reads any more must not hold up a process

    def stop(self, steps: int) -> None:
        """Have roles that never step wait: the trial evaluates."""
        self._evaluated.fill_(steps + 1)

    def resume(self, trial: Trial) -> None:
        """Let them go on once the evaluation is over, unless another has begun; `Trial.steps` waits for its end."""
        told = int(self._evaluated)
        if told and trial.steps + 1 >= told == int(self._evaluated):
            self._evaluated.fill_(0)

    @property
    def stopped(self) -> bool:
        """Whether they are to wait."""
        return bool(self._evaluated)


def _raise_failure(processes: Sequence[Any], errors: Any) -> None:
    """Raise what went wrong in a process."""
    if not errors.empty():
        raise RuntimeError(errors.get())
    for process in processes:
        if process.exitcode:
            number = process.exitcode
            how = f"was killed by {signal.Signals(-number).name}" if number < 0 else f"ended with exit code {number}"
            raise RuntimeError(f"the process of {process.name} {how}")


class Gate:
    """Keeps stores still. Of two parties each says what it wants before it looks at the other: one of them waits."""

    def __init__(self, nodes: int) -> None:
        self._closed = torch.zeros((), dtype=torch.uint8).share_memory_()
        self._inside = torch.zeros(nodes, dtype=torch.uint8).share_memory_()

    def enter(self, node: int) -> None:
        """Wait until the gate is open."""
        self._inside[node] = 1
        while self._closed:
            self._inside[node] = 0
            time.sleep(POLL_SECONDS)
            self._inside[node] = 1

    def leave(self, node: int) -> None:
        """Have done with the stores."""
        self._inside[node] = 0

    def close(self, processes: Sequence[Any]) -> None:
        """Wait until nobody who lives is inside, and let nobody in."""
        self._closed.fill_(1)
        while any(self._inside[i] and p.pid is not None and p.is_alive() for i, p in enumerate(processes)):
            time.sleep(POLL_SECONDS)

    def open(self) -> None:
        """Let them in again."""
        self._closed.fill_(0)


class _Still:
    """A policy that takes over parameters once per evaluation, while no role changes them."""

    def __init__(self, policy: Evaluated, place: _Place, trial: Trial, processes: Sequence[Any]) -> None:
        self._policy = policy
        self._place = place
        self._trial = trial
        self._processes = processes
        self._taken_at = -1  # steps, which stand still in an evaluation

    def reset(self, mask: Any) -> None:
        """Forget the past where the mask, bool [B], is true."""
        rows = torch.as_tensor(mask).unsqueeze(0)
        if (steps := self._trial.steps) != self._taken_at:
            self._place.stop(steps)
            self._place.gate.close(self._processes)
            self._policy.take_over()
            self._place.gate.open()
            self._taken_at = steps
        self._policy.reset(rows)

    def act(self, obs: Any) -> Any:
        """Actions [B, ...] of one run, for arrays."""
        return acted(self._policy, obs)


def share(store: Store) -> None:
    """Move every tensor of a store to shared memory, in place."""
    for value in vars(store).values():
        if isinstance(value, Tensor):
            value.share_memory_()


def play(role: Role, node: Node, place: _Place, factory: Any) -> None:
    """Run one role in this process until the budget is spent."""
    torch.set_num_threads(1)
    course, hands = role(node), _Hands(node, place, factory)
    result: Any = None
    try:
        while True:
            result = hands.carry_out(course.send(result))
    except (BudgetExhausted, StopIteration):
        pass
    except BaseException:
        place.errors.put(f"node {node.index}: {traceback.format_exc()}")
    finally:
        hands.close()


class _Hands:
    """Carry out what a role asks for."""

    def __init__(self, node: Node, place: _Place, factory: Any) -> None:
        self._index = node.index
        self._place = place
        self._factory = factory
        self._env: OneEnv | None = None

    def carry_out(self, operation: Operation) -> Any:
        """Do it; returns its result."""
        place = self._place
        if place.over and self._env is None and isinstance(operation, Pull | PullAll | Wait):
            raise StopIteration
        while place.stopped and self._env is None and isinstance(operation, Push | Pull | PullAll) and not place.over:
            time.sleep(POLL_SECONDS)
        match operation:
            case TakeStep():
                assert self._env is not None, "a role begins before its first step"
                return self._env.step(operation.chosen())
            case Work():
                return operation.function()
            case Pull():
                return place.stores[operation.store].pulled(operation.asked)
            case PullAll():
                return [place.stores[store].pulled(operation.asked) for store in operation.stores]
            case Push():
                place.gate.enter(self._index)
                place.stores[operation.store].pushed(operation.message)
                place.gate.leave(self._index)
            case Send():
                place.mailboxes[operation.to].put(pickle.dumps(operation.message))  # now, as it may change later
            case Receive():
                message = place.mailboxes[self._index].get()
                if message == OVER:
                    raise StopIteration
                return pickle.loads(message)
            case Wait():
                time.sleep(operation.seconds)
                return time.monotonic()
            case Begin():
                self._env = OneEnv(self._factory())
                return self._env.reset()
            case _:
                raise TypeError(f"a role yields operations, not {operation!r}")
        return None

    def close(self) -> None:
        """Close the environment."""
        if self._env is not None:
            self._env.close()
