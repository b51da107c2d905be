"""Writes what the documents must not say from memory: the catalogue, results, verdicts on claims, the list of checks.

python docs/generate.py                      # all, from the installed plugins and results/reference
python docs/generate.py results/quickstart   # the same, after making these runs the reference of their suite

Of a suite that takes days, environments may be published one by one: what is published of others of the same version of
the suite stays.
"""

import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.contract.specs import SPACES, SuiteSpec
from harness.discovery.registry import Registry
from harness.suite.reading import load_suite, suite_text

if TYPE_CHECKING:
    from harness.analysis.results import Results

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUIDE = ROOT / "docs" / "plugin-author-guide.md"
CLAIMS = ROOT / "docs" / "claims.md"
CATALOGUE = ROOT / "docs" / "catalogue.md"
EXPLANATIONS = ROOT / "docs" / "claims.toml"  # of verdicts, by statement
REFERENCE = ROOT / "results" / "reference"
QUICKSTART = "quickstart"
FIGURE = ROOT / "docs" / "quickstart.svg"
OURS = "algorithms/"
BUNDLED = frozenset({"algorithms", "environments", "games", "sb3", "example"})  # plugins of this repository
ONLINE = "online_return"
TABLES = ("scores", "sample_efficiency", "wall_clock", ONLINE)
CELL = ["environment", "algorithm", "device"]
VERDICTS = {"holds": "hold", "fails": "fail", "undecided": "are undecided", "not judged": "are not judged"}
LIBRARIES = ("python", "gymnasium", "numpy", "stable-baselines3", "torch")  # whose versions the README names
DIGITS = "%.6g"  # of numbers in the reference


def catalogue() -> str:
    """Everything that the plugins of this repository provide, as Markdown tables."""
    registry = Registry.load(only=BUNDLED)
    scores = reference_scores()
    algorithms = [
        (
            _source(id_, entry.spec.target),
            entry.spec.summary,
            entry.spec.reference or "—",
            f"{_spaces(entry.spec.observation_spaces)} → {_spaces(entry.spec.action_spaces)}",
            _scored(id_, scores),
        )
        for id_, entry in registry.algorithms.items()
    ]
    environments = [
        (f"`{id_}`", f"`{entry.spec.id}`", entry.spec.summary) for id_, entry in registry.environments.items()
    ]
    suites = [(f"`{id_}`", _question(entry.spec)) for id_, entry in registry.suites.items()]
    return "\n\n".join(
        [
            f"## Algorithms ({len(algorithms)})",
            markdown(("id", "what it is", "source", "observes → acts in", "best documented score"), algorithms),
            f"## Environments ({len(environments)})",
            markdown(("id", "Gymnasium id", "task"), environments),
            f"## Suites ({len(suites)})",
            markdown(("id", "question"), suites),
        ]
    )


def _source(id_: str, target: str) -> str:
    """An id; of this repository's algorithms a link to the file, with its lines."""
    if not id_.startswith(OURS):
        return f"`{id_}`"
    path = f"plugins/algorithms/{target.replace('.', '/')}.py"
    lines = (ROOT / path).read_text(encoding="utf-8").count("\n")
    return f"[`{id_}`](../{path}), {lines} lines"


def reference_scores() -> pd.DataFrame:
    """The tables of scores of all reference results, one below the other, with the name of their suite."""
    tables = {path.parent.name: pd.read_csv(path) for path in sorted(REFERENCE.glob("*/scores.csv"))}
    return pd.concat(tables, names=["suite", None]).reset_index("suite")


def _scored(id_: str, scores: pd.DataFrame) -> str:
    """The published cell of runs of an algorithm with the highest normalised score, raw; a dash if there is none."""
    rows = scores[(scores["algorithm_id"] == id_) & (scores["done"] > 0)]
    if rows.empty:
        return "—"
    best = rows.sort_values(["normalised", "normalised_low"], ascending=False, kind="stable").iloc[0]
    interval = f"[{_number(best['low'])}, {_number(best['high'])}]"
    return f"{best['environment']} {_number(best['mean'])} {interval}, n = {best['done']} ({best['suite']})"


def _spaces(names: Sequence[str]) -> str:
    return "any" if set(names) >= SPACES else ", ".join(names)


def _question(spec: SuiteSpec) -> str:
    return load_suite(suite_text(spec), spec.name).question


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], right: int = 0) -> str:
    """A Markdown table whose last ``right`` columns are aligned to the right."""
    rule = ["---"] * (len(header) - right) + ["--:"] * right
    lines = [header, rule, *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def publish(folder: Path) -> None:
    """Make the runs in a folder their suite's reference: tables as CSV, where they ran; of quickstart, the figure."""
    import harness

    results = harness.load(folder)
    (suite,) = results.runs["suite"].unique()
    reference = REFERENCE / suite
    reference.mkdir(parents=True, exist_ok=True)
    provenance, others = _joined(_provenance(results), reference)
    for name in TABLES:
        table: pd.DataFrame = online_return(results) if name == ONLINE else getattr(results, name)()
        if name == "scores":  # a label may lack its plugin's name; this table is read beside those of other suites
            ids = results.runs.drop_duplicates("algorithm").set_index("algorithm")["algorithm_id"]
            table = table.assign(algorithm_id=table["algorithm"].map(ids))
        if others:
            table = _beside_others(reference / f"{name}.csv", table, results)
        table.to_csv(reference / f"{name}.csv", index=False, float_format=DIGITS, lineterminator="\n")
    if verdicts := _verdicts(suite, results):
        table = pd.DataFrame(verdicts)
        if others:
            joined = _beside_others(reference / "claims.csv", table, results)
            table = joined.set_index("statement").loc[table["statement"]].reset_index()[table.columns]
        table.to_csv(reference / "claims.csv", index=False, float_format=DIGITS, lineterminator="\n")
    text = json.dumps(provenance, indent=1) + "\n"
    (reference / "provenance.json").write_text(text, encoding="utf-8")
    if suite == QUICKSTART:
        _draw(results)


def _beside_others(path: Path, table: pd.DataFrame, results: "Results") -> pd.DataFrame:
    """A table of what was run, below the published rows of environments that were not."""
    run, kept = results.runs["environment"].unique(), pd.read_csv(path)
    return pd.concat([kept[~kept["environment"].isin(run)], table[table["environment"].isin(run)]])


def online_return(results: "Results") -> pd.DataFrame:
    """What agents earned while they learned: per cell, the mean over done runs of a run's mean training return."""
    from harness.analysis.stats import mean_interval

    done = results.runs.loc[results.runs["status"] == "done", "key"]
    episodes = results.episodes[results.episodes["key"].isin(done)]
    runs = episodes.groupby([*CELL, "key"], observed=True)["return"].mean().groupby(CELL, observed=True)
    low, high = zip(*(mean_interval(values) for _, values in runs), strict=True)
    columns = {"done": runs.size(), "online_return": runs.mean(), "online_low": low, "online_high": high}
    return pd.DataFrame(columns).reset_index()


def _verdicts(suite: str, results: "Results") -> list[dict[str, Any]]:
    """What became of the claims of an installed suite, if it makes any."""
    from harness.reporting.claims_sheet import evidence
    from harness.verdicts.claims import judged

    specs = [entry.spec for entry in Registry.load(only=BUNDLED).suites.values() if entry.spec.name == suite]
    suites = [load_suite(suite_text(spec), spec.name) for spec in specs]
    return [row for each in suites if each.claims for row in evidence(judged(each, results))]


def claims() -> str:
    """Every published claim with its verdict and the evidence, then what explains the verdicts that need it."""
    explained = tomllib.loads(EXPLANATIONS.read_text(encoding="utf-8"))["explained"]
    texts = {each["statement"]: each["text"].strip() for each in explained}
    tables = {path.parent.name: pd.read_csv(path) for path in sorted(REFERENCE.glob("*/claims.csv"))}
    counted = Counter(verdict for table in tables.values() for verdict in table["verdict"])
    told = ", ".join(f"{counted[verdict]} {words}" for verdict, words in VERDICTS.items() if counted[verdict])
    parts = [f"{sum(counted.values())} claims: {told}."]
    for suite, table in tables.items():
        rows = table.to_dict("records")
        header = ("", "verdict", "claim", "measure, environment", "better / than", "advantage, bounds")
        numbers = ("margin", "n", "more seeds")
        cells = [(str(index), *_claim_cells(row)) for index, row in enumerate(rows, 1)]
        notes = [
            f"**{index}, {row['verdict']}.** {texts[row['statement']]}"
            for index, row in enumerate(rows, 1)
            if row["statement"] in texts
        ]
        path = f"../suites/{suite}.toml"
        parts += [f"## [`{suite}`]({path})", markdown((*header, *numbers), cells, len(numbers)), *notes]
    return "\n\n".join(parts)


def _claim_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A claim as a row of a table."""
    better, than, advantage, low, high = (
        _number(row[name]) for name in ("better_value", "than_value", "advantage", "low", "high")
    )
    for key, sign in (("at_least", "≥"), ("at_most", "≤")):
        if pd.notna(row.get(key)):
            than = f"{sign} {row[key]:g}".replace("-", "−")
    judged = row["runs"] > 0
    return (
        row["verdict"],
        row["statement"],
        f"`{row['metric']}`, {row['environment']}",
        f"{better} / {than}" if judged else "—",
        f"{advantage} [{low}, {high}]" if judged else "—",
        f"{row['margin']:g}",
        str(row["runs"]),
        "" if pd.isna(row["more_seeds"]) else f"{row['more_seeds']:.0f}",
    )


def _provenance(results: "Results") -> dict[str, object]:
    """What all these runs have in common; a fact in which they differ has several values."""
    done = results.runs[results.runs["status"] == "done"]
    manifests = [results.manifest(key) for key in done["key"]]
    versions = {name: version for manifest in manifests for name, version in manifest["versions"].items()}
    evaluations = results.evaluations
    return {
        "suite": sorted(done["suite"].unique()),
        "suite_version": manifests[0]["suite"]["version"],
        "environment": sorted(done["environment"].unique()),
        "machine": sorted(done["machine"].unique()),
        "commit": sorted(done["commit"].unique()),
        "dirty": any(manifest["git"].get("dirty_diff") for manifest in manifests),
        "finished": str(done["finished_at"].max().date()),
        "seeds": sorted(int(seed) for seed in done["seed"].unique()),
        "steps": sorted(int(steps) for steps in done["budget"].unique()),
        "episodes": sorted(int(count) + 1 for count in evaluations.groupby("key")["episode"].max().unique()),
        "jobs": sorted(int(jobs) for jobs in done["jobs"].unique()),
        "versions": dict(sorted(versions.items())),
    }


def _joined(facts: dict[str, Any], reference: Path) -> tuple[dict[str, Any], bool]:
    """Provenance, with that of other environments if some are published of this version of the suite; and whether."""
    path = reference / "provenance.json"
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    same = earlier.get("suite_version") == facts["suite_version"]
    if not same or set(earlier["environment"]) <= set(facts["environment"]):
        return facts, False
    joined = {
        name: sorted({*earlier[name], *value}) if isinstance(value, list) else value for name, value in facts.items()
    }
    return {**joined, "dirty": facts["dirty"] or earlier["dirty"]}, True


def _draw(results: "Results") -> None:
    """The learning curves, as a picture that any page can show: own background, letters as outlines."""
    import matplotlib

    from harness.reporting.figure_style import style
    from harness.reporting.figures_overview import side_by_side

    with style(), matplotlib.rc_context({"svg.fonttype": "path", "savefig.transparent": False}):
        if (figure := side_by_side(results)) is None:
            raise SystemExit(f"{results.path}: no run there is done")
        figure.savefig(FIGURE, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})


def quickstart() -> str:
    """The reference result of the quickstart suite: a table, and where it comes from."""
    scores, efficiency, clock, online = (pd.read_csv(REFERENCE / QUICKSTART / f"{name}.csv") for name in TABLES)
    counted = [*CELL, "done", "failed", "other"]
    table = scores.merge(efficiency, on=counted).merge(clock, on=counted).merge(online, on=[*CELL, "done"])
    rows = [
        (
            row["environment"],
            f"`{row['algorithm']}`",
            f"{row['done']}/{row['done'] + row['failed']}",
            _number(row["mean"]),
            f"{_number(row['low'])} to {_number(row['high'])}",
            f"{row['normalised']:.2f}",
            f"{int(row['reached'])}/{int(row['of'])}",
            _number(row["online_return"]),
            _number(row["train_seconds"]),
        )
        for row in table.to_dict("records")
    ]
    measures = ("runs", "final score", "95 % interval", "normalised", "solved", "online return", "seconds")
    return markdown(("environment", "algorithm", *measures), rows, right=len(measures)) + "\n\n" + _origin()


def _origin() -> str:
    """How the reference was made, in a paragraph."""
    facts = json.loads((REFERENCE / QUICKSTART / "provenance.json").read_text(encoding="utf-8"))
    steps, episodes, jobs = (" or ".join(map("{:,}".format, facts[name])) for name in ("steps", "episodes", "jobs"))
    libraries = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if name in LIBRARIES)
    return "\n".join(
        (
            f"Seeds {', '.join(map(str, facts['seeds']))}; {steps} steps per run; {episodes} episodes per evaluation.",
            f"{'; '.join(facts['machine'])}; {jobs} trials at a time; {libraries};",
            f"{facts['finished']}, commit {', '.join(commit[:7] for commit in facts['commit'])}.",
        )
    )


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−") if abs(value) < 100 else f"{value:,.0f}".replace("-", "−")


def checks() -> str:
    """Every conformance check, by what it is asked of."""
    from harness import testing
    from harness.conformance.environments import EnvironmentSubject, environment_checks
    from harness.conformance.laboratory import Laboratory
    from harness.contract.specs import VIEWS, EnvironmentSpec

    everything = EnvironmentSpec("all", "All-v0", **dict.fromkeys(VIEWS, "module"))
    subjects = {
        "every plugin": [c for c in testing.plugin_checks("algorithms") if c.subject == "algorithms"],
        "every algorithm": testing.algorithm_checks("algorithms/dqn"),
        "every environment": environment_checks(EnvironmentSubject("all", everything, Laboratory())),
        "every suite of a plugin": testing.suite_checks("harness/quickstart"),
        "every executor": testing.executor_checks("harness/local"),
    }
    rows = [
        (subject, f"`{check.name}`", check.question.replace("``", "`"))
        for subject, asked in subjects.items()
        for check in asked
    ]
    return markdown(("of", "check", "question"), rows)


PARTS = {
    README: {"quickstart": quickstart},
    CATALOGUE: {"catalogue": catalogue},
    GUIDE: {"checks": checks},
    CLAIMS: {"claims": claims},
}


def generated(path: Path) -> str:
    """The text of a document with what lies between its markers made anew."""
    text = path.read_text(encoding="utf-8")
    for name, content in PARTS[path].items():
        begin, end = f"<!-- {name}: python docs/generate.py -->", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"{path.name}: there must be one place for the {name}")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{content()}\n{end}{rest.partition(end)[2]}"
    return text


def main(arguments: Sequence[str]) -> None:
    """Publish the folder that is named, if one is, and write the documents."""
    for folder in arguments:
        publish(Path(folder))
    for path in PARTS:
        path.write_text(generated(path), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
