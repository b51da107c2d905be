"""Permutation tests of whether new runs score less than old ones, exact where there are few permutations.

H₀: new runs are at least as good. If runs are independent, their labels can be swapped under H₀; if they are
paired by seed, the signs of their differences can. The first permutation is always the identity, so that no
p-value is 0. Statistics lie on scales that permuting does not change, with variance 1, so that tasks add up.
"""

from functools import lru_cache
from itertools import combinations, product
from math import comb, prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.statistics.runs import Floats

EXACT = 20_000  # permutations, up to which all of them are tried
RANDOM = 10_000  # permutations tried otherwise, identity included
SEED = 0
ROUNDING = 1e-9  # two statistics of scale 1 that are closer are equal

Labels = NDArray[np.bool_]


@lru_cache(maxsize=16)  # because looks and reports ask several questions of the same permutations
def labels(sizes: tuple[tuple[int, int], ...], random: int = RANDOM, seed: int = SEED) -> tuple[Labels, ...]:
    """Which runs are called old, [P, n + n′] per task, row 0 the first n; tasks are permuted jointly.

    Sizes are old and new runs (n, n′) per task; where there are more than `EXACT` permutations, ``random`` are drawn.
    """
    if prod(comb(n + m, n) for n, m in sizes) <= EXACT:
        return _kept(_product([_every_choice(n + m, n) for n, m in sizes]))
    rng = np.random.default_rng(seed)
    drawn = []
    for n, m in sizes:
        first = np.arange(n + m) < n
        drawn.append(np.vstack([first, rng.permuted(np.tile(first, (random - 1, 1)), axis=1)]))
    return _kept(drawn)


@lru_cache(maxsize=16)  # likewise
def signs(sizes: tuple[int, ...], random: int = RANDOM, seed: int = SEED) -> tuple[Labels, ...]:
    """Which differences keep their sign, [P, n] per task, row 0 all of them; tasks are permuted jointly."""
    if 2 ** sum(sizes) <= EXACT:
        every = [np.array(list(product([True, False], repeat=n))).reshape(-1, n) for n in sizes]
        return _kept(_product(every))
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(2, size=(random - 1, n)).astype(bool) for n in sizes)
    return _kept([np.vstack([np.ones(n, bool), rows]) for n, rows in zip(sizes, drawn, strict=True)])


def share_at_least(statistics: ArrayLike) -> Floats:
    """p-values: the share of permutations [P, ...] whose statistic is at least that of the first."""
    statistics = np.asarray(statistics, float)
    return np.asarray((statistics >= statistics[0] - ROUNDING).mean(axis=0))


def mean_drop(old: ArrayLike, new: ArrayLike, permuted: Labels) -> Floats:
    """How much the new mean is below the old, in standard deviations of that under permutation, [P].

    With unequal numbers of runs each permutation has its own standard error, as Welch's statistic does;
    with equal numbers that would change no p-value. 0 where all scores are equal. ``permuted`` is what `labels` gives.
    """
    pooled = np.concatenate([np.asarray(old, float), np.asarray(new, float)])
    pooled = pooled - pooled.mean()
    n, m = np.size(old), np.size(new)
    variance = pooled.var(ddof=1)
    if not variance > ROUNDING**2 * np.max(np.abs(np.concatenate([np.ravel(old), np.ravel(new)]))) ** 2:
        return np.zeros(len(permuted))
    total = permuted @ pooled
    drop = total * (1 / n + 1 / m) - pooled.sum() / m
    if n == m or min(n, m) == 1:
        return np.asarray(drop / np.sqrt(variance * (1 / n + 1 / m)))
    squares = permuted @ pooled**2
    var_old = (squares - total**2 / n) / (n - 1)
    var_new = (np.sum(pooled**2) - squares - (pooled.sum() - total) ** 2 / m) / (m - 1)
    squared_error = np.maximum(var_old, 0) / n + np.maximum(var_new, 0) / m + ROUNDING * variance
    return np.asarray(drop / np.sqrt(squared_error))


def rank_drop(old: ArrayLike, new: ArrayLike, permuted: Labels) -> Floats:
    """`mean_drop` of midranks: the Mann-Whitney statistic, standardised, [P]."""
    ranks = midranks(np.concatenate([np.asarray(old, float), np.asarray(new, float)]))
    return _score_drop(ranks, np.size(old), np.size(new), permuted)


def top_drop(old: ArrayLike, new: ArrayLike, permuted: Labels) -> Floats:
    """`rank_drop` of the better half of all runs, less what the worse half gained, [P].

    The worse half counts as equal (Gastwirth, 1965, Percentile modifications of two sample rank tests): where some
    runs fail whatever the code, they are on both sides, and hide from means and ranks what became of the others. A
    gain of the worse half is taken off, or mended failures would make a loss at the top a regression.
    """
    ranks = midranks(np.concatenate([np.asarray(old, float), np.asarray(new, float)]))
    from_median = ranks - (len(ranks) + 1) / 2
    halves = np.maximum(from_median, 0), np.minimum(from_median, 0)
    top, bottom = (_score_drop(half, np.size(old), np.size(new), permuted) for half in halves)
    return np.asarray(top + np.minimum(bottom, 0))


def _score_drop(scores: Floats, n: int, m: int, permuted: Labels) -> Floats:
    """How much less the last m of n + m scores are than the first n, standardised under permutation, [P]."""
    variance = scores.var(ddof=1) * (1 / n + 1 / m)
    if variance == 0:
        return np.zeros(len(permuted))
    return np.asarray((permuted @ scores * (1 / n + 1 / m) - scores.sum() / m) / np.sqrt(variance))


def mean_paired_drop(differences: ArrayLike, kept: Labels) -> Floats:
    """Σ ±d / √Σ d² of differences d = old - new, [P]; 0 where all are 0. ``kept`` is what `signs` gives."""
    differences = np.asarray(differences, float)
    scale = np.sqrt(np.sum(differences**2))
    if scale == 0:
        return np.zeros(len(kept))
    return np.asarray((2 * (kept @ differences) - differences.sum()) / scale)


def rank_paired_drop(differences: ArrayLike, kept: Labels) -> Floats:
    """`mean_paired_drop` of signed midranks: Wilcoxon's statistic, standardised, [P]; equal pairs have rank 0."""
    differences = np.asarray(differences, float)
    ranks = np.zeros(len(differences))
    unequal = differences != 0
    ranks[unequal] = midranks(np.abs(differences[unequal]))
    return mean_paired_drop(np.sign(differences) * ranks, kept)


def midranks(values: ArrayLike) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, where, counts = np.unique(np.asarray(values, float), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[where])


def _every_choice(total: int, chosen: int) -> Labels:
    """Every choice of so many of a total, [P, total]; the first chooses the first ones."""
    indices = np.array(list(combinations(range(total), chosen)))
    table = np.zeros((len(indices), total), bool)
    np.put_along_axis(table, indices, True, axis=1)
    return table


def _kept(tables: list[Labels]) -> tuple[Labels, ...]:
    """The tables, safe from whoever they are given to."""
    for table in tables:
        table.setflags(write=False)
    return tuple(tables)


def _product(tables: list[Labels]) -> list[Labels]:
    """Every combination of a row of each table; the first combines the first rows."""
    grids = np.meshgrid(*(np.arange(len(table)) for table in tables), indexing="ij")
    return [table[grid.ravel()] for table, grid in zip(tables, grids, strict=True)]
