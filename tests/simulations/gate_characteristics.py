"""How often the gate calls what: simulated result pairs, judged by the gate's own sequential decision.

    python tests/simulations/gate_characteristics.py

writes `docs/gate-operating-characteristics.md`. Every row has random numbers of its own, drawn from the seed and the
row's name, so that rows may be added without changing others.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from populations import REAL, Floats, drawn, made_up, more, real

from harness.statistics.decision import Verdict
from harness.statistics.sequential import Rule, decide, usual_rule

ROOT = Path(__file__).parents[2]
OUTPUT = ROOT / "docs" / "gate-operating-characteristics.md"
DECIDING = [  # whose commit the figures belong to
    f"harness/statistics/{name}.py" for name in ("sequential", "decision", "permutation", "multiplicity", "runs")
]
SIMULATIONS = 1_000
OF_PASSES = 0.4  # the share of simulations that grids of passes take
PERMUTATIONS = 1_000  # the gate draws 10,000; fewer are as valid
THRESHOLD = 0.8  # of the mean score
SEED = 0
FIVE = 5  # environments

Change = Callable[[Floats, np.random.Generator], Floats]  # of scores [N, M] of the new side


@dataclass(frozen=True)
class Case:
    """One situation.

    Attributes:
        name: what is changed, and where.
        populations: one per environment.
        change: of the new side.
        rho: correlation of seeds between sides, judged as pairs; None for sides that share no seeds.
        looks: in place of the gate's; none for those.
        luck: correlation of a seed's runs on different environments, which are judged as one block; 0 if independent.
        crashes: chance that a run fails, whatever the code; it scores as the random policy.
        threshold: whether runs are asked to reach .8, too.
    """

    name: str
    populations: tuple[str, ...]
    change: Change
    rho: float | None = None
    looks: tuple[int, ...] = ()
    luck: float = 0.0
    crashes: float = 0.0
    threshold: bool = False

    @property
    def blocks(self) -> list[int]:
        """Of the environments."""
        return [0] * len(self.populations) if self.luck else list(range(len(self.populations)))

    @property
    def rule(self) -> Rule:
        """What is declared: the gate's rule for so many environments."""
        usual = usual_rule(len(self.populations), len({*self.blocks}))
        return replace(usual, looks=self.looks or usual.looks)

    @property
    def where(self) -> str:
        """Environments and pairing, for a table."""
        kinds = dict.fromkeys(self.populations)
        pairing = "unpaired" if self.rho is None else f"paired, ρ {self.rho:g}"
        longer = f", up to {self.looks[-1]} seeds" if self.looks else ""
        return f"{len(self.populations)} x {'mixed' if len(kinds) > 1 else next(iter(kinds))}, {pairing}{longer}"


@dataclass(frozen=True)
class Figures:
    """What became of so many simulations of a case."""

    simulations: int
    verdicts: Mapping[Verdict, int]
    seeds: float  # per side, on average

    def share(self, *verdicts: Verdict) -> float:
        """Of simulations that ended so."""
        return sum(self.verdicts.get(verdict, 0) for verdict in verdicts) / self.simulations

    def error(self, *verdicts: Verdict) -> float:
        """Standard error of that share."""
        share = self.share(*verdicts)
        return sqrt(share * (1 - share) / self.simulations)


def simulated(
    case: Case, populations: Mapping[str, Floats], simulations: int = SIMULATIONS, seed: int = SEED
) -> Figures:
    """Judge so many pairs of sides, each with as many seeds as the last look wants."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{case.name}, {case.where}".encode())])
    verdicts: Counter[Verdict] = Counter()
    seeds = 0
    for _ in range(simulations):
        old, new = drawn(
            [populations[name] for name in case.populations], case.rule.looks[-1], case.rho, case.luck, rng
        )
        sides, events = happened(case, (old, case.change(new, rng)), rng)
        paired, blocks = case.rho is not None, case.blocks
        decision = decide(*sides, case.rule, paired=paired, blocks=blocks, events=events, random=PERMUTATIONS)
        verdicts[decision.verdict] += 1
        seeds += decision.look.seeds if decision.look else case.rule.looks[-1]
    return Figures(simulations, verdicts, seeds / simulations)


def happened(
    case: Case, sides: tuple[Floats, Floats], rng: np.random.Generator
) -> tuple[list[Floats], dict[str, tuple[Floats, Floats]]]:
    """The scores of both sides once runs have crashed, and how often what the gate counts happened to each seed."""
    of_blocks = np.eye(len({*case.blocks}))[case.blocks]
    crashed = [rng.random(side.shape) < case.crashes for side in sides]
    scores = [np.where(lost, 0.0, side) for side, lost in zip(sides, crashed, strict=True)]
    events = {}
    if case.crashes:
        events["failures"] = crashed[0] @ of_blocks, crashed[1] @ of_blocks
    if case.threshold:
        events["thresholds"] = (scores[0] < THRESHOLD) @ of_blocks, (scores[1] < THRESHOLD) @ of_blocks
    return scores, events


# What changes


def nothing(scores: Floats, rng: np.random.Generator) -> Floats:
    """The scores as they are."""
    return scores


def lower(share: float, environments: int | None = None) -> Change:
    """Scores less a share of them, or so much less success, on the first so many environments; None for all."""

    def change(scores: Floats, rng: np.random.Generator) -> Floats:
        scores = scores.copy()
        for column in scores.T[:environments]:
            rate = np.isin(column, (0.0, 1.0)).all()  # of success, which falls by as much
            column *= rng.random(len(column)) >= share if rate else 1 - share
        return scores

    return change


def collapses(chance: float) -> Change:
    """Runs of the first environment that learn nothing, with a chance each."""

    def change(scores: Floats, rng: np.random.Generator) -> Floats:
        scores = scores.copy()
        scores[rng.random(len(scores)) < chance, 0] = 0.0
        return scores

    return change


# What is simulated


POPULATIONS = ("normal", "td3", "sac", "bimodal")
EVERY = (*POPULATIONS, "bimodal 50", "ceiling", "log-normal", "t2", "success", "ten-valued")
RHO = 0.5  # of pairs in the grids
REAL_POPULATIONS = tuple(REAL)
MIXED = (*POPULATIONS, "ceiling")
LONGER = (5, 8, 12, 20, 30)


def unchanged() -> list[Case]:
    """Two equal sides: who is called regressed is so by chance."""
    return [
        *(Case("none", (name,) * FIVE, nothing, rho) for name in POPULATIONS for rho in (None, 0.9)),
        *(Case("none", (name,) * FIVE, nothing) for name in REAL_POPULATIONS),
        *(Case("none", MIXED, nothing, rho) for rho in (None, 0.0)),
        *(Case("none", (name,), nothing) for name in POPULATIONS),
        Case("none", ("td3",), nothing, rho=0.9),
    ]


def broken() -> list[Case]:
    """One environment of five is broken."""
    collapsing = (("td3", 0.25, None), ("td3", 0.5, None), ("sac", 0.5, None), ("sac", 0.5, 0.9))
    return [
        *(Case("-40 % on one", (name,) * FIVE, lower(0.4, 1)) for name in (*POPULATIONS, *REAL_POPULATIONS)),
        Case("-40 % on one", ("bimodal",) * FIVE, lower(0.4, 1), looks=LONGER),
        Case("-40 % on one", ("td3",) * FIVE, lower(0.4, 1), rho=0.9),
        *(
            Case(f"{100 * chance:.0f} % of runs collapse on one", (name,) * FIVE, collapses(chance), rho)
            for name, chance, rho in collapsing
        ),
    ]


def everywhere() -> list[Case]:
    """All five environments lose the same share."""
    return [
        *(Case("-10 % everywhere", (name,) * FIVE, lower(0.10), rho=0.9) for name in (*POPULATIONS, *REAL_POPULATIONS)),
        *(Case("-10 % everywhere", ("td3",) * FIVE, lower(0.10), rho) for rho in (0.0, None)),
        *(
            Case(f"-{100 * share:.0f} % everywhere", ("td3",) * FIVE, lower(share), rho)
            for share in (0.05, 0.20)
            for rho in (0.9, None)
        ),
    ]


def alone() -> list[Case]:
    """A single environment, where 20 % are tolerated."""
    return [
        Case(f"-{100 * share:.0f} %", (name,), lower(share))
        for name in ("td3", "bimodal")
        for share in (0.05, 0.10, 0.20, 0.40)
    ]


Column = tuple[str, Callable[[str], Case]]  # its heading, and its case on a population


def of_equal_sides() -> list[Column]:
    """Equal sides of so many environments."""
    return [
        (
            f"{number}{', paired' if rho else ''}",
            lambda name, number=number, rho=rho: Case("none", (name,) * number, nothing, rho),
        )
        for rho in (None, RHO)
        for number in (1, 3, 5, 8)
    ]


def of_shared_luck() -> list[Column]:
    """Equal sides whose seeds have the same luck on all environments."""
    asked = [(5, luck, rho) for rho in (None, RHO) for luck in (0.3, 0.6, 0.9)] + [(3, 0.9, None), (8, 0.9, None)]
    return [
        (
            f"{number} at {luck:g}{', paired' if rho else ''}",
            lambda name, number=number, luck=luck, rho=rho: Case("luck", (name,) * number, nothing, rho, luck=luck),
        )
        for number, luck, rho in asked
    ]


def of_crashes() -> list[Column]:
    """Equal sides of which one run in fifty crashes, and thresholds that runs reach by chance."""
    return [
        (
            f"{number}{', paired' if rho else ''}",
            lambda name, number=number, rho=rho: Case(
                "crashes", (name,) * number, nothing, rho, crashes=0.02, threshold=True
            ),
        )
        for number, rho in ((1, None), (5, None), (5, RHO), (8, None))
    ]


def of_tolerance() -> list[Column]:
    """Drops of just what is tolerated, and just more."""
    asked = [(1, 20, 1), (1, 22, 1), (2, 20, 1), (5, 10, 5), (5, 11, 5), (5, 25, 1), (5, 50, 1)]
    return [
        (
            f"{harmed} of {number} by {share} %{', paired' if rho else ''}",
            lambda name, number=number, share=share, harmed=harmed, rho=rho: Case(
                f"-{share} % on {harmed}", (name,) * number, lower(share / 100, harmed), rho
            ),
        )
        for rho in (None, 0.9)
        for number, share, harmed in asked
    ]


def of_collapses() -> list[Column]:
    """As much lost by runs of one environment that come to learn nothing."""
    return [
        (
            f"{share} % on 1 of {number}{', paired' if rho else ''}",
            lambda name, number=number, share=share, rho=rho: Case(
                f"{share} % of runs collapse on one", (name,) * number, collapses(share / 100), rho
            ),
        )
        for rho in (None, 0.9)
        for number, share in ((1, 20), (2, 20), (5, 25))
    ]


# What is written

COLUMNS = ("change", "environments", "pass", "regressed", "within tolerance", "inconclusive", "seeds per side")
Results = dict[Case, Figures]


def results(cases: Sequence[Case], populations: Mapping[str, Floats], simulations: int, seed: int) -> Results:
    """Figures of the cases whose populations are known; progress on stderr."""
    known = [case for case in cases if set(case.populations) <= set(populations)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # of processes, since changes of scores cannot be pickled
        every = pool.map(lambda case: _forked(case, populations, simulations, seed), known)
        for case, figures in (found := dict(zip(known, every, strict=True))).items():
            print(row(case, figures), file=sys.stderr, flush=True)
    return found


def _forked(case: Case, populations: Mapping[str, Floats], simulations: int, seed: int) -> Figures:
    answers: Any = multiprocessing.get_context("fork").SimpleQueue()
    process = multiprocessing.get_context("fork").Process(
        target=lambda: answers.put(simulated(case, populations, simulations, seed))
    )
    process.start()
    figures: Figures = answers.get()
    process.join()
    return figures


Grid = dict[str, Results]  # of each column, the case of each population
GRIDS: list[tuple[str, str, Callable[[], list[Column]], tuple[Verdict, ...]]] = [
    (
        "Equal sides",
        "Share of gates, in percent, that called equal sides *regressed*, within tolerance or not, by the number of "
        f"environments; pairs at ρ {RHO:g}.",
        of_equal_sides,
        (Verdict.REGRESSED, Verdict.WITHIN_TOLERANCE),
    ),
    (
        "Equal sides whose seeds have the same luck on all environments",
        "The same by environments and the correlation of what a seed scores on two of them; judged as one block, as "
        "runs are whose streams come from the seed alone.",
        of_shared_luck,
        (Verdict.REGRESSED, Verdict.WITHIN_TOLERANCE),
    ),
    (
        "Equal sides where runs crash and thresholds are missed",
        f"The same where 2 % of runs crash, whatever the code, and all are asked to reach {THRESHOLD:g}.",
        of_crashes,
        (Verdict.REGRESSED, Verdict.WITHIN_TOLERANCE),
    ),
    (
        "Drops of just what is tolerated, and just more",
        "Share of gates, in percent, that *passed*, by how many environments lose how much; pairs at ρ 0.9. Tolerated "
        "are 20 % of a single environment, else 10 % overall and 25 % on one. Success falls by so much.",
        of_tolerance,
        (Verdict.PASSED,),
    ),
    (
        "Collapses that lose just what is tolerated",
        "The same where that share of the runs on one environment scores as the random policy, and the others as "
        "before: no test of few runs can promise anything about those that none of them shows.",
        of_collapses,
        (Verdict.PASSED,),
    ),
]


def grid(title: str, question: str, found: Grid, counted: tuple[Verdict, ...]) -> list[str]:
    """A heading, what the grid is to tell, a row per population, and the worst cell."""
    shares = {column: [figures.share(*counted) for figures in of.values()] for column, of in found.items()}
    rows = zip(*shares.values(), strict=True)
    lines = [f"| {name} | {' | '.join(f'{100 * x:.1f}' for x in row)} |" for name, row in zip(EVERY, rows, strict=True)]
    worst = max((max(zip(column, EVERY, strict=True)), heading) for heading, column in shares.items())
    (share, name), heading = worst
    total = next(iter(next(iter(found.values())).values())).simulations
    error = sqrt(share * (1 - share) / total)
    told = (
        f"{total:,} gates in a cell; the largest share is {100 * share:.1f} ± {100 * error:.1f} % ({name}, {heading})."
    )
    head = [f"| population | {' | '.join(found)} |", "|---" * (1 + len(found)) + "|"]
    return [f"## {title}", "", f"{question} {told}", "", *head, *lines, ""]


def grids(run: Callable[[Sequence[Case], float], Results]) -> Iterator[str]:
    """Every grid; those of passes with a share of the simulations."""
    for title, question, columns, counted in GRIDS:
        share = OF_PASSES if counted == (Verdict.PASSED,) else 1.0
        found = {heading: run([of(name) for name in EVERY], share) for heading, of in columns()}
        yield from grid(title, question, found, counted)


def percent(figures: Figures, *verdicts: Verdict) -> str:
    """A share and its standard error, in percent."""
    return f"{100 * figures.share(*verdicts):.1f} ± {100 * figures.error(*verdicts):.1f}"


def row(case: Case, figures: Figures) -> str:
    """A row of a table."""
    shares = [
        percent(figures, verdict)
        for verdict in (Verdict.PASSED, Verdict.REGRESSED, Verdict.WITHIN_TOLERANCE, Verdict.UNDECIDED)
    ]
    return f"| {' | '.join([case.name, case.where, *shares, f'{figures.seeds:.1f}'])} |"


def section(title: str, question: str, found: Results) -> list[str]:
    """A heading, what the table is to tell, and the table."""
    head = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    return [f"## {title}", "", question, "", *head, *(row(*pair) for pair in found.items()), ""]


class Bar(NamedTuple):
    """What the figures of some cases shall be.

    Attributes:
        statement: in words.
        cases: their figures.
        value: of a case's figures, the lower the better.
        limit: of it.
        told: the figure, for readers.
    """

    statement: str
    cases: Results
    value: Callable[[Figures], float]
    limit: float
    told: Callable[[Figures], str]

    def row(self) -> str:
        """A row of the table of bars: the worst case, and all that miss the bar."""
        worst = max(self.cases, key=lambda case: self.value(self.cases[case]))
        missed = [
            f"{case.where}: {self.told(figures)}"
            for case, figures in self.cases.items()
            if self.value(figures) > self.limit
        ]
        cells = (
            self.statement,
            str(len(self.cases)),
            f"{self.told(self.cases[worst])} ({worst.where})",
            "; ".join(missed) or "none",
        )
        return f"| {' | '.join(cells)} |"


def bars(same: Results, one: Results, all_five: Results) -> list[Bar]:
    """What is asked of the gate."""
    regressed = (Verdict.REGRESSED, Verdict.WITHIN_TOLERANCE)
    apart = {k: v for k, v in one.items() if k.rho is None and k.name == "-40 % on one" and not k.looks}
    pairs = {k: v for k, v in all_five.items() if k.rho == 0.9 and k.name == "-10 % everywhere"}

    def missed(figures: Figures) -> float:
        return -figures.share(Verdict.REGRESSED)

    def seen(figures: Figures) -> str:
        return f"{percent(figures, Verdict.REGRESSED)} %"

    return [
        Bar(
            "no change: *regressed*, within tolerance or not, at most 5 %",
            same,
            lambda figures: figures.share(*regressed),
            0.05,
            lambda figures: f"{percent(figures, *regressed)} %",
        ),
        Bar("-40 % on one of five, unpaired: *regressed* at least 95 %", apart, missed, -0.95, seen),
        Bar(
            "the same: *pass* at most 1 %",
            apart,
            lambda figures: figures.share(Verdict.PASSED),
            0.01,
            lambda figures: f"{percent(figures, Verdict.PASSED)} %",
        ),
        Bar("-10 % on all five, paired at ρ 0.9: *regressed* at least 95 %", pairs, missed, -0.95, seen),
        Bar(
            "the same: at most 4 seeds per side on average",
            pairs,
            lambda figures: figures.seeds,
            4.0,
            lambda figures: f"{figures.seeds:.2f}",
        ),
    ]


def page(populations: Mapping[str, Floats], command: str, simulations: int, seed: int) -> str:
    """Simulate everything and write it down."""
    same, one, all_five, single = (
        results(cases, populations, simulations, seed) for cases in (unchanged(), broken(), everywhere(), alone())
    )
    whole = list(grids(lambda cases, share: results(cases, populations, round(share * simulations), seed)))
    preface = PREFACE.format(
        command=command, commit=commit(), simulations=f"{simulations:,}", seed=seed, rare=f"{300 / simulations:.1f}"
    )
    judged = ["| bar | cases | worst | missed by |", "|---|---|---|---|"]
    judged += [bar.row() for bar in bars(same, one, all_five)]
    tables = [
        *section("No change", "Every *regressed* is a false alarm.", same),
        *section("One environment of five is broken", "The others are as they were.", one),
        *section("Every environment loses the same share", "10 % are tolerated.", all_five),
        *section("A single environment", "20 % are tolerated, and 5, 8, 12 or 20 seeds looked at.", single),
    ]
    return "\n".join([preface, *judged, "", READING, *whole, *tables]).rstrip() + "\n"


def commit() -> str:
    """The last commit of the code that decides, and whether it was changed since."""

    def git(*arguments: str) -> str:
        line = ["git", *arguments, "--", *DECIDING]
        return subprocess.run(line, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain")
    return git("log", "-1", "--format=%h") + (" with uncommitted changes" if changed else "")


PREFACE = """# What the gate calls what, and how often

Pairs of results were simulated, and judged by the gate's own sequential decision with its own defaults
(`harness.statistics.sequential`): of 5 % for all that may be called regressed, 4.5 % for all looks together; looks at
3, 5, 8 and 12 seeds per side for four environments or more and at 5, 8, 12 and 20 for fewer; a tolerated drop of 10 %
over several environments, 25 % on any one of them, and 20 % of a single one.

`python {command}` made this page, with the decision as of
commit {commit}: {simulations} simulations per row, seed {seed}, each with 1,000 random permutations (the gate draws
10,000; fewer are as valid, and see a little less). Shares are in percent, with the standard error of the
simulation behind ±. Where it is 0.0, what never happened is rarer than {rare} % (with 95 % confidence).

## Populations

A run's score is drawn from a population of mean 1, in which 0 is the score of a random policy:

| population | what it is |
|---|---|
| normal | a coefficient of variation of 0.15 |
| td3 | made up: coefficient of variation 0.14 and skewness -1.3, those of TD3 on HalfCheetah |
| sac | made up: 0.11 and -5.4, those of SAC on HalfCheetah, from rare collapses: 3.5 % of runs reach 65 %, 0.5 % nothing |
| bimodal | made up: 15 % of runs fail |
| ceiling | made up: 70 % of runs reach exactly the best score |
| bimodal 50 | made up: half of the runs fail |
| log-normal | a standard deviation of the logarithm of 0.6 |
| t2 | Student's t with 2 degrees of freedom, whose variance is infinite |
| success, ten-valued | whether an episode succeeds, 9 in 10; the mean of ten of them |
| td3 (real), sac (real) | 193 and 192 final returns on HalfCheetah-v2, from github.com/flowersteam/rl_stats (Colas et al., 2019, arXiv:1904.06979) |
| mixed | one environment of each that is not real |

The real returns come without a licence and are not in this repository; `--real FOLDER` reads them, and without it the
rows about them are left out and no other row changes. In pairs, ρ is the correlation of the normal numbers behind two
runs of one seed; that of their scores is about 0.9 for *normal* and *td3*, and 0.8 for the others.

## What was asked
"""  # noqa: E501, because a row of a table is one line

READING = """Counted as *regressed* in the bars on drops: only what fails a build, not what is within tolerance.

- **Failures on both sides**: where 15 % of runs fail whatever the commit, means and ranks alone found a loss of 40 % on
  one environment of five in two cases of three. The better half of the runs finds it: see
  [decision 10](decisions/0010-the-better-half-and-the-last-look.md).
- **Weak**: where scores scatter as much as half of the mean (*log-normal*, *bimodal 50*), a loss of 40 % on one
  environment of five is seldom found, and equal sides are seldom known not to be worse: twelve seeds cannot tell, and
  the gate says *inconclusive*. Where a quarter of the runs on one environment come to learn nothing, their mean is
  lower by just what is tolerated there, and few seeds may show none of them: see the rows on collapses. A suite that
  fears collapses wants more seeds and a lower `task_tolerance`.
- **Pairing** pays where seeds have something in common. At ρ 0 it costs seeds, and more gates end inconclusive.

Not simulated: drops other than by a share of the score or by collapses, and more than one change at a time. Each
simulated gate tries the same random permutations, as the gate itself does with its seed.
"""


def main() -> None:
    """Simulate, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=SIMULATIONS, help="per row")
    parser.add_argument("--seed", type=int, default=SEED, help="of the simulations")
    parser.add_argument("--real", type=Path, help="folder with the returns that Colas et al. published")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the page")
    options = parser.parse_args()
    populations = made_up() | more() | ({} if options.real is None else real(options.real))
    command = f"tests/simulations/gate_characteristics.py{' --real FOLDER' if options.real else ''}"
    written = page(populations, command, options.simulations, options.seed)
    options.output.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
