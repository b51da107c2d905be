"""What a trial's process is told, and what it tells in the end: the two records that cross between processes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from harness.contract.specs import EnvironmentSpec, Needs, as_json, environment_from_json, from_json

# What may be read of a job, and stored
Status = Literal["", "done", "failed", "diverged", "unmetered"]
Text = Annotated[str, Field(max_length=1_000)]
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Fact = Text | Count | Annotated[float, Field(allow_inf_nan=False)] | None
Facts = Annotated[Mapping[Text, Fact], Field(max_length=1_000)]

SECONDS = ("train", "environment", "learning", "evaluation", "setup", "planning")


@dataclass(frozen=True)
class TrialDescription:
    """One call of ``train``, as ``job.json`` describes it."""

    environment: EnvironmentSpec
    seeds: tuple[int, ...] = (0,)  # of the runs trained here; several only in lockstep
    budget: int = 1_000  # steps each run may take; of an algorithm that learns from a data set, updates
    points: int = 1  # evaluations spread evenly over the budget, the last one at its end; one more at 0
    episodes: int = 1  # per evaluation
    lockstep: bool = False  # whether the policy takes a leading seed axis
    target: str = ""  # module of the algorithm
    config: Mapping[str, Any] = field(default_factory=dict)  # of the algorithm, as JSON values
    views: tuple[str, ...] = ()  # which of `harness.contract.specs.VIEWS` of the environment it trains on
    needs: Needs = field(default_factory=Needs)  # of the machine
    keys: tuple[str, ...] = ()  # of the runs, in the order of the seeds

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return as_json(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `to_json` wrote."""
        as_tuples = {name: tuple(values[name]) for name in ("seeds", "views", "keys")}
        environment, needs = environment_from_json(values["environment"]), Needs(**values["needs"])
        config = from_json(values["config"])
        return cls(**{**values, **as_tuples, "environment": environment, "needs": needs, "config": config})


@dataclass(frozen=True)
class RunOutcome:
    """What became of one run of a trial."""

    key: Text
    steps: Count = 0  # taken
    simulated: Count = 0  # steps of models and planners
    fingerprint: Text = ""  # hash of every return and length
    diverged: Text = ""  # why it diverged; empty if it did not
    drawings: Annotated[tuple[Text, ...], Field(max_length=100)] = ()  # of the first game of its last evaluation


@dataclass(frozen=True)
class TrialOutcome:
    """What a trial's process leaves behind, as ``outcome.json``. Every value may be absent: it may have died before."""

    status: Status = ""  # empty if it did not get so far
    error: str = ""  # why it is not done
    runs: tuple[RunOutcome, ...] = ()  # whose tables it left
    measured: Facts = field(default_factory=dict)  # seconds, memory ..., by columns of the table of runs
    machine: Text = ""  # it ran on, in one line
    hardware: Facts = field(default_factory=dict)  # the same in full

    def of(self, key: str) -> RunOutcome | None:
        """What became of the run with this key, if it was left."""
        return next((run for run in self.runs if run.key == key), None)
