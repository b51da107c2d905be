"""The plugin that is always there: the standard suites.

It describes itself through the same hooks as any plugin, and has no privilege but its name.
"""

from harness.api import ExecutorSpec, FigureSpec, SuiteSpec, hookimpl

API = 1


@hookimpl
def harness_suites() -> list[SuiteSpec]:
    """The suites that ship with the harness."""
    return [
        SuiteSpec(
            "quickstart",
            "harness.suites:quickstart.toml",
            summary="Tabular and deep, ours and Stable-Baselines3's, in two minutes",
        ),
        SuiteSpec(
            "tabular",
            "harness.suites:tabular.toml",
            summary="Worlds small enough for a table, with known optimal values",
        ),
        SuiteSpec(
            "classic-control",
            "harness.suites:classic-control.toml",
            summary="Gymnasium's classic control tasks",
        ),
        SuiteSpec(
            "claims-value",
            "harness.suites:claims-value.toml",
            summary="What papers on action values claim, on small tasks",
        ),
        SuiteSpec(
            "claims-policy",
            "harness.suites:claims-policy.toml",
            summary="What papers on policy gradients claim, on CartPole",
        ),
        SuiteSpec(
            "claims-continuous",
            "harness.suites:claims-continuous.toml",
            summary="What papers on continuous control claim, on a pendulum",
        ),
    ]


@hookimpl
def harness_executors() -> list[ExecutorSpec]:
    """This machine."""
    return [
        ExecutorSpec("local", "harness.running.executor_local:create", summary="Processes on this machine")
    ]


@hookimpl
def harness_figures() -> list[FigureSpec]:
    """The figures of every report."""
    return [
        FigureSpec(
            "final-scores",
            "Final score of every run",
            "harness.reporting.figures:final_scores",
            "Each mark is one run: the mean return of its last evaluation. At the right: runs done of all runs.",
        ),
        FigureSpec(
            "curves-over-steps",
            "Learning curves against environment steps",
            "harness.reporting.figures:curves_over_steps",
            "Mean return of each evaluation. Thin lines are runs, thick lines their mean, bands its pointwise 95 % "
            "bootstrap interval over whole runs; n is the number of runs. Dashed: the threshold. The axis spans the "
            "runs, so a wide band leaves it; where a few returns lie far below all others, the lowest is told instead.",
        ),
        FigureSpec(
            "curves-over-seconds",
            "Learning curves against training time",
            "harness.reporting.figures:curves_over_seconds",
            "The same against seconds of training, evaluation excluded. Seconds of a trial that trained several runs "
            "are shared out equally. The mean ends where the fastest run ends.",
        ),
        FigureSpec(
            "steps-to-threshold",
            "Environment steps to the threshold",
            "harness.reporting.figures:steps_to_threshold",
            "Each mark is one run, at the first of two consecutive evaluations that reach the threshold. Hollow "
            "marks did not reach it, failed runs included. At the right: runs that reached it of those that count.",
        ),
        FigureSpec(
            "wall-clock",
            "Where the time went",
            "harness.reporting.figures:wall_clock",
            "Mean seconds per run. At the right: environment steps per second of training, and the number of runs.",
        ),
    ]
