"""What a comparison found, for people and programs."""

from dataclasses import asdict
from typing import Any

from harness.analysis.comparison import Comparison, Row

HEADER = ("environment", "algorithm", "n", "base", "head", "difference", "95 % interval", "p", "p adjusted", "verdict")


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON values; what is not known is null."""
    rows = [asdict(row) for row in (*comparison.tasks, *comparison.overall)]
    return {
        "schema": 1,
        "measure": comparison.measure,
        "base": comparison.base,
        "head": comparison.head,
        "rows": [{name: None if value != value else value for name, value in row.items()} for row in rows],
    }


def cells(row: Row) -> tuple[str, ...]:
    """A row as a person reads it."""
    name = row.environment if row.tasks == 1 else f"{row.environment} {row.tasks}"
    named = name if row.device == "cpu" else f"{name} ({row.device})"
    verdict = f"{row.verdict} ({row.reason})" if row.reason else row.verdict
    return (
        named,
        row.algorithm,
        f"{row.pairs} pairs" if row.pairs else f"{row.base_runs} and {row.head_runs}",
        _score(row.base, row.base_failed),
        _score(row.head, row.head_failed),
        _number(row.difference, "+"),
        _interval(row),
        _number(row.p, digits=2),
        _number(row.p_adjusted, digits=2),
        verdict,
    )


def _score(value: float, failed: int) -> str:
    return f"{_number(value)} ({failed} failed)" if failed else _number(value)


def _interval(row: Row) -> str:
    if row.low != row.low:
        return "-" if row.difference != row.difference else "none below 3 runs"
    return f"{_number(row.low, '+')} to {_number(row.high, '+')}"


def _number(value: float, sign: str = "", digits: int = 4) -> str:
    return "-" if value != value else f"{value:{sign}.{digits}g}"
