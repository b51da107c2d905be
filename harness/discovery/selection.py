"""Selecting an algorithm in one string: ``algorithms/dqn:paper[learning_rate=1e-3, epsilon.until=0.3]``."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from harness.contract.errors import UsageError
from harness.contract.specs import NAME

ID = re.compile(rf"({NAME.pattern}/)?{NAME.pattern}")
SELECTION = re.compile(rf"(?P<id>{ID.pattern})(:(?P<preset>{NAME.pattern}))?(\[(?P<overrides>.*)\])?")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
LONGEST = 1_000
_END = "]"  # a key that no field can have


class SelectionError(UsageError):
    """A selection string that cannot be read; the message shows it and the form it should have."""


@dataclass(frozen=True)
class Selection:
    """One contestant as somebody asked for it."""

    id: str  # ``plugin/name``, or a short name
    preset: str | None  # named overrides of the algorithm
    overrides: Mapping[str, Any]  # configuration values on top, nested tables for dotted keys

    @property
    def variant(self) -> str:
        """What follows the id in a label: one spelling of preset and overrides, however they were written."""
        preset = "" if self.preset is None else f":{self.preset}"
        settings = [f"{key}={_written(value)}" for key, value in sorted(_dotted(self.overrides, ""))]
        return preset + (f"[{', '.join(settings)}]" if settings else "")

    @property
    def text(self) -> str:
        """The selection in one spelling; reading it gives the selection again."""
        return self.id + self.variant


def parse_selection(text: str) -> Selection:
    """Read ``id``, ``id:preset``, ``id[key=value, ...]`` or ``id:preset[key=value, ...]``; values are TOML.

    Raises:
        SelectionError: the form is wrong, or a value is not TOML or has no form in JSON.
    """
    text = text.strip()
    match = SELECTION.fullmatch(text) if _is_legible(text) else None
    if match is None:
        raise SelectionError(
            f'{text[:80]!r} selects no algorithm; the form is "id", "id:preset" or '
            '"id:preset[key=value, other.key=value]", ids of a-z, 0-9, "_", "-" and at most one "/"'
        )
    overrides = {} if match["overrides"] is None else _overrides(match["overrides"], text)
    selection = Selection(match["id"], match["preset"], MappingProxyType(overrides))
    if not _is_legible(selection.text):
        raise SelectionError(f"{text!r}: values must be short and printable")
    return selection


def _is_legible(text: str) -> bool:
    return len(text) <= LONGEST and text.isprintable()


def _overrides(values: str, text: str) -> dict[str, Any]:
    """An inline TOML table. The end mark shows that no comment or brace in ``values`` cut it short."""
    try:
        table = tomllib.loads(f'table = {{{values}, "{_END}" = 0}}')
    except (ValueError, RecursionError) as error:
        raise SelectionError(
            f"{text!r}: the overrides are not TOML key=value pairs ({error}); text needs quotes, as in "
            '[schedule="linear"], and lists brackets, as in [hidden=[64, 64]]'
        ) from None
    overrides = table.pop("table")
    if table or overrides.pop(_END, None) != 0:
        raise SelectionError(f"{text!r}: '#' and unbalanced braces are not allowed in overrides")
    _refuse_dates(overrides)
    return dict(overrides)


def _dotted(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        key = prefix + (name if BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False))
        if isinstance(value, dict) and value:
            yield from _dotted(value, f"{key}.")
        else:
            yield key, value


def _written(value: Any) -> str:
    """A value as TOML, in its shortest spelling."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_written(item)}" for key, item in sorted(_dotted(value, ""))) + "}"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _refuse_dates(value: Any) -> None:
    """Dates and times, which no configuration holds."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _refuse_dates(item)
    elif not isinstance(value, str | int | float):
        raise SelectionError(f"{value} is a date or a time; text needs quotes")
