"""Parallel roles played by hand, on steps and noise that a test writes."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.api import Step
from harness_algorithms.parallel.operations import Begin, Node, Pull, Push, Receive, Send, Store, TakeStep, Work


class Row(NamedTuple):
    """What happens at one step whatever is done, and the noise that the action is drawn with; [S, 1, ...] each."""

    obs: Tensor
    reward: Tensor
    discount: Tensor
    ended: Tensor
    next_obs: Tensor
    noise: Tensor


def rows(count: int, seeds: int, features: int, actions: int, random: torch.Generator) -> list[Row]:
    """Steps at random; some terminate, some are cut by a time limit."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(seeds, 1, *shape, generator=random)

    made = []
    for _ in range(count):
        ended = torch.rand(seeds, 1, generator=random) < 0.2
        discount = 1.0 - (ended & (torch.rand(seeds, 1, generator=random) < 0.5)).float()
        made.append(Row(normal(features), 1 + normal(), discount, ended, normal(features), normal(actions)))
    return made


def played(
    roles: Sequence[Callable[[Node], Any]], scripts: Sequence[Sequence[Row]], stores: Mapping[str, Store], spaces: Any
) -> list[Tensor]:
    """Let roles go in turn until one has no more rows; returns the actions of each, [T, S, 1, ...].

    A role's stream "policy" is the iterator over its rows' noise; the others are generators of seeds 0, 1, ...
    """
    mailboxes: list[deque[Any]] = [deque() for _ in roles]
    actions: list[list[Tensor]] = [[] for _ in roles]
    rows = [iter(script) for script in scripts]
    current: list[Any] = [None] * len(roles)
    seeds = len(scripts[0][0].obs)

    def node(index: int) -> Node:
        def streams(tag: str) -> Any:
            if tag == "policy":
                return iter([row.noise for row in scripts[index]])
            return [torch.Generator().manual_seed(seed) for seed in range(seeds)]

        return Node(index, *spaces, streams)

    courses = [role(node(index)) for index, role in enumerate(roles)]
    asked: list[Any] = [next(course) for course in courses]
    while True:
        for index, course in enumerate(courses):
            while not (isinstance(asked[index], Receive) and not mailboxes[index]):
                result: Any = None
                match asked[index]:
                    case Begin():
                        current[index] = next(rows[index])
                        result = current[index].obs
                    case TakeStep(action):
                        actions[index].append(action)
                        row, following = current[index], next(rows[index], None)
                        if following is None:
                            return [torch.stack(taken) if taken else torch.empty(0) for taken in actions]
                        result = Step(row.next_obs, row.reward, row.discount, row.ended, following.obs)
                        current[index] = following
                    case Work(function):
                        result = function()
                    case Pull(store, what):
                        result = stores[store].pulled(what)
                    case Push(store, message):
                        stores[store].pushed(message)
                    case Send(to, message):
                        mailboxes[to].append(message)
                    case Receive():
                        result = mailboxes[index].popleft()
                asked[index] = course.send(result)
