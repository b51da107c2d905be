"""Reads workflow files: as much of YAML as ours need, and an error for everything else."""

import re
from typing import Any, NamedTuple

ENTRY = re.compile(r"(?P<key>[\w-]+):(?: +(?P<value>\S.*))?")
COMMENT = re.compile(r"(^| +)#.*$")
PLAIN = re.compile(r"(?![-?:,\[\]{}#&*!|>'\"%@`])(?!.*:( |$)).+")


class Line(NamedTuple):
    """A line without its indentation and comment."""

    depth: int
    text: str


def read(document: str) -> dict[str, Any]:
    """Mappings, sequences in blocks, plain and quoted scalars (as text), and literal blocks (``|``).

    Raises:
        ValueError: for anything else.
    """
    rows = document.splitlines()
    found, end = _block(rows, _next(rows, 0))
    if end != len(rows) or not isinstance(found, dict):
        raise ValueError(f"line {end + 1} is not understood: {rows[end : end + 1]}")
    return found


def _next(rows: list[str], at: int) -> int:
    """The next row that says something."""
    while at < len(rows) and not COMMENT.sub("", rows[at]).strip():
        at += 1
    return at


def _line(row: str) -> Line:
    text = COMMENT.sub("", row)
    return Line(len(text) - len(text.lstrip()), text.strip())


def _block(rows: list[str], at: int) -> tuple[Any, int]:
    """The mapping or sequence that begins in a row, and the row after it."""
    depth, text = _line(rows[at])
    found: Any = [] if text.startswith("- ") else {}
    while at < len(rows) and _line(rows[at]).depth == depth:
        text = _line(rows[at]).text
        if isinstance(found, list):
            if not text.startswith("- "):
                raise ValueError(f"line {at + 1} is no item: {text!r}")
            if ENTRY.fullmatch(text[2:]):
                rows[at] = rows[at].replace("- ", "  ", 1)
                item, at = _block(rows, at)
            else:
                item, at = _scalar(text[2:]), _next(rows, at + 1)
            found.append(item)
            continue
        entry = ENTRY.fullmatch(text)
        if entry is None or entry["key"] in found:
            raise ValueError(f"line {at + 1} is no new entry: {text!r}")
        found[entry["key"]], at = _value(rows, at, depth, entry["value"])
    if at < len(rows) and _line(rows[at]).depth > depth:
        raise ValueError(f"line {at + 1} is indented too far")
    return found, at


def _value(rows: list[str], at: int, depth: int, value: str | None) -> tuple[Any, int]:
    """What belongs to the key in a row, and the row after it."""
    if value == "|":
        return _literal(rows, at + 1, depth)
    after = _next(rows, at + 1)
    if value is not None:
        return _scalar(value), after
    if after < len(rows) and _line(rows[after]).depth > depth:
        return _block(rows, after)
    return None, after


def _literal(rows: list[str], at: int, depth: int) -> tuple[str, int]:
    """Rows as they are, as far as they are indented further."""
    first = at
    inner = len(rows[at]) - len(rows[at].lstrip())
    while at < len(rows) and (not rows[at].strip() or len(rows[at]) - len(rows[at].lstrip()) > depth):
        at += 1
    text = "\n".join(row[inner:] for row in rows[first:at]).rstrip("\n") + "\n"
    return text, _next(rows, at)


def _scalar(text: str) -> Any:
    """A scalar; a list of plain ones in brackets."""
    if text.startswith("[") and text.endswith("]"):
        return [_scalar(part.strip()) for part in text[1:-1].split(",")]
    if len(text) > 1 and text[0] == text[-1] == '"' and '"' not in text[1:-1] and "\\" not in text:
        return text[1:-1]
    if PLAIN.fullmatch(text) is None:
        raise ValueError(f"not understood: {text!r}")
    return text
