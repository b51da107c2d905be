"""Selecting an algorithm in one string: ``algorithms/dqn:paper[learning_rate=1e-3, epsilon.until=0.3]``."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from harness.errors import UsageError
from harness.specs import NAME

ID = re.compile(rf"({NAME.pattern}/)?{NAME.pattern}")
SELECTION = re.compile(rf"(?P<id>{ID.pattern})(:(?P<preset>{NAME.pattern}))?(\[(?P<overrides>.*)\])?")
LONGEST = 1_000
_END = "]"  # a key that no field can have


class SelectionError(UsageError):
    """A selection string that cannot be read; the message shows it and the form it should have."""


@dataclass(frozen=True)
class Selection:
    """One contestant as somebody asked for it.

    Attributes:
        id: ``plugin/name``, or a short name.
        preset: named overrides of the algorithm, or None.
        overrides: configuration values on top, nested tables for dotted keys.
        text: what was written, without space around it.
    """

    id: str
    preset: str | None
    overrides: Mapping[str, Any]
    text: str

    @property
    def variant(self) -> str:
        """Preset and overrides as written, "" where there are none: what follows the id in a label."""
        return self.text[len(self.id) :]


def parse_selection(text: str) -> Selection:
    """Read ``id``, ``id:preset``, ``id[key=value, ...]`` or ``id:preset[key=value, ...]``; values are TOML.

    Raises:
        SelectionError: the form is wrong, or a value is not TOML.
    """
    text = text.strip()
    match = SELECTION.fullmatch(text) if len(text) <= LONGEST and text.isprintable() else None
    if match is None:
        raise SelectionError(
            f'{text[:80]!r} selects no algorithm; the form is "id", "id:preset" or '
            '"id:preset[key=value, other.key=value]", ids of a-z, 0-9, "_", "-" and at most one "/"'
        )
    overrides = {} if match["overrides"] is None else _overrides(match["overrides"], text)
    return Selection(match["id"], match["preset"], MappingProxyType(overrides), text)


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
    return dict(overrides)
