"""Reading our own documents: fenced blocks, commands, tables, headings and links."""

import re
from pathlib import Path
from typing import NamedTuple

from support.paths import ROOT

DOCUMENTS = sorted(
    path for pattern in ("*.md", "docs/**/*.md", "plugins/*/*.md", "results/README.md") for path in ROOT.glob(pattern)
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"\s+# .*$")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, "" if it has none, and its text."""

    language: str
    text: str


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path) -> list[Block]:
    return [Block(*match) for match in FENCE.findall(path.read_text(encoding="utf-8"))]


def commands(path: Path) -> list[str]:
    """The commands of a document, a line each, without comments."""
    lines = [line for language, text in blocks(path) if language == "sh" for line in text.splitlines()]
    return [COMMENT.sub("", line).strip() for line in lines if line.strip()]


def prose(path: Path) -> str:
    """A document without its fenced blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def links(path: Path) -> list[str]:
    """What a document links to, other sites left out."""
    return [target for target in LINK.findall(prose(path)) if "://" not in target]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives a document's headings."""
    headings = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose(path))]
    return {heading.strip().replace(" ", "-") for heading in headings}


def table(path: Path, *header: str) -> list[list[str]]:
    """The rows of the tables with this header, backticks removed."""
    head = re.escape(f"| {' | '.join(header)} |")
    bodies = re.findall(rf"^{head}\n\|[-:| ]+\|\n((?:\|.*\|\n)*)", prose(path), re.MULTILINE)
    lines = [line for body in bodies for line in body.splitlines()]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")] for line in lines]


def section(path: Path, heading: str) -> str:
    """The text below a heading, up to the next of its level or a higher one."""
    text = path.read_text(encoding="utf-8")
    level = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert level, f"{name_of(path)} has no section {heading!r}"
    rest = text[level.end() :]
    end = re.search(rf"^#{{1,{len(level[1])}}} ", FENCE.sub(lambda m: " " * len(m[0]), rest), re.MULTILINE)
    return rest[: end.start()] if end else rest
