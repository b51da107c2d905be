"""The difference of final scores of the two algorithms of a suite, with its 95 % interval over seeds.

Usage: python tests/learn/difference.py results/dqn-beside-sb3
"""

import sys

import numpy as np

import harness
from harness.analysis.stats import mean_interval


def main(path: str) -> None:
    """Print both means, and the mean and interval of the differences paired by seed."""
    results = harness.load(path)
    last = results.evaluations["step"] == results.evaluations.groupby("key")["step"].transform("max")
    rows = results.evaluations[last].merge(results.runs[["key", "algorithm_id"]], on="key")
    final = rows.groupby(["algorithm_id", "seed"])["return"].mean().unstack("seed")
    (first, ours), (second, theirs) = final.sort_index().iterrows()
    difference = (ours - theirs).to_numpy()
    interval = mean_interval(difference)
    print(f"{first}: {ours.mean():.1f}   {second}: {theirs.mean():.1f}   n = {len(difference)} seeds each")
    print(f"difference {np.mean(difference):.1f}, 95 % interval {interval.low:.1f} to {interval.high:.1f}")


if __name__ == "__main__":
    main(sys.argv[1])
