"""Judges learning: published behaviour against its bars, and our algorithms beside Stable-Baselines3's.

python tests/learn/judge.py run        # run its suites (what is complete is kept), then judge
python tests/learn/judge.py            # judge what is stored in results/

The bars and the pairs are in bars.toml. The exit code is 1 if one is missed, 3 if runs are missing.
"""

import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import harness
from harness.analysis.stats import mean_interval
from harness.contract.errors import ExitCode

FOLDER = Path(__file__).parent
SHIPPED = FOLDER.parents[1] / "suites"
RESULTS = Path("results")
SEEDS = 10  # fewer decide nothing here


def final_scores(suite: str, algorithm: str, environment: str) -> pd.Series:
    """The final score of every done run of one contestant, by seed.

    Args:
        suite: its name.
        algorithm: full id, with its preset where the suite has several configurations of it.
        environment: short name.

    Raises:
        ValueError: there are several configurations.
    """
    if not (RESULTS / suite).is_dir():
        return pd.Series(dtype=float)
    results = harness.load(RESULTS / suite)
    runs = results.runs
    id_, preset, _ = algorithm.partition(":")
    named = (runs["algorithm_id"] == id_) & (runs["environment"] == environment)
    if preset:
        named &= runs["algorithm"].str.removeprefix(f"{id_.partition('/')[0]}/") == algorithm.partition("/")[2]
    done = runs[named & (runs["status"] == "done")]
    if done["algorithm"].nunique() > 1:
        raise ValueError(f"{suite}: several configurations of {algorithm}: {sorted(done['algorithm'].unique())}")
    rows = results.evaluations[results.evaluations["key"].isin(done["key"])]
    last = rows["step"] == rows.groupby("key", observed=True)["step"].transform("max")
    return rows[last].groupby("seed", observed=True)["return"].mean()


def bar_row(bar: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the table of bars."""
    scores = final_scores(bar["suite"], bar["algorithm"], bar["environment"])
    mean = float(scores.mean())
    if len(scores) < SEEDS:
        verdict = "missing"
    else:
        met = mean >= bar["at_least"] if "at_least" in bar else mean < bar["below"]
        verdict = "met" if met else "missed"
    low, high = mean_interval(scores)
    limit = f">= {bar['at_least']}" if "at_least" in bar else f"< {bar['below']}"
    facts = {name: bar[name] for name in ("suite", "algorithm", "environment")}
    return {**facts, "runs": len(scores), "mean": mean, "low": low, "high": high, "bar": limit, "verdict": verdict}


def twin_row(twin: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the table of pairs: the difference of means, paired by seed, must not be below 0 for sure."""
    ours, theirs = (final_scores(twin["suite"], twin[who], twin["environment"]) for who in ("ours", "theirs"))
    difference = (ours - theirs).dropna()
    low, high = mean_interval(difference)
    verdict = "missing" if len(difference) < SEEDS else "met" if high >= 0 else "missed"
    return {
        "suite": twin["suite"],
        "ours": twin["ours"],
        "theirs": twin["theirs"],
        "pairs": len(difference),
        "our mean": float(ours.mean()),
        "their mean": float(theirs.mean()),
        "difference": float(difference.mean()),
        "low": low,
        "high": high,
        "verdict": verdict,
    }


def suites() -> Iterator[Path]:
    """The suite files beside this one, and those with claims."""
    yield from (path for path in sorted(FOLDER.glob("*.toml")) if path.name != "bars.toml")
    yield from sorted(SHIPPED.glob("claims-*.toml"))


def main(arguments: list[str]) -> int:
    """Run if asked to, print both tables, and say by the exit code whether every bar is met."""
    if arguments == ["run"]:
        for path in suites():
            subprocess.run([sys.executable, "-m", "harness", "run", str(path)], check=False)
    asked = tomllib.loads((FOLDER / "bars.toml").read_text(encoding="utf-8"))
    tables = [
        pd.DataFrame([bar_row(bar) for bar in asked["bars"]]),
        pd.DataFrame([twin_row(twin) for twin in asked["twins"]]),
    ]
    for table in tables:
        print(table.to_string(index=False, float_format="%.1f"), end="\n\n")
    verdicts = pd.concat([table["verdict"] for table in tables])
    if (verdicts == "missing").any():
        return ExitCode.INCOMPLETE
    return ExitCode.NO if (verdicts == "missed").any() else ExitCode.YES


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
