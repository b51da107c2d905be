"""The claims of a suite and what became of them, as a sheet of the report and as data."""

from collections.abc import Sequence
from typing import Any

import click
import pandas as pd

from harness.reporting.cells import NONE, number, p_value
from harness.reporting.plain_cells import known
from harness.reporting.sheets import Column, Sheet, numbers, table_cells, words
from harness.statistics.decision import MOST_RUNS
from harness.text import one_line
from harness.verdicts.claims import ClaimVerdict, JudgedClaim, expected_by_chance

TEXT_WIDTH = 110  # columns of a terminal
VERDICT_WIDTH = max(map(len, ClaimVerdict)) + 2


def evidence(claims: Sequence[JudgedClaim]) -> list[dict[str, Any]]:
    """Every claim with its verdict and all that it rests on; None where there is no number."""
    rows = [
        {
            "environment": each.claim.environment,
            "device": each.device,
            "verdict": str(each.verdict),
            "statement": each.claim.statement,
            "metric": each.claim.metric,
            "better": each.claim.better,
            "than": each.claim.than,
            "at_least": each.claim.at_least,
            "at_most": each.claim.at_most,
            "runs": each.runs,
            "better_value": each.better,
            "than_value": each.than,
            "advantage": each.advantage.value,
            "low": each.advantage.low,
            "high": each.advantage.high,
            "confidence": each.claim.confidence,
            "method": each.advantage.method,
            "interval_low": each.interval.low,
            "interval_high": each.interval.high,
            "p": each.p,
            "margin": each.claim.margin,
            "more_seeds": each.more_seeds,
            "reason": each.reason,
        }
        for each in claims
    ]
    return list(map(known, rows))


def claims_sheet(claims: Sequence[JudgedClaim]) -> Sheet:
    """A row per claim of one suite, in its order, and per device where there are several."""
    data = pd.DataFrame(evidence(claims))
    columns = (
        words("environment"),
        *[words("device")] * (data["device"].nunique() > 1),
        words("verdict"),
        words("claim", "statement", prose=True),
        words("measure", "metric"),
        Column("n", lambda row: str(row["runs"] or NONE)),
        numbers("better", "better_value"),
        Column("than", _than),
        numbers("advantage"),
        Column("bounds", _bounds),
        numbers("p", write=p_value),
        Column("margin", lambda row: f"{row['margin']:g}"),
        Column("more seeds, about", _more_seeds),
        *[words("remark", "reason", prose=True)] * bool(data["reason"].any()),
    )
    return Sheet("claims", "Claims of the suite", _note(claims), columns, table_cells(data, columns), data)


def claims_text(claims: Sequence[JudgedClaim]) -> str:
    """The same for a terminal: two lines per claim, as statements are too long for a column."""
    sheet = claims_sheet(claims)
    lines = []
    for row in sheet.data.to_dict("records"):
        device = f", {row['device']}" if sheet.data["device"].nunique() > 1 else ""
        lines += [
            f"{row['verdict']:<{VERDICT_WIDTH}}{one_line(row['statement'])}",
            f"{'':{VERDICT_WIDTH}}{row['metric']} on {row['environment']}{device}: {one_line(_told(row))}",
        ]
    return "\n".join([*lines, "", click.wrap_text(sheet.note, TEXT_WIDTH)])


def _told(row: Any) -> str:
    if row["verdict"] == ClaimVerdict.NOT_JUDGED:
        return str(row["reason"])
    told = (
        f"{number(row['better_value'])} against {_than(row)}, n = {row['runs']}; "
        f"advantage {number(row['advantage'])}, {_bounds(row)}"
    )
    told += "" if pd.isna(row["than"]) else f"; margin {row['margin']:g}"
    if not pd.isna(row["p"]):
        told += f"; p = {row['p']:.2g}"
    more = f"; about {_more_seeds(row)} more seeds" if row["verdict"] == ClaimVerdict.UNDECIDED else ""
    return f"{told}{more}{'; ' if row['reason'] else ''}{row['reason']}"


def _than(row: Any) -> str:
    """The value of the other contestant, or the number as the claim has it, and which way it goes."""
    bounds = (("at_least", "≥"), ("at_most", "≤"))
    told = (f"{sign} {number(row[key], '.10g')}" for key, sign in bounds if not pd.isna(row[key]))
    return next(told, number(row["than_value"]))


def _bounds(row: Any) -> str:
    if row["method"] == "none":
        return "too few runs" if row["runs"] else NONE
    return f"{number(row['low'])} to {number(row['high'])}"


def _more_seeds(row: Any) -> str:
    if row["verdict"] != ClaimVerdict.UNDECIDED:
        return NONE
    return f"> {MOST_RUNS:,}" if pd.isna(row["more_seeds"]) else f"{row['more_seeds']:,.0f}"


def _note(claims: Sequence[JudgedClaim]) -> str:
    levels = " or ".join(f"{100 * level:g} %" for level in sorted({each.claim.confidence for each in claims}))
    judged = sum(each.verdict is not ClaimVerdict.NOT_JUDGED for each in claims)
    by_chance = (
        f" Confidence is per claim: were every advantage just the margin, {expected_by_chance(claims):.2g} of the "
        f"{judged} judged here would be expected to hold by chance."
    )
    return (
        "n: pairs of runs, one of either side with the same seed; p: two-sided, that there is no difference. Where "
        "than is a number to be reached (≥) or kept to (≤), n are runs. The "
        f"advantage is that of the contestant said to be better; its lower and its upper bound hold with {levels} "
        "confidence each. A claim holds if the lower one reaches the margin, fails if the upper one stays below it, "
        "and is undecided otherwise; about so many more seeds would then decide it, if the advantage is what it seems "
        f"to be.{by_chance if judged else ''}"
    )
