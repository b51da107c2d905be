"""What training episodes returned: a figure that stands in every report beside those of the harness."""

import numpy as np
from matplotlib.figure import Figure

import harness

SHARES = np.linspace(0, 1, 101)


def training_returns(results: harness.Results, environment: str) -> Figure | None:
    """The distribution of returns on one environment, a line per algorithm."""
    episodes = results.episodes[results.episodes["environment"] == environment]
    if episodes.empty:
        return None
    algorithms = episodes.groupby("algorithm", observed=True)
    figure = Figure(figsize=(9.6, 2.4 + 0.2 * len(algorithms)), layout="constrained")
    axis = figure.subplots()
    for algorithm, rows in algorithms:
        label = f"{algorithm} (n = {rows['key'].nunique()} runs, {len(rows):,} episodes)"
        axis.plot(rows["return"].quantile(SHARES), SHARES, label=label)
    axis.set(xlabel="return of a training episode", ylabel="share of episodes at or below")
    figure.legend(loc="outside lower left")
    return figure
