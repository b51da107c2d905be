"""The report: one self-contained page, and its tables and figures as files for a paper.

Everything in it comes from stored runs, so a report of the same runs is the same, byte for byte.
"""

import pkgutil
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from markupsafe import Markup

from harness.analysis.results import Results
from harness.contract.errors import HarnessError
from harness.contract.specs import FigureSpec
from harness.discovery.guests import described, guest
from harness.discovery.registry import Registry
from harness.reporting import cells, sheet_formats, sheets
from harness.reporting.answer import answer
from harness.reporting.claims_sheet import claims_sheet
from harness.reporting.evidence import evidence
from harness.reporting.figure_style import THEME, style
from harness.reporting.sample_games import SampleGame, sample_game
from harness.reporting.sheets import Sheet
from harness.reporting.svg import inline_svg, standalone_svg
from harness.text import counted
from harness.verdicts.claims import JudgedClaim

OF_ENVIRONMENTS = (
    sheets.scores,
    sheets.pairwise,
    sheets.sample_efficiency,
    sheets.pairwise_steps,
    sheets.reliability,
    sheets.wall_clock,
)
ENVIRONMENT_SHEETS = tuple(make.__name__ for make in OF_ENVIRONMENTS)
RATINGS = "harness/ratings"  # the figure that has a section with its table
FIGURE_SECONDS = 600.0  # that one may take to draw
WRITERS = {"csv": sheet_formats.csv, "md": sheet_formats.markdown, "tex": sheet_formats.latex}


class NothingToReportError(HarnessError):
    """A folder without a single readable run."""


@dataclass(frozen=True)
class Drawing:
    """A figure as it stands on the page."""

    id: str  # of the figure, ``<plugin>/<name>``
    spec: FigureSpec  # its description
    environment: str = ""  # the one it is about; empty if it is about all of them
    place: str = ""  # a short name of the environment, made of letters that a path may have
    svg: str = ""  # the picture as a file; empty if there is nothing to show or it could not be drawn
    error: str = ""  # why it could not be drawn

    @property
    def name(self) -> str:
        """Of its file, and before the ids in the picture; a figure of the harness needs no prefix."""
        name = self.id.removeprefix("harness/").replace("/", "-")
        return f"{name}-{self.place}" if self.place else name

    @property
    def title(self) -> str:
        """What it shows, for those who see the page without its sections."""
        return f"{self.spec.title}, {self.environment}" if self.environment else self.spec.title

    @property
    def inline(self) -> Markup:
        """The picture as an element of the page."""
        return Markup(inline_svg(self.svg, self.name, self.title))


class Section(NamedTuple):
    """A part of the page."""

    title: str  # its heading
    anchor: str  # of links to it
    sheets: Sequence[Sheet] = ()  # its tables
    drawings: Sequence[Drawing] = ()  # its figures
    sentences: Sequence[str] = ()  # above both
    game: SampleGame | None = None  # below them


def write_report(results: Results, registry: Registry, folder: Path, claims: Sequence[JudgedClaim] = ()) -> Path:
    """Write ``index.html``, ``tables/*.{csv,md,tex}`` and ``figures/*.svg``.

    Args:
        results: stored runs.
        registry: of the plugins whose figures are drawn.
        folder: is made if missing; files of an earlier report are replaced.
        claims: of the runs' suites, as judged; without any there is no such section.

    Returns:
        The page.

    Raises:
        NothingToReportError: there is no readable run.
        OSError: the folder cannot be written.
    """
    if results.runs.empty:
        reasons = [f"\n  {problem.path}: {problem.message}" for problem in results.problems]
        raise NothingToReportError(f"{results.path}: holds no readable run{''.join(reasons)}")
    tables = [sheets.aggregates(results), *(sheet(results) for sheet in OF_ENVIRONMENTS)]
    if (results.runs["status"] != "done").any():
        tables.append(sheets.failures(results))
    if len(results.ratings()):
        tables.append(sheets.ratings(results))
    if claims:
        tables.append(claims_sheet(claims))
    drawings = list(_drawings(results, registry))
    if any((part := folder / name).is_symlink() for name in ("tables", "figures")):
        raise OSError(f"{part} is a link, and what it leads to would be written; remove it")
    for name in ("tables", "figures"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for sheet, (ending, write) in product(tables, WRITERS.items()):
        _write(folder / "tables" / f"{sheet.name}.{ending}", write(sheet))
    for drawing in drawings:
        if drawing.svg:
            _write(folder / "figures" / f"{drawing.name}.svg", drawing.svg)
    page = folder / "index.html"
    _write(page, _page(results, tables, drawings, answer(results, claims)))
    return page


def terminal_table(results: Results) -> str:
    """What a run of a suite ends with: a line per environment and algorithm, then what went wrong."""
    lines = [sheet_formats.plain(sheets.overview(results))]
    failed = results.failures()
    if len(failed):
        told = ", ".join(f"{count} {status}" for status, count in failed["status"].value_counts().items())
        lines.append(f"Not in these means: {told}.")
    if results.problems:
        lines.append(f"{len(results.problems)} stored files cannot be used; what they hold is not in this table.")
    return "\n\n".join(lines)


def _drawings(results: Results, registry: Registry) -> Iterator[Drawing]:
    """Every registered figure: those of the harness in its order, then those of the plugins."""
    places = _places(results)
    for plugin in sorted(registry.plugins, key=lambda plugin: (plugin.name != "harness", plugin.name)):
        for spec in plugin.provides.get("figure", ()):
            if isinstance(spec, FigureSpec):
                for environment, place in places.items() if spec.per_environment else [("", "")]:
                    drawing = Drawing(f"{plugin.name}/{spec.name}", spec, environment, place)
                    yield _drawn(drawing, results)


def _drawn(drawing: Drawing, results: Results) -> Drawing:
    """The figure with its picture; what a plugin's function raises is shown in its place."""
    asked = (results, drawing.environment) if drawing.environment else (results,)
    try:
        with style(), guest(f"figure {drawing.id}", FIGURE_SECONDS):
            figure = pkgutil.resolve_name(drawing.spec.target)(*asked)
            return drawing if figure is None else replace(drawing, svg=standalone_svg(figure))
    except Exception as error:
        return replace(drawing, error=described(error))


def _places(results: Results) -> dict[str, str]:
    """A short name for each environment, different from all others and fit for a path."""
    places: dict[str, str] = {}
    for environment in sorted(results.runs["environment"].unique()):
        short = re.sub(r"[^a-z0-9]+", "-", environment.lower()).strip("-")[:60] or "environment"
        taken = sum(place.startswith(short) for place in places.values())
        places[environment] = f"{short}-{taken + 1}" if taken else short
    return places


def _write(path: Path, text: str) -> None:
    """Write a file beside its place and rename it: what has the name, as a link or a FIFO, is replaced, not opened."""
    beside = path.with_name(f".{path.name}")
    beside.unlink(missing_ok=True)
    with beside.open("x", encoding="utf-8", errors="replace") as file:
        file.write(text)
    beside.replace(path)


def _page(results: Results, tables: Sequence[Sheet], drawings: Sequence[Drawing], answers: Sequence[str]) -> str:
    own = [drawing for drawing in drawings if drawing.id.startswith("harness/") and not drawing.environment]
    first = next((drawing for drawing in own if drawing.svg), None)
    below = [drawing for drawing in drawings if drawing is not first]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("harness"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Rows of one environment together, so that its name is written once.
    environment.filters["grouped"] = lambda rows: [[*group] for _, group in groupby(rows, itemgetter(0))]
    asked = [_table(results.manifest(key), "suite").get("question") for key in results.runs["key"]]
    return environment.get_template("report.html.j2").render(
        title=" and ".join(sorted(results.runs["suite"].unique())),
        questions=list(dict.fromkeys(str(question) for question in asked if question)),
        answers=answers,
        first=first,
        facts=_facts(results.runs),
        sections=list(_sections(results, {sheet.name: sheet for sheet in tables}, below)),
        captions=list({drawing.id: drawing.spec for drawing in drawings if drawing.environment}.values()),
        notes=[sheet for sheet in tables if sheet.name in ENVIRONMENT_SHEETS],
        problems=results.problems,
        theme=THEME,
        **_provenance(results),
    )


def _sections(results: Results, tables: Mapping[str, Sheet], drawings: Sequence[Drawing]) -> Iterator[Section]:
    whole = [drawing for drawing in drawings if not drawing.environment]
    rated = [drawing for drawing in whole if drawing.id == RATINGS]
    own = [drawing for drawing in whole if drawing.id.startswith("harness/") and drawing not in rated]
    overall = [tables["aggregates"]] if len(results.common.environments) > 1 else []
    yield Section("Overview", "overview", overall, own, evidence(results))
    if "claims" in tables:
        yield Section("Claims", "claims", [tables["claims"]])
    if "ratings" in tables:
        yield Section("Ratings", "ratings", [tables["ratings"]], rated)
    for environment, place in _places(results).items():
        here = [tables[name].of(environment) for name in ENVIRONMENT_SHEETS]
        pictures = [drawing for drawing in drawings if drawing.environment == environment]
        shown = [sheet for sheet in here if sheet.rows]
        yield Section(environment, f"environment-{place}", shown, pictures, game=sample_game(results, environment))
    if others := [drawing for drawing in whole if drawing not in (*own, *rated)]:
        yield Section("Figures of plugins", "plugins", [], others)
    if "failures" in tables:
        yield Section("Runs that did not finish", "failures", [tables["failures"]])


def _facts(runs: pd.DataFrame) -> list[str]:
    sizes = [counted(runs[kind].nunique(), kind) for kind in ("environment", "algorithm", "seed")]
    counts = [f"{n} {status}" for status, n in Counter(runs["status"]).most_common()]
    return [f"{len(runs)} runs", *counts, *sizes, " and ".join(sorted(runs["device"].unique()))]


def _provenance(results: Results) -> dict[str, Any]:
    """What the runs were made of and with; where runs differ, every value is told."""
    runs = results.runs
    manifests = [results.manifest(key) for key in runs["key"]]
    finished = runs["finished_at"].dropna()
    commands = [manifest.get("command") for manifest in manifests]
    facts = {
        "Suite": sorted(runs["suite"].unique()),
        "Folder": [results.path.name],
        "Machine": sorted(runs["machine"].unique()),
        "Device": _distinct(_table(manifest, "hardware").get("device_name") for manifest in manifests),
        "Commit": _commits(manifests),
        "Versions": _versions(manifests),
        "Command": _distinct(" ".join(map(str, words)) for words in commands if isinstance(words, list)),
        "Finished": sorted({str(finished.min())[:16], str(finished.max())[:16]}) if len(finished) else [],
    }
    columns = ["algorithm", "algorithm_id", "algorithm_version", "config"]
    return {
        "provenance": {name: values for name, values in facts.items() if values},
        "tasks": _tasks(runs),
        "contestants": runs[columns].drop_duplicates().sort_values(columns).itertuples(index=False, name=None),
    }


def _tasks(runs: pd.DataFrame) -> list[tuple[str, ...]]:
    columns = ["environment", "environment_id", "environment_version", "budget"]
    rows = runs.groupby(columns)[["random_score", "reference_score", "threshold"]].max().reset_index()
    return [
        (name, id_, version, cells.steps(budget), *(cells.number(score, ".6g") for score in scores))
        for name, id_, version, budget, *scores in rows.itertuples(index=False, name=None)
    ]


def _commits(manifests: Iterable[Mapping[str, Any]]) -> list[str]:
    return _distinct(
        f"{git['commit']}{' with uncommitted changes ' * bool(git.get('dirty_diff'))}{git.get('dirty_diff') or ''}"
        for git in (_table(manifest, "git") for manifest in manifests)
        if git.get("commit")
    )


def _versions(manifests: Iterable[Mapping[str, Any]]) -> list[str]:
    every: dict[str, set[str]] = {}
    for manifest in manifests:
        for name, version in _table(manifest, "versions").items():
            every.setdefault(str(name), set()).add(str(version))
    return [f"{name} {' or '.join(sorted(found))}" for name, found in sorted(every.items())]


def _table(manifest: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table of a manifest; empty where a stranger's manifest has something else there."""
    value = manifest.get(name)
    return value if isinstance(value, dict) else {}


def _distinct(values: Iterable[Any]) -> list[str]:
    return sorted({str(value) for value in values if value})
