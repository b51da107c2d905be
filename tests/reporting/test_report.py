import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

import harness
from harness.commands.cli import cli, main
from harness.contract.errors import ExitCode
from harness.discovery.registry import Registry
from harness.reporting.report import Drawing, NothingToReportError, _drawn, terminal_table, write_report
from harness.suite.schema import Claim
from harness.verdicts.claims import ClaimVerdict, JudgedClaim
from support.browser import CHROMIUM, chromium
from support.games import against, several
from support.results import CARTPOLE, ENVIRONMENTS, Run, realistic_suite, write_compact, write_run, write_runs

HOSTILE = 'a/x[note="</td><script>alert(1)</script><img src=http://example.invalid/x onerror=alert(2)>"]'
OVERVIEW = {"aggregates", "profiles", "improvement", "overall-curves", "trade-off"}
FIGURES = OVERVIEW | {
    f"{name}-{environment.name}" for name in ("learning-curves", "runs") for environment in ENVIRONMENTS
}
SHEETS = {"aggregates", "scores", "pairwise", "sample_efficiency", "pairwise_steps", "reliability"}
SHEETS |= {"wall_clock", "failures"}
TABLES = SHEETS | {"improvement", "profiles", "overall_curves", "trade_off", "left_out"}


@pytest.fixture(scope="module")
def registry():
    return Registry.load(only=frozenset())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_runs(tmp_path_factory.mktemp("results") / "synthetic", realistic_suite(seeds=4))


@pytest.fixture(scope="module")
def page(folder, registry, tmp_path_factory):
    return write_report(harness.load(folder), registry, tmp_path_factory.mktemp("report"))


class Elements(HTMLParser):
    """Every element with its attributes, and all text outside of styles."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._style = False
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._style = tag == "style"

    def handle_data(self, data):
        if not self._style:
            self.text += data


def report_of(tmp_path, registry, *runs):
    return write_report(harness.load(write_runs(tmp_path / "suite", runs)), registry, tmp_path / "report")


def test_every_table_and_figure_is_also_a_file(page):
    folder = page.parent
    assert {path.name for path in (folder / "tables").iterdir()} == {
        f"{name}.{ending}" for name in SHEETS for ending in ("csv", "md", "tex")
    }
    assert {path.name for path in (folder / "figures").iterdir()} == {f"{name}.svg" for name in FIGURES}


def test_the_page_asks_for_nothing_from_outside(page):
    for tag, attributes in Elements(page).elements:
        assert tag not in ("script", "iframe", "object", "embed", "img")
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "action", "data") and value is not None:
                assert value.startswith("#") or value == "data:,", (tag, name, value)
            assert not name.startswith("on")
    text = page.read_text(encoding="utf-8")
    assert "@import" not in text
    assert not re.search(r"url\(\s*['\"]?(?!#)", text)


def test_no_id_is_used_twice(page):
    ids = [attributes["id"] for _, attributes in Elements(page).elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_page_tells_the_question_the_failures_and_the_provenance(page):
    text = Elements(page).text
    for told in (
        "Which algorithm learns with the fewest steps",
        "ValueError: NaN in <loss>",
        "q_learning acts in Discrete, not Box",
        "0123456789abcdef0123456789abcdef01234567",
        "torch 2.13.0",
        "AMD EPYC 9B14, 2 cores",
        "CartPole-v1",
        '{"learning_rate": 0.1}',
    ):
        assert told in text


def test_the_page_opens_with_the_answer_a_figure_and_what_everything_rests_on(page):
    text = Elements(page).text
    answer = "cartpole: algorithms/dqn:tutorial ends at 490, the highest of 5, and sb3/dqn at 487; a difference of"
    opening = ("Which algorithm learns", answer, "Final scores over environments", "rests on")
    assert sorted(opening, key=text.index) == list(opening)
    assert text.count("Final scores over environments") == 1
    assert "rests on 3 to 4 runs for each algorithm and environment: 5 algorithms, 6 environments." in text
    assert "5 of 120 runs are missing: 1 run failed; comparisons" in text
    assert "4 runs were interrupted or skipped, and are part of no number." in text
    assert "about 5 environments that every algorithm has run. Left out: pendulum (no run of q_learning)." in text


def test_every_environment_has_a_section_with_its_tables_and_figures(page):
    sections = page.read_text(encoding="utf-8").split("<section>")
    found = {match[1]: part for part in sections if (match := re.search(r'id="environment-([^"]+)"', part))}
    assert list(found) == sorted(environment.name for environment in ENVIRONMENTS)
    for name, part in found.items():
        titles = re.findall(r"<h3>(.*?)</h3>", part)
        assert titles[:2] == ["Learning curves", "Every run"]
        of_steps = ["Pairs, steps to the threshold"] * (name != "pendulum")  # which has no threshold
        assert titles[2:] == ["Final scores", "Pairs", "Sample efficiency", *of_steps, "Reliability", "Wall-clock"]
        assert f'id="learning-curves-{name}-title"' in part


def test_of_one_environment_nothing_is_pooled(tmp_path, registry):
    runs = [Run(name, seed=seed, scores=(20.0, 30.0 + seed)) for name in ("a/x", "a/y") for seed in range(3)]
    page = report_of(tmp_path, registry, *runs)
    drawn = {path.stem for path in (page.parent / "figures").iterdir()}
    assert drawn == {"curves", "improvement", "trade-off", "learning-curves-cartpole", "runs-cartpole"}
    text = Elements(page).text
    assert "rests on 3 runs for each algorithm and environment: 2 algorithms, 1 environment." in text
    assert "could not be drawn" not in text


def test_below_three_runs_the_page_says_that_there_are_no_intervals(tmp_path, registry):
    runs = [Run("a/x"), Run("a/y"), Run("a/y", seed=1)]
    text = Elements(report_of(tmp_path, registry, *runs)).text
    assert "Below 3 runs there are numbers without intervals, and they decide nothing." in text
    assert "n < 3" in text
    assert "could not be drawn" not in text


def test_environments_without_references_have_everything_but_normalised_scores(tmp_path, registry):
    bare = replace(CARTPOLE, random=None, reference=None, threshold=None)
    runs = [Run(name, bare, seed) for name in ("a/x", "a/y") for seed in range(3)]
    page = report_of(tmp_path, registry, *runs)
    text = Elements(page).text
    assert "could not be drawn" not in text
    assert {path.stem for path in (page.parent / "figures").iterdir()} == {
        "curves",
        "improvement",
        "learning-curves-cartpole",
        "runs-cartpole",
    }
    assert "Over environments" not in text


def test_environments_without_common_scores_are_named_with_the_reason(tmp_path, registry):
    bare = replace(CARTPOLE, name="bare", reference=None)
    runs = [Run("a/x", bare), Run("a/y", bare), Run("a/x"), Run("a/y", replace(CARTPOLE, name="other"))]
    text = Elements(report_of(tmp_path, registry, *runs)).text
    assert "There are no statistics over environments: none has normalised scores of every algorithm." in text
    told = "bare (it has no random or no reference score), cartpole (no run of y), other (no run of x)"
    assert f"Left out: {told}." in text


def test_environments_whose_names_differ_in_signs_only_have_files_of_their_own(tmp_path, registry):
    runs = [Run(environment=replace(CARTPOLE, name=name)) for name in ("a-b", "a.b", "a/../b", "\u00e4")]
    page = report_of(tmp_path, registry, *runs)
    names = {path.name for path in (page.parent / "figures").glob("runs-*")}
    assert names == {"runs-a-b.svg", "runs-a-b-2.svg", "runs-a-b-3.svg", "runs-environment.svg"}
    ids = [attributes["id"] for _, attributes in Elements(page).elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_names_of_plugins_are_text_in_the_page(tmp_path, registry):
    hostile = Run(HOSTILE, changes={"algorithm_id": "a/x", "machine": "<b onclick=x>", "suite": "<i>"})
    failed = replace(hostile, seed=1, status="failed", error="<img src=x onerror=alert(3)>", scores=())
    found = Elements(report_of(tmp_path, registry, hostile, failed))
    assert not {"script", "img", "b", "i"} & {tag for tag, _ in found.elements}
    assert HOSTILE.removeprefix("a/") in found.text
    assert "<img src=x onerror=alert(3)>" in found.text


def test_the_same_runs_give_the_same_page(tmp_path, registry):
    runs = [Run(seed=seed) for seed in range(3)]
    first = report_of(tmp_path / "a", registry, *runs)
    second = report_of(tmp_path / "b", registry, *runs[::-1])
    assert first.read_bytes() == second.read_bytes()
    assert "failures" not in first.read_text(encoding="utf-8")


def test_compacted_runs_give_the_same_page(tmp_path, registry):
    runs = [Run(seed=seed) for seed in range(3)]
    folders = report_of(tmp_path, registry, *runs)
    compacted = write_compact(tmp_path / "other" / "suite", runs)
    again = write_report(harness.load(compacted), registry, tmp_path / "again")
    assert folders.read_bytes() == again.read_bytes()


# Games


def section(page, anchor):
    """The part of the page below a heading."""
    text = page.read_text(encoding="utf-8")
    return text[text.index(f'<h2 id="{anchor}">') :].partition("</section>")[0]


def test_without_games_the_page_has_neither_ratings_nor_boards(page):
    tags = Elements(page).elements
    assert not any(attributes.get("id") == "ratings" for _, attributes in tags)
    assert not any(tag == "pre" for tag, _ in tags)


def test_games_have_a_section_of_ratings_with_a_figure_and_files(tmp_path, registry):
    page = report_of(tmp_path, registry, *several("random", "dqn", 3, 4, 3), *several("minimax", "dqn", 1, 1, 2))
    ratings = section(page, "ratings")
    assert "Elo above random" in ratings
    for player in ("minimax", "dqn", "random"):
        assert f"<td>{player}</td>" in ratings
    assert "Elo above random" not in section(page, "overview")
    assert (page.parent / "figures" / "ratings.svg").is_file()
    assert pd.read_csv(page.parent / "tables" / "ratings.csv")["rating"].notna().all()


def test_json_has_ratings_of_games_and_infinite_ends_are_null(tmp_path):
    folder = write_runs(tmp_path / "suite", several("random", "dqn", 5, 5, 5))
    (won, anchor) = json.loads(CliRunner().invoke(cli, ["report", str(folder), "--json"]).stdout)["ratings"]
    assert (won["player"], won["high"], anchor["rating"]) == ("dqn", None, 0.0)


def boards(page):
    return re.findall(r"<figcaption>(\d+)</figcaption><pre[^>]*>\n(.*?)</pre>", page.read_text(encoding="utf-8"), re.S)


def test_the_page_shows_the_first_seeds_game_of_who_ended_highest(tmp_path, registry):
    runs = [
        replace(run, drawings=[f"{run.algorithm} {run.seed}", "end"])
        for run in [*several("random", "dqn", 1, 1, 2), *several("random", "sac", 3, 5, 4)]
    ]
    page = report_of(tmp_path, registry, *runs)
    assert boards(page) == [("0", "algorithms/sac 0"), ("1", "end")]
    assert "sac, seed 0: the first game of the last evaluation, won." in Elements(page).text


def test_of_a_long_game_eight_positions_are_shown_with_the_first_and_the_last(tmp_path, registry):
    page = report_of(tmp_path, registry, against("random", "dqn", 0, drawings=[f"at {k}" for k in range(31)]))
    assert boards(page) == [(str(k), f"at {k}") for k in (0, 4, 9, 13, 17, 21, 26, 30)]


@pytest.mark.parametrize("drawings", ["text", 3, {"a": 1}, [None, [1]], [], {}])
def test_drawings_of_strangers_may_be_anything(tmp_path, registry, drawings):
    assert boards(report_of(tmp_path, registry, against("random", "dqn", 0, drawings=drawings))) == []


def test_a_drawing_is_text_in_the_page(tmp_path, registry):
    page = report_of(
        tmp_path, registry, against("random", "dqn", 0, drawings=["</pre><script>\x1b\u202e", "x" * 10**6])
    )
    assert [drawing for _, drawing in boards(page)] == ["&lt;/pre&gt;&lt;script&gt;", "x" * 1_000]


def test_compacted_runs_show_the_same_game(tmp_path, registry):
    runs = [replace(run, drawings=["X.", "XO"]) for run in several("random", "dqn", 1, 2, 3)]
    compact = write_report(harness.load(write_compact(tmp_path / "b", runs)), registry, tmp_path / "report")
    assert boards(compact) == [("0", "X."), ("1", "XO")]


def test_a_file_that_cannot_be_used_is_named_on_the_page(tmp_path, registry):
    folder = write_runs(tmp_path / "suite", [Run(seed=0), Run(seed=1)])
    broken = folder / Run(seed=1).key / "run.json"
    broken.write_text("{")
    text = Elements(write_report(harness.load(folder), registry, tmp_path / "report")).text
    assert "1 stored files cannot be used" in text
    assert str(broken) in text


def test_without_a_readable_run_there_is_no_report_but_a_reason(tmp_path, registry):
    folder = write_runs(tmp_path / "suite", [Run()])
    (folder / Run().key / "run.json").write_text("{")
    with pytest.raises(NothingToReportError, match=r"holds no readable run\n.*run\.json: not a readable JSON"):
        write_report(harness.load(folder), registry, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_runs_without_any_result_still_make_a_report(tmp_path, registry):
    text = Elements(report_of(tmp_path, registry, Run(status="skipped", error="no device", scores=()))).text
    assert "no device" in text


def test_a_strangers_manifest_may_hold_anything(tmp_path, registry):
    place = write_run(tmp_path / "suite", Run())
    content = json.loads((place / "run.json").read_text())
    content["manifest"] = {"suite": [], "versions": "all", "hardware": 3, "git": None, "command": {"a": 1}}
    (place / "run.json").write_text(json.dumps(content))
    write_report(harness.load(tmp_path / "suite"), registry, tmp_path / "report")

    assert "</html>" in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")


def test_claims_are_a_section_and_files(tmp_path, registry):
    claim = Claim(statement="Sarsa is <safer>", metric="final_score", better="a", than="b", environment="cartpole")
    results = harness.load(write_runs(tmp_path / "suite", [Run()]))
    page = write_report(results, registry, tmp_path / "report", [JudgedClaim(claim, "cpu", ClaimVerdict.NOT_JUDGED)])
    assert 'id="claims"' in page.read_text("utf-8")
    assert "Sarsa is <safer>" in Elements(page).text
    assert pd.read_csv(page.parent / "tables" / "claims.csv")["statement"].tolist() == ["Sarsa is <safer>"]


PLUGIN = """
from harness.api import FigureSpec, hookimpl

API = 1

@hookimpl
def harness_figures():
    return [
        FigureSpec("lengths", "Lengths", "fake_dist_pictures:lengths", "How long episodes are."),
        FigureSpec("broken", "Broken <b>", "fake_dist_pictures:broken"),
        FigureSpec("nothing", "Nothing", "fake_dist_pictures:nothing"),
        FigureSpec("task", "Of a task", "fake_dist_pictures:task", "Of one task.", per_environment=True),
    ]

def lengths(results):
    from matplotlib.figure import Figure
    figure = Figure()
    figure.subplots().plot(results.episodes["step"], results.episodes["length"])
    return figure

def broken(results):
    raise ValueError("no <luck>")

def nothing(results):
    return None

def task(results, environment):
    from matplotlib.figure import Figure
    figure = Figure()
    figure.subplots().set_title(f"all of {environment}")
    return figure
"""


def test_figures_of_plugins_are_drawn_and_a_broken_one_says_why(tmp_path, install):
    install("pictures", PLUGIN)
    page = report_of(tmp_path, Registry.load(only=frozenset({"pictures"})), Run())
    found = Elements(page)
    assert "How long episodes are." in found.text
    assert "pictures/broken could not be drawn: ValueError: no <luck>" in found.text
    assert "Nothing" not in found.text
    assert (page.parent / "figures" / "pictures-lengths.svg").exists()
    assert any(attributes.get("id") == "pictures-lengths-title" for _, attributes in found.elements)
    assert "all of cartpole" in (page.parent / "figures" / "pictures-task-cartpole.svg").read_text("utf-8")
    assert found.text.count("Of one task.") == 1


ENDINGS = {
    "sys.exit(3)": "it called sys.exit(3)",
    "os._exit(0)": "it called sys.exit(0)",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise BaseException('no')": "BaseException: no",
    "raise GeneratorExit": "GeneratorExit",
    "while True: pass": "it took longer than 0.2 s",
    "return 5": "AttributeError",
}


@pytest.mark.parametrize(("body", "reason"), ENDINGS.items())
def test_whatever_ends_a_figure_is_said_in_its_place(tmp_path, install, monkeypatch, body, reason):
    monkeypatch.setattr("harness.reporting.report.FIGURE_SECONDS", 0.2)
    declared = 'yield FigureSpec("bad", "Bad", target="fake_dist_pictures:bad", caption="Of nothing.")'
    install(
        "pictures",
        "import os, sys\nfrom harness.api import FigureSpec, hookimpl\nAPI = 1\n"
        f"@hookimpl\ndef harness_figures():\n    {declared}\ndef bad(results):\n    {body}\n",
    )
    registry = Registry.load(only=frozenset({"pictures"}))
    (plugin,) = (plugin for plugin in registry.plugins if plugin.name == "pictures")
    drawing = _drawn(Drawing("pictures/bad", plugin.provides["figure"][0]), None)
    assert drawing.error.startswith(reason)


def test_the_terminal_table_has_a_line_per_cell_and_names_what_is_missing(folder):
    text = terminal_table(harness.load(folder))
    table, note = text.split("\n\n")
    assert len(table.splitlines()) == 1 + 6 * 5
    assert max(map(len, table.splitlines())) <= 120
    assert note == "Not in these means: 4 skipped, 1 failed."


def test_the_command_prints_the_table_then_the_answer_and_names_the_page(tmp_path, capsys):
    folder, out = write_runs(tmp_path / "suite", [Run()]), tmp_path / "report"
    assert main(["--no-plugins", "report", str(folder), "--out", str(out)]) == ExitCode.YES
    printed, said = capsys.readouterr()
    assert printed.startswith("environment")
    assert printed.endswith("\n\ncartpole: q_learning ends at 40.0, 1 run. A run trains in 8.00 s.\n")
    assert str(out / "index.html") in said
    assert (out / "index.html").exists()


def test_the_command_writes_beside_the_runs_and_reads_on_undisturbed(tmp_path):
    folder = write_runs(tmp_path / "suite", [Run()])
    for _ in range(2):
        assert main(["--no-plugins", "report", str(folder)]) == ExitCode.YES
    assert (folder / "report" / "index.html").exists()
    assert len(harness.load(folder).runs) == 1
    assert not harness.load(folder).problems


def test_the_command_prints_json(tmp_path):
    folder = write_runs(tmp_path, [Run(scores=(0, 0, 0))])
    answer = CliRunner().invoke(cli, ["--no-plugins", "report", str(folder), "--json"])
    found = json.loads(answer.stdout)
    assert set(found) == {"report", "problems", "claims", *TABLES}
    assert found["scores"][0]["done"] == 1
    assert found["sample_efficiency"][0]["median_steps"] is None  # JSON has no infinity


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path, capsys):
    assert main(["--no-plugins", "report", str(tmp_path / "nowhere")]) == ExitCode.USAGE
    assert "there is no such folder" in capsys.readouterr().err


# In a browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


BOXES = """
Array.from(document.querySelectorAll("figure svg")).map(svg => {
  const box = svg.getBoundingClientRect();
  return [box.width, box.height, svg.querySelectorAll("path, use").length];
})
"""
OVERLAPS = """
Array.from(document.querySelectorAll("figure svg")).flatMap(svg => {
  const texts = Array.from(svg.querySelectorAll("text")).map(t => [t.textContent, t.getBoundingClientRect()]);
  return texts.flatMap(([one, a], i) => texts.slice(i + 1).filter(([two, b]) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > a.height / 3).map(([two]) => one + " / " + two));
})
"""


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_the_page_without_complaint(browser, page, width, dark):
    browser.open(page, width, dark)
    assert browser.requests() == [page.resolve().as_uri()]
    assert browser.complaints() == []
    boxes = browser.evaluate(BOXES)
    assert len(boxes) == len(FIGURES)
    assert all(w > 200 and h > 100 and shapes > 15 for w, h, shapes in boxes)
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(15, 20, 26)" if dark else "rgb(254, 254, 254)")


BOTTOMS = """
[".question", ".answer", ".first svg"].map(part => document.querySelector(part).getBoundingClientRect().bottom)
"""


@pytest.mark.browser
@pytest.mark.parametrize("environments", [2, 4, 6])
def test_question_answer_and_a_figure_are_on_the_first_screen(browser, registry, tmp_path, environments):
    shown = ENVIRONMENTS[:environments]
    browser.open(report_of(tmp_path, registry, *(run for run in realistic_suite(3) if run.environment in shown)))
    bottoms = browser.evaluate(BOTTOMS)
    assert 0 < bottoms[0] < bottoms[1] < bottoms[2] < 800


@pytest.mark.browser
def test_no_words_of_a_figure_lie_on_each_other(browser, page):
    browser.open(page)
    assert browser.evaluate(OVERLAPS) == []


@pytest.mark.browser
def test_a_browser_runs_nothing_that_a_name_contains(browser, registry, tmp_path):
    hostile = Run(HOSTILE, changes={"algorithm_id": "a/x", "machine": "<b onclick=x>"})
    path = report_of(tmp_path, registry, hostile)
    browser.open(path)
    assert browser.requests() == [path.resolve().as_uri()]
    assert browser.complaints() == []
    assert browser.evaluate("document.scripts.length + document.images.length") == 0


def test_latex_tables_are_balanced(page):
    for path in (page.parent / "tables").glob("*.tex"):
        text = path.read_text(encoding="utf-8")
        bare = re.sub(r"\\[{}]", "", text)
        assert bare.count("{") == bare.count("}")
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1


def test_reading_results_needs_no_plotting(folder):
    code = "import harness, sys; harness.load(sys.argv[1]).scores(); print('matplotlib' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
