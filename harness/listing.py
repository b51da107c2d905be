"""Data on stdout, for people as aligned columns and for programs as JSON."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click


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


def one_line(value: object) -> str:
    """Text that stays on its line and leaves the terminal alone, whatever a plugin wrote."""
    text = " ".join(str(value).split())
    return "".join(character if character.isprintable() else "?" for character in text)


def counted(number: int, noun: str) -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def reason(error: str) -> str:
    """What a traceback says in the end, on one line: type and message, however many lines that has.

    A text that is no traceback is taken whole.
    """
    lines = error.strip().splitlines()
    frames = [number for number, line in enumerate(lines) if line.startswith("  File ")]
    after = lines[frames[-1] + 1 :] if frames else lines
    while frames and after and after[0].startswith(" "):  # the source line, and marks under it
        after = after[1:]
    return one_line(" ".join(after))
