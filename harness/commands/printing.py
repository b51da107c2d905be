"""Data on stdout, for people as aligned columns and for programs as JSON."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

from harness.text import one_line


def print_json(value: Any) -> None:
    """Print as JSON; what JSON has no form for, as text."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; what is not printable in a cell becomes "?"."""
    lines = [tuple(header), *(tuple(map(one_line, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
