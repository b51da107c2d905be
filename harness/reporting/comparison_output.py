"""What a comparison found, for people and programs."""

from dataclasses import asdict
from typing import Any

from harness.analysis.comparison import Comparison, Row
from harness.reporting.plain_cells import interval, known, number, place, score

HEADER = ("environment", "algorithm", "n", "base", "head", "difference", "95 % interval", "p", "p adjusted", "verdict")


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON values; what is not known is null."""
    return {
        "schema": 1,
        "measure": comparison.measure,
        "base": comparison.base,
        "head": comparison.head,
        "rows": [known(asdict(row)) for row in (*comparison.tasks, *comparison.overall)],
    }


def cells(row: Row) -> tuple[str, ...]:
    """A row as a person reads it."""
    return (
        place(row.environment if row.tasks == 1 else f"{row.environment} {row.tasks}", row.device),
        row.algorithm,
        f"{row.pairs} pairs" if row.pairs else f"{row.base_runs} and {row.head_runs}",
        score(row.base, row.base_failed),
        score(row.head, row.head_failed),
        number(row.difference, "+.4g"),
        interval(row.difference, row.low, row.high, "+.4g"),
        number(row.p, ".2g"),
        number(row.p_adjusted, ".2g"),
        f"{row.verdict} ({row.reason})" if row.reason else row.verdict,
    )
