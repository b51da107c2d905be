"""How sure a number about runs is: intervals of aggregates and of their differences, bands of curves.

The bootstrap of few runs is too narrow: its variance is (n-1)/n of what it should be, and its tails are normal
where Student's are due. So distances from the estimate are widened by √(n/(n-1)) · t_{Σ(n-1)} / z. On a single
task with fewer than `STUDENT_BELOW` runs, Student's t takes its place; below `FEWEST_RUNS` there is no interval.
"""

from collections.abc import Sequence
from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.aggregates import MEAN, Aggregate, replicates
from harness.statistics.laws import NORMAL, student_quantile
from harness.statistics.resampling import resamples, resamples_of_tasks, shares
from harness.statistics.runs import Floats, Runs
from harness.statistics.students import difference_and_error, mean_and_error

LEVEL = 0.95
FEWEST_RUNS = 3  # per task; below this no interval is shown
STUDENT_BELOW = 10  # runs of a single task
DEGREES_OF_A_BAND = 4  # with two, a simultaneous band of 95 % holds 84 % of curves
ROUNDING = 1e-9
FURTHEST = 6.0  # standard deviations, beyond which a normal's tail is lost in rounding
RESAMPLES = 50_000
CURVE_RESAMPLES, DIFFERENCE_RESAMPLES = 5_000, 10_000
BOOTSTRAP, BOOTSTRAP_OF_TASKS, STUDENT, NONE = "bootstrap", "bootstrap of tasks", "student", "none"
BOUNDED = "bounded mean"


class Estimate(NamedTuple):
    """A number and its confidence interval.

    Attributes:
        value: the estimate.
        low, high: ends of the interval; NaN where there are too few runs for one.
        method: "bootstrap", "bootstrap of tasks", "student", "bounded mean" or "none".
    """

    value: float
    low: float
    high: float
    method: str

    @property
    def turned(self) -> "Estimate":
        """The same of a difference the other way round."""
        return Estimate(0.0 - self.value, 0.0 - self.high, 0.0 - self.low, self.method)


class Bands(NamedTuple):
    """A curve [L] and two bands around it; NaN where some run has no value, or where there are too few runs.

    Attributes:
        value: the curve.
        low, high: the band that holds any one point of the true curve with the given confidence.
        simultaneous_low, simultaneous_high: the band that holds the whole true curve with the given confidence.
    """

    value: Floats
    low: Floats
    high: Floats
    simultaneous_low: Floats
    simultaneous_high: Floats

    def within(self, least: float, most: float) -> "Bands":
        """The parts of both bands that `clipped` leaves."""
        return Bands(self[0], *clipped(*self[:3], least, most), *clipped(self[0], *self[3:], least, most))


def clipped(value: Any, low: Any, high: Any, least: Any, most: Any) -> tuple[Floats, Floats]:
    """The ends of an interval where its number can be; a bound is none if it is NaN, or if the number is beyond it."""
    lowest, highest = (low < least) & (least <= value), (high > most) & (most >= value)
    return np.where(lowest, least, low), np.where(highest, most, high)


def intervals(
    groups: Sequence[Runs], aggregates: Sequence[Aggregate], *, of_tasks: bool = False, count: int = RESAMPLES
) -> list[list[Estimate]]:
    """Each statistic of each group with its interval, by the widened percentile bootstrap or by Student's t.

    A group's numbers depend on no other group: those with equally many runs are merely resampled in one go. With
    ``of_tasks`` the tasks are resampled too: for a statement about tasks like these.

    Returns:
        [G][Q] of G groups and Q statistics.
    """
    found: dict[int, list[Estimate]] = {}
    resampled: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for index, runs in enumerate(groups):
        if runs.fewest_units < FEWEST_RUNS or (of_tasks and runs.tasks < FEWEST_RUNS):
            found[index] = [Estimate(each(runs), np.nan, np.nan, NONE) for each in aggregates]
        elif runs.tasks == 1 and runs.fewest < STUDENT_BELOW:
            found[index] = [_student(*mean_and_error(runs.values, each)) for each in aggregates]
        else:
            resampled.setdefault((runs.counts, runs.blocks), []).append(index)
    for indices in resampled.values():
        same = [groups[index] for index in indices]
        drawn = (resamples_of_tasks if of_tasks else resamples)(same[0], count)
        wider = widening([same[0].tasks] if of_tasks else same[0].units)
        method = BOOTSTRAP_OF_TASKS if of_tasks else BOOTSTRAP
        of_groups = replicates(same, aggregates, drawn)
        for index, of_group in zip(indices, of_groups, strict=True):
            values = [each(groups[index]) for each in aggregates]
            whole = zip(values, *ends(values, of_group.T, wider), strict=True)
            found[index] = [Estimate(value, float(low), float(high), method) for value, low, high in whole]
    return [found[index] for index in range(len(groups))]


def difference(a: Runs, b: Runs, *, paired: bool, level: float = LEVEL) -> Estimate:
    """The mean of ``a`` less that of ``b``, with its interval; that of ``b`` less ``a`` is the same, turned round.

    Groups are paired where run i of a task has the same seed in both; then both are resampled together, and what they
    share cancels. Otherwise they are resampled independently.

    Raises:
        ValueError: for groups that are not on the same tasks, or are paired and differ in their runs.
    """
    alike(a, b, paired)
    if a.values.tolist() > b.values.tolist():  # whoever is named first, the resamples are the same
        return difference(b, a, paired=paired, level=level).turned
    value = MEAN(a) - MEAN(b)
    if min(a.fewest_units, b.fewest_units) < FEWEST_RUNS:
        return Estimate(value, np.nan, np.nan, NONE)
    if a.tasks == 1 and min(a.fewest, b.fewest) < STUDENT_BELOW:
        return _student(*difference_and_error(a.values, b.values, paired), level)
    of_a = shares(a.counts, DIFFERENCE_RESAMPLES, blocks=a.blocks)
    of_b = of_a if paired else shares(b.counts, DIFFERENCE_RESAMPLES, stream=1, blocks=b.blocks)
    wider = widening(a.units if paired else [*a.units, *b.units], level)
    low, high = ends(value, of_a @ a.values - of_b @ b.values, wider, level)
    return Estimate(value, float(low), float(high), BOOTSTRAP)


def alike(a: Runs, b: Runs, paired: bool) -> None:
    """Raise ValueError for groups that cannot be compared: other tasks, or pairs that are none."""
    if a.tasks != b.tasks or a.blocks != b.blocks:
        raise ValueError(f"{a.tasks} tasks cannot be compared with {b.tasks}, or are related otherwise")
    if paired and a.counts != b.counts:
        raise ValueError("runs pair only where both groups have the same ones")


def bands(curves: Runs, aggregate: Aggregate, *, count: int = CURVE_RESAMPLES) -> Bands:
    """The statistic at every point of curves [K, L], with its bands; each resample draws whole curves.

    A point's interval is that of `intervals`. The simultaneous band is nowhere inside the pointwise one, and needs
    `DEGREES_OF_A_BAND` degrees of freedom, five runs of a single task.
    """
    length = curves.values.shape[1]
    found = Bands(*(np.full(length, np.nan) for _ in Bands._fields))
    whole = np.asarray(np.isfinite(curves.values).all(axis=0))
    points = [point for point, kept in zip(curves.points(), whole, strict=True) if kept]
    found.value[whole] = [aggregate(point) for point in points]
    if curves.fewest_units < FEWEST_RUNS or not points:
        return found
    if aggregate is MEAN:
        drawn = shares(curves.counts, count, blocks=curves.blocks) @ curves.values[:, whole]
    else:
        drawn = replicates(points, [aggregate], resamples(curves, count))[:, 0].T
    value = found.value[whole]
    if curves.tasks == 1 and curves.fewest < STUDENT_BELOW:
        students = [_student(*mean_and_error(point.values, aggregate)) for point in points]
        low, high = (np.array([getattr(each, end) for each in students]) for end in ("low", "high"))
    else:
        low, high = ends(value, drawn, widening(curves.units))
    found.low[whole], found.high[whole] = low, high
    if sum(curves.units) - len(curves.units) >= DEGREES_OF_A_BAND:
        lowest, highest = simultaneous_ends(value, drawn, curves.units)
        found.simultaneous_low[whole] = np.minimum(lowest, low)
        found.simultaneous_high[whole] = np.maximum(highest, high)
    return found


def ends(estimate: ArrayLike, drawn: ArrayLike, wider: float = 1.0, level: float = LEVEL) -> tuple[Floats, Floats]:
    """Percentiles of replicates [B, ...], their distances from the estimate [...] widened by what `widening` gives."""
    tail = (1 - level) / 2
    low, high = np.quantile(np.asarray(drawn, float), [tail, 1 - tail], axis=0)
    estimate = np.asarray(estimate, float)
    return estimate + wider * (low - estimate), estimate + wider * (high - estimate)


def simultaneous_ends(
    estimate: ArrayLike, drawn: ArrayLike, counts: Sequence[int], level: float = LEVEL
) -> tuple[Floats, Floats]:
    """θ(l) ± q · sd(l), where q is a quantile over resamples of max_l |θ_b(l) - θ(l)| / sd(l), widened.

    q lies further out than the quantile of a point, where Student's tails exceed the normal's by more; so it is
    widened as a quantile of its own level is. The estimate is [L], replicates are [B, L]; counts are the runs of tasks.
    """
    estimate, drawn = np.asarray(estimate, float), np.asarray(drawn, float)
    spread = drawn.std(axis=0)
    moves = spread > ROUNDING * np.maximum(1, np.abs(estimate))
    distance = np.abs(drawn - estimate) / np.where(moves, spread, np.inf)
    furthest = min(float(np.quantile(distance.max(axis=1), level)), FURTHEST)
    q = ceil(100 * furthest) / 100  # so that few quantiles have to be computed
    if q == 0:
        return estimate, estimate
    reach = q * widening(counts, 2 * NORMAL.cdf(q) - 1) * spread
    return estimate - reach, estimate + reach


def widening(counts: Sequence[int], level: float = LEVEL) -> float:
    """√(Σ 1/n / Σ (n-1)/n²) · t_{Σ(n-1)} / z over strata of n units; √(N/(N-1)) · t / z if all have N."""
    units = np.array(counts, float)
    variance = np.sum(1 / units) / np.sum((units - 1) / units**2)
    upper = (1 + level) / 2
    return sqrt(variance) * student_quantile(upper, int(np.sum(units - 1))) / NORMAL.inv_cdf(upper)


def _student(value: float, error: float, degrees: float, level: float = LEVEL) -> Estimate:
    reach = student_quantile((1 + level) / 2, degrees) * error
    return Estimate(value, value - reach, value + reach, STUDENT)
