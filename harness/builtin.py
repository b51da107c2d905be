"""The plugin that is always there: the standard suites.

It describes itself through the same hooks as any plugin, and has no privilege but its name.
"""

from harness.api import ExecutorSpec, FigureSpec, SuiteSpec, hookimpl

API = 1
SUITES = {
    "quickstart": "A cliff, and our PPO beside Stable-Baselines3's, in a minute",
    "tabular": "Worlds small enough for a table, with known optimal values",
    "classic-control": "Gymnasium's classic control tasks",
    "claims-value": "What papers on action values claim, on small tasks",
    "claims-model": "What papers on planning and on learned models claim, on a small task",
    "claims-imitation": "What the paper on imitating a planner before TRPO claims, on a pendulum",
    "claims-imagination": "What the paper on imagination-augmented agents claims, on a small board",
    "claims-parallel": "What papers on parallel actors and learners claim, in virtual time",
    "claims-world": "What the paper on world models claims, on a pole whose velocities are hidden",
    "claims-search": "What papers on search and on learning by self-play claim, on small boards",
    "claims-policy": "What papers on policy gradients claim, on CartPole",
    "claims-continuous": "What papers on continuous control claim, on a pendulum",
    "tutorial": "The algorithms of tutorials, each on its own script's environment, against that script's result",
}
FIGURES = {  # title, and function in harness.reporting; one of `figures_environment` is drawn for each environment
    "curves": ("Learning curves side by side", "figures_overview:side_by_side"),
    "aggregates": ("Final scores over environments", "figures_overview:aggregates"),
    "profiles": ("Performance profiles", "figures_overview:profiles"),
    "improvement": ("Probability of improvement", "figures_overview:improvement"),
    "overall-curves": ("Learning curves over environments", "figures_overview:overall_curves"),
    "trade-off": ("What a score costs", "figures_overview:trade_off"),
    "ratings": ("Strength of players", "figures_games:ratings"),
    "learning-curves": ("Learning curves", "figures_environment:learning_curves"),
    "runs": ("Every run", "figures_environment:every_run"),
}
CAPTIONS = {  # of figures
    "curves": "Mean return of each evaluation. Thin lines are runs, thick lines their mean, bands its 95 % intervals "
    "by Student's t or resampled runs, which know of no failure not seen; n: number of runs. Dashed: the threshold.",
    "aggregates": "Normalised final scores of all runs on the common environments: 0 is the random policy, 1 the "
    "reference. IQM is the mean of the middle half of the runs; the optimality gap is how far runs fall short of 1. "
    "Bars are 95 % bootstrap intervals over whole runs, stratified by environment, and but for the IQM as wide as runs "
    "that may still fail demand; n is the number of runs.",
    "profiles": "The share of runs, and of environments by the mean of their runs, with a normalised final score above "
    "τ; higher is better. Bands are pointwise 95 % bootstrap intervals; n is the number of runs per environment.",
    "improvement": "The probability that a run of the row scores more than a run of the column on the same "
    "environment, ties counting one half, mean over the environments both have run, with its 95 % bootstrap interval. "
    "Blue: the row wins more often; orange: the column does; bold: the interval excludes one half, unless it is of "
    "five runs or fewer that all won.",
    "overall-curves": "IQM of the normalised scores of all runs after each share of the budget. Bands are 95 % "
    "bootstrap intervals over whole runs, stratified by environment: the darker holds any one point of the true line, "
    "the lighter the whole of it; n is the number of runs per environment.",
    "trade-off": "IQM of normalised final scores against the share of the budget until the threshold (the whole of it "
    "where a run does not get there), and against seconds of training. Lines are 95 % intervals; dashed: nobody is "
    "better in both. Seconds of runs that shared a trial have no interval. n: runs per environment.",
    "ratings": "Points of Elo above the player that is rated 0, for each game: 200 more are an expected score of 0.76. "
    "Lines are 95 % intervals over whole runs; an arrow is one without an end, of a player who won (or lost) all that "
    "could bound it. Grey squares are fixed opponents.",
    "learning-curves": "Mean return of each evaluation, against environment steps and against seconds of training, "
    "evaluation excluded. Thin lines are runs, thick lines their mean, bands its 95 % intervals by Student's t or "
    "resampled runs, which know of no failure not seen: the darker holds any one point of the true line, the lighter "
    "the whole of it; n is the number of runs. Dashed: the threshold. The axis spans the runs; a wide band leaves it.",
    "runs": "Each mark is one run. At the right of final scores: runs done of all runs. Of steps: runs that held the "
    "threshold for two evaluations, of those that count; failed runs never do. Of seconds: environment steps per "
    "second of training. Intervals: of the mean of scores (the next runs may fail, so it can leave the axis, which "
    "spans the runs), of the median of steps (from 6 runs on), of the mean of set-up, training and evaluation together "
    "(none where a trial trained several runs).",
}


@hookimpl
def harness_suites() -> list[SuiteSpec]:
    """The suites that ship with the harness."""
    return [SuiteSpec(name, f"harness.suites:{name}.toml", summary=summary) for name, summary in SUITES.items()]


@hookimpl
def harness_executors() -> list[ExecutorSpec]:
    """This machine."""
    return [ExecutorSpec("local", "harness.running.executor_local:create", summary="Processes on this machine")]


@hookimpl
def harness_figures() -> list[FigureSpec]:
    """The figures of every report."""
    return [
        FigureSpec(name, title, f"harness.reporting.{target}", CAPTIONS[name], target.startswith("figures_environment"))
        for name, (title, target) in FIGURES.items()
    ]
