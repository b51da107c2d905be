"""What a trial's process is told, and what it tells in the end: the two records that cross between processes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from harness.contract.specs import EnvironmentSpec, Needs, as_json, environment_from_json

SECONDS = ("train", "environment", "learning", "evaluation", "setup", "planning")


@dataclass(frozen=True)
class TrialDescription:
    """One call of ``train``, as ``job.json`` describes it.

    Attributes:
        environment: what to train on.
        seeds: of the runs trained here; several only in lockstep.
        budget: steps each run may take; of an algorithm that learns from a data set, updates.
        points: evaluations spread evenly over the budget, the last one at its end; one more at 0.
        episodes: per evaluation.
        lockstep: whether the policy takes a leading seed axis.
        target: module of the algorithm.
        config: its configuration, as JSON values.
        views: which of `harness.contract.specs.VIEWS` of the environment it trains on.
        needs: of the machine.
        keys: of the runs, in the order of the seeds.
    """

    environment: EnvironmentSpec
    seeds: tuple[int, ...] = (0,)
    budget: int = 1_000
    points: int = 1
    episodes: int = 1
    lockstep: bool = False
    target: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    views: tuple[str, ...] = ()
    needs: Needs = field(default_factory=Needs)
    keys: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        as_lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        environment = as_json(self.environment)
        return {
            **values,
            **as_lists,
            "environment": environment,
            "config": dict(self.config),
            "needs": asdict(self.needs),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `to_json` wrote."""
        as_tuples = {name: tuple(values[name]) for name in ("seeds", "views", "keys")}
        environment, needs = environment_from_json(values["environment"]), Needs(**values["needs"])
        return cls(**{**values, **as_tuples, "environment": environment, "needs": needs})


@dataclass(frozen=True)
class RunOutcome:
    """What became of one run of a trial.

    Attributes:
        key: of the run.
        steps: taken.
        simulated: steps of models and planners.
        fingerprint: hash of every return and length.
        diverged: why it diverged; empty if it did not.
    """

    key: str
    steps: int = 0
    simulated: int = 0
    fingerprint: str = ""
    diverged: str = ""


@dataclass(frozen=True)
class TrialOutcome:
    """What a trial's process leaves behind, as ``outcome.json``. Every value may be absent: it may have died before.

    Attributes:
        status: "done", "failed" or "diverged"; empty if it did not get so far.
        error: why it is not done.
        runs: whose tables it left.
        measured: seconds, memory and the like, by the columns of the table of runs.
        machine: it ran on, in one line.
        hardware: the same in full.
    """

    status: str = ""
    error: str = ""
    runs: tuple[RunOutcome, ...] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)
    machine: str = ""
    hardware: Mapping[str, Any] = field(default_factory=dict)

    def of(self, key: str) -> RunOutcome | None:
        """What became of the run with this key, if it was left."""
        return next((run for run in self.runs if run.key == key), None)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `to_json` wrote.

        Raises:
            TypeError: it is something else.
        """
        return cls(**{**values, "runs": tuple(RunOutcome(**run) for run in values.get("runs", ()))})
