"""Sheets as plain text, Markdown, LaTeX and CSV; whatever a name contains stays text."""

import re
from collections.abc import Iterable, Sequence

from harness.reporting.cells import NONE
from harness.reporting.sheets import Sheet
from harness.text import one_line

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "–": "--",
}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


def plain(sheet: Sheet) -> str:
    """Aligned columns for a terminal; control characters in names become "?"."""
    lines = [[column.heading for column in sheet.columns], *([one_line(cell) for cell in row] for row in sheet.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(line, widths, sheet.columns, strict=True)
        ).rstrip()
        for line in lines
    )


def markdown(sheet: Sheet) -> str:
    """A Markdown table under its title."""
    rule = ["--:" if column.number else "---" for column in sheet.columns]
    head = [_markdown_text(column.heading) for column in sheet.columns]
    rows = [[_markdown_text(cell) for cell in row] for row in sheet.rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in [head, rule, *rows])
    return f"## {sheet.title}\n\n{table}\n\n{_markdown_text(sheet.note)}\n"


def latex(sheet: Sheet) -> str:
    """A LaTeX table; it needs the package booktabs."""
    alignment = "".join("r" if column.number else "l" for column in sheet.columns)
    head = [_latex_text(column.heading) for column in sheet.columns]
    rows = [
        [
            _latex_text(cell).replace("-", "$-$") if column.number and cell != NONE else _latex_text(cell)
            for cell, column in zip(row, sheet.columns, strict=True)
        ]
        for row in sheet.rows
    ]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{_latex_text(sheet.title)}. {_latex_text(sheet.note)}}}",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            _latex_row(head),
            r"\midrule",
            *_latex_body(rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def csv(sheet: Sheet) -> str:
    """Every column with full precision; missing values are empty."""
    return str(sheet.data.to_csv(index=False, lineterminator="\n"))


def _markdown_text(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", one_line(text))


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_body(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """The rows, with a space where another environment begins."""
    for before, row in zip([None, *rows], rows, strict=False):
        if before is not None and before[0] != row[0]:
            yield r"\addlinespace"
        yield _latex_row(row)
