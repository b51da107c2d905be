"""How a cell of a table is written: numbers, intervals, and what stands where there is none."""

import math
from collections.abc import Callable
from typing import Any

import pandas as pd

from harness.statistics.intervals import FEWEST_RUNS

NONE = "–"

Writer = Callable[[Any], str]


def number(value: Any, form: str = "#.4g") -> str:
    """A number with a few significant digits, whole from 1,000 on."""
    if pd.isna(value):
        return NONE
    text = f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:{form}}".rstrip(".")
    return text.lstrip("-") if not any(digit in "123456789" for digit in text) else text


def share(value: Any) -> str:
    """A number between 0 and 1, or thereabouts."""
    return number(value, ".3f")


def rough(value: Any) -> str:
    """A measured number, of which three digits are enough."""
    return "∞" if value == math.inf else number(value, "#.3g")


def seconds(value: Any) -> str:
    """Seconds until something; infinity is a threshold that is not reached."""
    return "not reached" if value == math.inf else rough(value)


def elo(value: Any) -> str:
    """Points of Elo, without fractions; infinite where no result ends an interval."""
    if pd.isna(value):
        return NONE
    return f"{value:.0f}".replace("inf", "∞").removeprefix("-" if abs(value) < 0.5 else " ")


def steps(value: Any) -> str:
    """A number of steps; infinity is a threshold that is not reached."""
    if pd.isna(value):
        return NONE
    return f"{value:,.0f}" if math.isfinite(value) else "not reached"


def count(value: Any) -> str:
    """A whole number."""
    return NONE if pd.isna(value) else str(int(value))


def p_value(p: Any) -> str:
    """A p-value with three decimals."""
    if pd.isna(p):
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def interval(row: Any, prefix: str = "", write: Writer = number, fewest: int = FEWEST_RUNS, runs: str = "done") -> str:
    """Both ends of an interval of a cell of runs, in columns with this prefix, or why there is none.

    An interval takes so many runs at the fewest; the column ``runs`` says how many there are.
    """
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    if not pd.isna(low):
        return f"{write(low)} to {write(high)}"
    return f"n < {fewest}" if not pd.isna(row[runs]) and 0 < row[runs] < fewest else NONE


def with_interval(row: Any, name: str, write: Writer = number, fewest: int = FEWEST_RUNS, runs: str = "done") -> str:
    """A number of a cell of runs, with its interval in brackets if there is one; the arguments are those of it."""
    bounds = interval(row, f"{name}_", write, fewest, runs)
    unseen = bounds == NONE or row[f"{name}_low"] == math.inf  # so is what is said of the number itself
    return write(row[name]) if unseen or pd.isna(row[name]) else f"{write(row[name])} ({bounds})"


def ranges(numbers: "pd.Series[int]") -> str:
    """Whole numbers in ascending order, those in a row as a range."""
    parts: list[list[int]] = []
    for each in sorted(int(number) for number in numbers):
        if parts and each == parts[-1][-1] + 1:
            parts[-1][1:] = [each]
        else:
            parts.append([each])
    return ", ".join("–".join(map(str, part)) for part in parts)
