"""What the runs of a trial leave behind; rows are as in the tables of the same names."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Diverged(Exception):  # noqa: N818, because it is an outcome, which the harness reports as a status
    """Every run of the trial had a return that is not finite: training ends, with status ``diverged``."""


class Unmetered(Exception):  # noqa: N818, because it is an outcome, which the harness reports as a status
    """A run learned from more than its meter counted: it ends with status ``unmetered``."""


class Episode(NamedTuple):
    """One finished training episode; fields as in the table ``episodes``."""

    copy: int
    step: int
    train_seconds: float
    value: float
    length: int
    terminated: bool
    truncated: bool


class EvaluationEpisode(NamedTuple):
    """One evaluation episode; fields as in the table ``evaluations``."""

    evaluation: int
    step: int
    train_seconds: float
    episode: int
    seed: int
    value: float
    length: int
    terminated: bool
    truncated: bool


@dataclass
class RunRecord:
    """One run."""

    seed: int
    episodes: list[Episode] = field(default_factory=list)  # of training, finished
    evaluations: list[EvaluationEpisode] = field(default_factory=list)
    diagnostics: list[tuple[int, str, float]] = field(default_factory=list)  # step, name, value of all that was logged
    diverged: str = ""  # why the run diverged; empty if it did not
    drawings: list[str] = field(default_factory=list)  # of the first game of the last evaluation
    simulated: int = 0  # steps that a model or a planner's copy of the environment took
