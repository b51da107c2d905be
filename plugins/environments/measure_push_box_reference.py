"""Search levels of push-box for their shortest solutions, and print what the best policy earns in the mean.

    python plugins/environments/measure_push_box_reference.py --boxes 2

Of two solutions the shorter one earns more: both bring all boxes onto goals in the end, whatever they do between. Takes
about ten seconds on one core.
"""

import argparse
import math
import statistics
from collections.abc import Iterator

import torch

from harness_environments.arrays import push_box
from harness_environments.arrays.push_box import MOVES, ON_GOAL, SOLVED, STEP

LEVELS = 10_000

Position = tuple[int, int]  # boxes, a sum of 2 to the power of their cells, and the agent's cell


def successors(walls: int, position: Position) -> Iterator[Position]:
    """Where a step leads that changes something."""
    boxes, agent = position
    for move in MOVES:
        ahead, beyond = agent + move, agent + 2 * move
        if walls >> ahead & 1:
            continue
        if not boxes >> ahead & 1:
            yield boxes, ahead
        elif not (walls | boxes) >> beyond & 1:
            yield boxes ^ 1 << ahead ^ 1 << beyond, ahead


def shortest(level: list[int]) -> int | None:
    """Steps of the shortest solution, found breadth first; None where there is none."""
    walls, goals, boxes, agent = level
    known, edge, steps = {(boxes, agent)}, [(boxes, agent)], 0
    while edge and all(position[0] != goals for position in edge):
        reached = {after for position in edge for after in successors(walls, position)} - known
        known |= reached
        edge, steps = list(reached), steps + 1
    return steps if edge else None


def main() -> None:
    """Print the mean return of shortest solutions, and its standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boxes", type=int, default=2)
    boxes = parser.parse_args().boxes
    levels = push_box.initial(torch.Generator().manual_seed(0), (LEVELS,), boxes).tolist()
    lengths = [shortest(level) for level in levels]
    returns = [SOLVED + boxes * ON_GOAL + STEP * steps for steps in lengths if steps is not None]
    print(f"{len(returns)} of {LEVELS} can be solved, in at most {max(filter(None, lengths))} steps")
    print(statistics.fmean(returns), statistics.stdev(returns) / math.sqrt(len(returns)))


if __name__ == "__main__":
    main()
