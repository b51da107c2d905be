"""How comparisons and gates write a number: in a table of a terminal, where it may not be known, and in JSON."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import pandas as pd


def number(value: float, form: str = ".4g") -> str:
    """A number, or a dash where it is not known."""
    return f"{value:{form}}" if isfinite(value) else "-"


def score(value: float, failed: int) -> str:
    """A mean, and how many of its runs failed."""
    return f"{number(value)} ({failed} failed)" if failed else number(value)


def interval(value: float, low: float, high: float, form: str) -> str:
    """Both ends, or that a number has none."""
    if isfinite(low):
        return f"{low:{form}} to {high:{form}}"
    return "none below 3 runs" if isfinite(value) else "-"


def place(environment: str, device: str) -> str:
    """An environment, with the device where that is no CPU."""
    return environment if device == "cpu" else f"{environment} ({device})"


def known(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Values for JSON, which has null where a number is not known."""
    return {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in values.items()}


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table for JSON, every digit of its numbers included."""
    return [known(row) for row in table.astype(object).where(table.notna(), None).to_dict("records")]
