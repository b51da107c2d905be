"""When a gate stops: looks at more and more seeds, declared before the first of them, until one decides.

Each look spends a part of alpha, so that all together raise a false alarm no more often than alpha says. A look
that could not reject however the runs turned out, because so few of them have too few permutations, spends nothing.

A side that is worse, though overall by less than is tolerated, stays worse. But whether it is so on every task takes
more seeds to see, so the looks go on while that may still turn a regression into one within tolerance.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from harness.statistics.decision import ALPHA, TASK_ALPHA, Evidence, Verdict, evidence, spent, verdict
from harness.statistics.permutation import RANDOM, SEED
from harness.statistics.runs import matrix

MANY_TASKS = 4  # from which on so few seeds decide that the first look is at 3
LOOKS_AT_MANY_TASKS = (3, 5, 8, 12)
LOOKS_AT_FEW_TASKS = (5, 8, 12, 20)
DROP, DROP_OF_ONE_TASK, TASK_DROP = 0.10, 0.20, 0.25


@dataclass(frozen=True)
class Rule:
    """What is declared before any run is seen."""

    looks: tuple[int, ...]  # numbers of seeds per side at which is looked; increasing
    drop: float  # tolerated overall, as a share of the old score
    task_drop: float = TASK_DROP  # tolerated on a single task
    alpha: float = ALPHA  # of all looks: chance to call an unchanged side regressed, or to pass one worse by the drop
    task_alpha: float = TASK_ALPHA  # of each task's non-inferiority, at each look

    def __post_init__(self) -> None:
        if not self.looks or self.looks[0] < 1 or any(a >= b for a, b in pairwise(self.looks)):
            raise ValueError(f"looks {self.looks} are not increasing numbers of seeds")
        if not (0 < self.drop < 1 and 0 < self.task_drop < 1):
            raise ValueError("a tolerated drop is a share between 0 and 1")
        if not (0 < self.alpha < 1 and 0 < self.task_alpha < 1):
            raise ValueError("alpha is a chance between 0 and 1")


class Look(NamedTuple):
    """One look that may be taken."""

    seeds: int  # per side
    alpha: float  # it may spend


class Decision(NamedTuple):
    """What the looks came to."""

    verdict: Verdict  # of the last look taken; undecided if there are too few seeds for any
    look: Look | None  # the last one taken; None if none was
    seen: Evidence | None  # by it
    final: bool  # whether no further look could change the verdict


def usual_rule(tasks: int) -> Rule:
    """The rule for so many tasks, where nothing else is declared."""
    looks = LOOKS_AT_MANY_TASKS if tasks >= MANY_TASKS else LOOKS_AT_FEW_TASKS
    return Rule(looks, DROP_OF_ONE_TASK if tasks == 1 else DROP)


def decide(
    old: ArrayLike, new: ArrayLike, rule: Rule, *, paired: bool, random: int = RANDOM, seed: int = SEED
) -> Decision:
    """Look at the first seeds of both sides, then at more, and stop at the first look that decides.

    Args:
        old: [N, M] scores of N seeds, in the order declared, on M tasks; 0 is the score of a random policy. What
            has no score has been given one.
        new: [N', M] of the new side.
        rule: declared before.
        paired: whether row i of both sides has the same seed.
        random: permutations where there are too many to try all.
        seed: of the permutations.

    Raises:
        ValueError: for scores that are missing, and for sides that are not on the same tasks.
    """
    scores = np.asarray(old, float), np.asarray(new, float)
    first, second = (matrix(side) for side in scores)
    available = min(first.fewest, second.fewest)
    decision = Decision(Verdict.UNDECIDED, None, None, final=False)
    worse = False
    declared = list(looks(rule, first.tasks, paired))
    for look in declared:
        if look.seeds > available or decision.final:
            break
        looked_at = [matrix(side[: look.seeds]) for side in scores]
        seen = evidence(*looked_at, paired=paired, drop=rule.drop, task_drop=rule.task_drop, random=random, seed=seed)
        now = verdict(seen, look.alpha, rule.task_alpha)
        worse |= now in (Verdict.REGRESSED, Verdict.WITHIN_TOLERANCE)
        if worse:
            now = Verdict.REGRESSED if now in (Verdict.REGRESSED, Verdict.UNDECIDED) else Verdict.WITHIN_TOLERANCE
        tolerable = now is Verdict.REGRESSED and seen.passed <= look.alpha
        decided = now is not Verdict.UNDECIDED and not tolerable
        decision = Decision(now, look, seen, final=decided or look is declared[-1])
    return decision


def looks(rule: Rule, tasks: int, paired: bool) -> Iterator[Look]:
    """The looks that are worth taking, each with what it may spend; what a skipped one would have is kept."""
    shares = [seeds / rule.looks[-1] for seeds in rule.looks]
    used = 0.0
    for seeds, allowed in zip(rule.looks, spent(shares, rule.alpha), strict=True):
        alpha = float(allowed) - used
        if smallest_p(seeds, tasks, paired) <= alpha:
            yield Look(seeds, alpha)
            used = float(allowed)


def smallest_p(seeds: int, tasks: int, paired: bool) -> float:
    """The smallest p-value that so many seeds per side on so many tasks can have: one of all permutations."""
    return float((2**seeds if paired else comb(2 * seeds, seeds)) ** -tasks)
