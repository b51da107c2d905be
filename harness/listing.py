"""Data for people and for programs: aligned columns, and JSON of descriptions."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import click


def print_json(value: Any) -> None:
    """Print as JSON on stdout."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=False, default=str))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns on stdout; what is not printable in a cell becomes "?"."""
    lines = [tuple(header), *(tuple(map(one_line, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def one_line(value: object) -> str:
    """Text that stays on its line and leaves the terminal alone, whatever a plugin wrote."""
    text = " ".join(str(value).split())
    return "".join(character if character.isprintable() else "?" for character in text)


def plain(value: Any) -> Any:
    """Descriptions, mappings and sequences as dicts and lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
