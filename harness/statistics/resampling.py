"""Resamples of whole runs, stratified by task.

A resample draws, for each block of tasks on its own, as many of its units as it has, with replacement: on every
task of the block the same ones. It is a row of *indices* into `Runs.values`; a run's curve is drawn in one piece,
because only its index is drawn.

Resamples are drawn in blocks of fixed size, each from its own generator, which is seeded by the number of the
block. So neither the memory at hand, nor the number of threads, nor how many resamples are asked for decides
what resample 17 is. (NumPy's bounded integers discard buffered bits at the end of a call: with one generator
for all, the stream would depend on how it is cut.)
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.statistics.runs import Floats, Runs, ragged

Indices = NDArray[np.intp]

SEED = 0
BLOCK = 512  # resamples; a multiple of 4
INDICES_AT_ONCE = 2**20  # indices in memory: 8 MiB


def resamples(runs: Runs, count: int, stream: int = 0, rows: int | None = None) -> Iterator[Indices]:
    """Indices of so many resamples, [b, K] at a time with b at most ``rows``, or `rows_at_once`.

    Of the runs only counts and blocks matter. Samples that are to be resampled independently have different streams.
    """
    first = np.repeat(runs.starts, runs.counts)
    rows = rows or rows_at_once(runs)
    for rng, block in _blocks(count, stream):
        picked = _picked(rng, runs)[:block]
        for begin in range(0, block, rows):
            yield np.add(picked[begin : begin + rows], first, dtype=np.intp)


def resamples_of_tasks(runs: Runs, count: int) -> Iterator[Indices]:
    """Resamples that draw tasks as well, for statements about tasks like these rather than about these.

    Every place of a resample is given to a task drawn with replacement, and filled with runs of that task,
    drawn anew for each place, or once for all where the tasks are one block.

    Raises:
        ValueError: for different numbers of runs per task, when the size of a resample would be random, and for
            several blocks of which one has several tasks.
    """
    if not runs.equal or len(runs.units) not in (1, runs.tasks):
        raise ValueError("tasks can be resampled only where each has the same number of runs, of seeds alike related")
    for rng, block in _blocks(count):
        tasks = rng.integers(runs.tasks, size=(BLOCK, runs.tasks))
        begins = np.repeat(runs.starts[tasks], runs.counts[0], axis=1)
        yield np.add(_picked(rng, runs), begins, dtype=np.intp)[:block]


def rows_at_once(*groups: Runs) -> int:
    """How many resamples of each group fit in memory, at least one."""
    return max(1, INDICES_AT_ONCE // max(len(runs.values) for runs in groups))


def draws(runs: Runs, indices: Indices) -> Floats:
    """How often each run was drawn, [b, K]; whole numbers."""
    size = len(runs.values)
    flat = indices + size * np.arange(len(indices))[:, None]
    return np.bincount(flat.ravel(), minlength=flat.size).reshape(indices.shape).astype(float)


@lru_cache(maxsize=8)
def shares(counts: tuple[int, ...], count: int, stream: int = 0, blocks: tuple[int, ...] | None = None) -> Floats:
    """What share of the mean over tasks each run has in so many resamples, [count, K].

    It is the same for all groups with as many runs, and a report has hundreds of them: so the matrix is kept.
    """
    runs = ragged([np.zeros(n) for n in counts], blocks)
    drawn = np.concatenate([draws(runs, indices) for indices in resamples(runs, count, stream=stream)])
    drawn *= runs.weights
    drawn.setflags(write=False)
    return drawn


def identity(runs: Runs) -> Indices:
    """The resample that is the sample, [1, K]: what a statistic makes of it is its estimate."""
    return np.arange(len(runs.values))[None]


def _blocks(count: int, stream: int = 0) -> Iterator[tuple[np.random.Generator, int]]:
    """The generator of each block, and its size; the last is cut short, after it was drawn whole."""
    for index, begin in enumerate(range(0, count, BLOCK)):
        seed = np.random.SeedSequence(SEED, spawn_key=(stream, index))
        yield np.random.default_rng(seed), min(BLOCK, count - begin)


def _picked(rng: np.random.Generator, runs: Runs) -> NDArray[np.unsignedinteger]:
    """Indices within each task, [BLOCK, K]."""
    if runs.equal:
        picked = _below(rng, runs.fewest, sum(runs.units))
    else:
        picked = np.concatenate([_below(rng, n, n) for n in runs.units], axis=1)
    return picked if len(runs.units) == runs.tasks else picked[:, runs.unit]


def _below(rng: np.random.Generator, bound: int, width: int) -> NDArray[np.unsignedinteger]:
    """Uniform integers below a bound, [BLOCK, width], from 16 random bits each (Lemire, 2019, arXiv:1805.10941).

    ⌊bits · bound / 2¹⁶⌋ is uniform once the few products are redrawn whose low half is below 2¹⁶ mod bound.
    """
    if bound > 2**16:
        return rng.integers(bound, size=(BLOCK, width), dtype=np.uint32)
    words = rng.integers(2**64, size=BLOCK * width // 4, dtype=np.uint64)
    products = np.multiply(words.view(np.uint16), np.uint32(bound), dtype=np.uint32)
    uneven = (products & 0xFFFF) < 2**16 % bound
    products >>= 16
    products[uneven] = rng.integers(bound, size=np.count_nonzero(uneven))
    return products.reshape(BLOCK, width)
