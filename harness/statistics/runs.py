"""The scores that statistics are about: one number, or one curve, per run, grouped by task.

A run is the unit of replication; a task is an environment. Tasks may have different numbers of runs. Where runs of a
seed share its luck on several tasks, these are a block: the seed, on all of them together, is the unit there. What
becomes of a run without a score is settled by whoever builds `Runs`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of M tasks, task after task."""

    values: Floats  # [K], or [K, L] for curves on a common grid; K runs altogether
    counts: tuple[int, ...]  # [M] runs per task, at least 1 each
    weights: Floats  # [K] of the runs in pooled statistics; they add up to 1
    # [M] of the tasks, from 0; in a block, run i of every task has the same seed. Empty where tasks share some seeds:
    # then their runs are neither independent nor alike, and nothing can be said about how sure a number is.
    blocks: tuple[int, ...]

    @property
    def tasks(self) -> int:
        """M."""
        return len(self.counts)

    @property
    def fewest(self) -> int:
        """The number of runs of the task that has the fewest."""
        return min(self.counts)

    @property
    def fewest_units(self) -> int:
        """The number of units of the block that has the fewest, 0 if there are none."""
        return min(self.units, default=0)

    @cached_property
    def units(self) -> tuple[int, ...]:
        """[B] how many units each block has: runs of its first task."""
        return tuple(self.counts[self.blocks.index(block)] for block in range(max(self.blocks, default=-1) + 1))

    @cached_property
    def unit(self) -> Integers:
        """[K] the unit of each run, of all blocks one after the other."""
        begins = np.cumsum([0, *self.units[:-1]])
        return np.concatenate([begins[b] + np.arange(n) for b, n in zip(self.blocks, self.counts, strict=True)])

    @cached_property
    def equal(self) -> bool:
        """Whether every task has the same number of runs; then every run has the same weight."""
        return len(set(self.counts)) == 1

    @cached_property
    def starts(self) -> Integers:
        """[M] where the runs of each task begin."""
        return np.cumsum([0, *self.counts[:-1]])

    @cached_property
    def task(self) -> Integers:
        """[K] the task of each run."""
        return np.repeat(np.arange(self.tasks), self.counts)

    def first(self, runs: int) -> "Runs":
        """The first so many runs of each task."""
        return ragged([values[:runs] for values in self.by_task()], self.blocks)

    def by_task(self) -> list[Floats]:
        """The values of each task, [n_m] or [n_m, L]."""
        return np.split(self.values, self.starts[1:])

    def points(self) -> "list[Runs]":
        """One `Runs` per point of the curves."""
        return [replace(self, values=column) for column in self.values.T]


def ragged(tasks: Sequence[ArrayLike], blocks: Sequence[int] | None = None) -> Runs:
    """Runs of tasks that may have different numbers of them; every task has the same weight, 1/M.

    Args:
        tasks: M arrays [n_m] of scores, or [n_m, L] of curves.
        blocks: [M] of the tasks, numbered from 0 in the order in which they come; each its own, if None; empty where
            tasks share some seeds.

    Raises:
        ValueError: for no task, for a task without a run, for a block of tasks with unlike numbers of runs, and for
            scores that are not finite. (Points of curves may be NaN: a run is not evaluated beyond its end.)
    """
    arrays = [np.asarray(task, float) for task in tasks]
    if not arrays:
        raise ValueError("there is no task")
    if empty := [index for index, array in enumerate(arrays) if not len(array)]:
        raise ValueError(f"tasks {empty} have no runs")
    values = np.concatenate(arrays)
    if np.isinf(values).any() or (values.ndim == 1 and np.isnan(values).any()):
        raise ValueError("some scores are not finite: say what becomes of runs without a score")
    counts = tuple(map(len, arrays))
    blocks = tuple(range(len(counts)) if blocks is None else blocks)
    if len({*zip(blocks, counts, strict=False)}) > len({*blocks}) or len(blocks) not in (0, len(counts)):
        raise ValueError(f"tasks with {counts} runs are not of the blocks {blocks}")
    return Runs(values, counts, np.repeat([1 / (len(counts) * n) for n in counts], counts), blocks)


def matrix(scores: ArrayLike, blocks: Sequence[int] | None = None) -> Runs:
    """Runs of a design in which every task has the same number of them: scores [N, M], or curves [N, M, L].

    Raises:
        ValueError: as `ragged` does.
    """
    return ragged(list(np.moveaxis(np.asarray(scores, float), 1, 0)), blocks)
