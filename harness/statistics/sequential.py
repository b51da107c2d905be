"""When a gate stops: looks at more and more seeds, declared before the first of them, until one decides.

One alpha is for all that a gate may say. A part of it is kept for tasks that break altogether, which is seen before
any look. Each look spends a part of the rest, so that all together raise a false alarm no more often than alpha says.
A look that could not reject however the runs turned out, because so few have too few permutations, spends nothing.

A side passes at no look that has too few seeds to have shown a failure, if failures alone made it worse by what is
tolerated: until then good runs say nothing about those that are rare.

A side that is worse, though overall by less than is tolerated, stays worse. But whether it is so on every task takes
more seeds to see, so the looks go on while that may still turn a regression into one within tolerance.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, pairwise
from math import comb
from typing import NamedTuple

from numpy.typing import ArrayLike

from harness.statistics.decision import ALPHA, Evidence, Verdict, evidence, spent, verdict
from harness.statistics.permutation import RANDOM, SEED
from harness.statistics.runs import matrix

OF_BREAKING = 0.1  # the share of alpha that is kept for tasks that break altogether
MANY_BLOCKS = 4  # of tasks, from which on so few seeds decide that the first look is at 3
LOOKS_AT_MANY_BLOCKS = (3, 5, 8, 12)
LOOKS_AT_FEW_BLOCKS = (5, 8, 12, 20)
DROP, DROP_OF_ONE_BLOCK, TASK_DROP = 0.10, 0.20, 0.25


@dataclass(frozen=True)
class Rule:
    """What is declared before any run is seen."""

    looks: tuple[int, ...]  # numbers of seeds per side at which is looked; increasing
    drop: float  # tolerated overall, as a share of the old score
    task_drop: float = TASK_DROP  # tolerated on a single task
    alpha: float = ALPHA  # chance to call an unchanged side regressed for any reason, or to pass one worse by a drop

    def __post_init__(self) -> None:
        if not self.looks or self.looks[0] < 1 or any(a >= b for a, b in pairwise(self.looks)):
            raise ValueError(f"looks {self.looks} are not increasing numbers of seeds")
        if not (0 < self.drop < 1 and 0 < self.task_drop < 1):
            raise ValueError("a tolerated drop is a share between 0 and 1")
        if not 0 < self.alpha < 1:
            raise ValueError("alpha is a chance between 0 and 1")

    @property
    def of_breaking(self) -> float:
        """What of alpha is for tasks that break altogether; the looks have the rest."""
        return OF_BREAKING * self.alpha


class Look(NamedTuple):
    """One look that may be taken."""

    seeds: int  # per side
    alpha: float  # it may spend on calling the new side regressed
    passing: float  # it may spend on passing it; 0 where it has too few seeds for that


class Decision(NamedTuple):
    """What the looks came to."""

    verdict: Verdict  # of the last look taken; undecided if there are too few seeds for any
    look: Look | None  # the last one taken; None if none was
    seen: Evidence | None  # by it
    final: bool  # whether no further look could change the verdict


def usual_rule(tasks: int, blocks: int | None = None) -> Rule:
    """The rule for so many tasks in so many blocks, each its own if None, where nothing else is declared."""
    apart = tasks if blocks is None else blocks
    declared = LOOKS_AT_MANY_BLOCKS if apart >= MANY_BLOCKS else LOOKS_AT_FEW_BLOCKS
    return Rule(declared, DROP_OF_ONE_BLOCK if apart == 1 else DROP)


def decide(
    old: ArrayLike,
    new: ArrayLike,
    rule: Rule,
    *,
    paired: bool,
    blocks: Sequence[int] | None = None,
    events: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    random: int = RANDOM,
    seed: int = SEED,
) -> Decision:
    """Look at the first seeds of both sides, then at more, and stop at the first look that decides.

    Args:
        old: [N, M] scores of N seeds, in the order declared, on M tasks; 0 is the score of a random policy. What
            has no score has been given one.
        new: [N', M] of the new side.
        rule: declared before.
        paired: whether row i of both sides has the same seed.
        blocks: [M] of the tasks, as `harness.statistics.runs.ragged` takes them.
        events: how often a bad thing happened to each seed, [N, B] and [N', B] of B blocks, by what it is called.
        random: permutations where there are too many to try all.
        seed: of the permutations.

    Raises:
        ValueError: for scores that are missing, and for sides that are not on the same tasks.
    """
    first, second = matrix(old, blocks), matrix(new, blocks)
    available = min(first.fewest, second.fewest)
    happened = {name: (matrix(before), matrix(after)) for name, (before, after) in (events or {}).items()}
    others = max([len(first.units), *(before.tasks for before, _ in happened.values())]) - len(first.units)
    decision = Decision(Verdict.UNDECIDED, None, None, final=False)
    worse = False
    declared = list(looks(rule, first.blocks, paired, others))
    for look in declared:
        if look.seeds > available or decision.final:
            break
        seen = evidence(
            first.first(look.seeds),
            second.first(look.seeds),
            paired=paired,
            drop=rule.drop,
            task_drop=rule.task_drop,
            events={name: (a.first(look.seeds), b.first(look.seeds)) for name, (a, b) in happened.items()},
            random=random,
            seed=seed,
        )
        now = verdict(seen, look.alpha, look.passing, rule.alpha)
        worse |= now in (Verdict.REGRESSED, Verdict.WITHIN_TOLERANCE)
        if worse:
            now = Verdict.REGRESSED if now in (Verdict.REGRESSED, Verdict.UNDECIDED) else Verdict.WITHIN_TOLERANCE
        tolerable = now is Verdict.REGRESSED and seen.passed <= rule.alpha
        decided = now is not Verdict.UNDECIDED and not tolerable
        decision = Decision(now, look, seen, final=decided or look is declared[-1])
    return decision


def looks(rule: Rule, blocks: Sequence[int], paired: bool, others: int = 0) -> Iterator[Look]:
    """The looks that are worth taking, each with what it may spend; what a skipped one would have is kept.

    What a look would have that is worth taking, but has too few seeds for a pass, is not spent on passing. Blocks are
    of the tasks, [M]; there may be others, without scores, in which something else can happen.
    """
    used = 0.0  # share of what all may spend
    for seeds, allowed in zip(rule.looks, spent([seeds / rule.looks[-1] for seeds in rule.looks]), strict=True):
        share = float(allowed) - used
        alpha = share * (rule.alpha - rule.of_breaking)
        if smallest_p(seeds, len({*blocks}) + others, paired) <= alpha:
            yield Look(seeds, alpha, share * rule.alpha if unseen(rule, blocks, seeds) <= rule.alpha else 0.0)
            used = float(allowed)


def unseen(rule: Rule, blocks: Sequence[int], seeds: int) -> float:
    """The chance that so many seeds show no failure, if runs that fail made a drop that is just tolerated.

    Be it on one task, or overall, by failures on any number of blocks, with the same seeds on all tasks of a block.
    """
    sizes = sorted(Counter(blocks).values(), reverse=True)
    harmed = [(number, sum(sizes[:number])) for number in range(1, len(sizes) + 1)]
    overall = [(1 - min(1.0, rule.drop * len(blocks) / tasks)) ** (number * seeds) for number, tasks in harmed]
    return max((1 - rule.task_drop) ** seeds, *overall)


def enough_to_pass(rule: Rule, blocks: Sequence[int]) -> int:
    """The fewest seeds per side with which a side can pass."""
    return next(seeds for seeds in count(1) if unseen(rule, blocks, seeds) <= rule.alpha)


def smallest_p(seeds: int, blocks: int, paired: bool) -> float:
    """The smallest p-value that so many seeds per side on so many blocks can have: one of all permutations."""
    return float((2**seeds if paired else comb(2 * seeds, seeds)) ** -blocks)
