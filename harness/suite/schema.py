"""The shape of a suite file: one immutable pydantic model per TOML table, and the `Suite` made of them.

Names follow strict patterns, so that none can become a path outside the results folder.
"""

from collections import Counter
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from harness.contract.errors import UsageError
from harness.contract.specs import NAME
from harness.discovery.selection import ID, SelectionError, parse_selection
from harness.suite.measures import GATED, MEASURES, USUAL, named

RESERVED = frozenset({"compact"})  # folders that the results store itself makes
MOST_SEEDS = 10_000


def _seed_list(value: Any) -> Any:
    """``5`` stands for 0, 1, 2, 3, 4."""
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if not 1 <= value <= MOST_SEEDS:
        raise ValueError(f"as a number it must be 1 to {MOST_SEEDS:,}")
    return tuple(range(value))


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if repeated := [value for value, count in Counter(values).items() if count > 1]:
        raise ValueError(f"lists {', '.join(map(repr, repeated[:5]))} more than once; keep one")
    return values


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name!r} is a folder of the results store; choose another name")
    return name


def _defined(name: str) -> str:
    try:
        return named(name).name
    except UsageError as error:
        raise ValueError(str(error)) from None


def _gated(name: str) -> str:
    if name not in GATED:
        raise ValueError(f"{name!r} is not what a gate judges by; one of {', '.join(GATED)}")
    return name


def _increasing(values: tuple[int, ...]) -> tuple[int, ...]:
    if any(first >= second for first, second in pairwise(values)):
        raise ValueError("must increase from one to the next")
    return values


def _readable_selection(text: str) -> str:
    try:
        return parse_selection(text).text
    except SelectionError as error:
        raise ValueError(str(error)) from None


_LIST = Field(strict=False, json_schema_extra={"uniqueItems": True})  # TOML has lists where we keep tuples
_UNIQUE = AfterValidator(_distinct)

Steps = Annotated[int, Field(ge=1, le=10**12)]
Points = Annotated[int, Field(ge=1, le=10_000)]
Episodes = Annotated[int, Field(ge=1, le=100_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
SeedCount = Annotated[int, Field(ge=1, le=MOST_SEEDS)]
SeedList = Annotated[tuple[Seed, ...], _LIST, Field(min_length=1, max_length=MOST_SEEDS), _UNIQUE]
Share = Annotated[float, Field(gt=0, lt=1)]
Identifier = Annotated[str, Field(pattern=rf"^{ID.pattern}$")]
Selected = Annotated[str, AfterValidator(_readable_selection)]
Sentence = Annotated[str, Field(min_length=1, max_length=500)]
Device = Literal["cpu", "cuda"]


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Header(_Table):
    """What is compared, on what, how often."""

    name: Annotated[str, Field(pattern=rf"^{NAME.pattern}$"), AfterValidator(_not_reserved)] = Field(
        description="Names the results folder: 1 to 64 of a-z, 0-9, '_' and '-', no '_' or '-' in front.",
        examples=["quickstart"],
    )
    version: str = Field(
        pattern=r"^[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}$",
        description='Text such as "1", raised whenever the question changes.',
        examples=["1"],
    )
    question: Sentence = Field(
        description="The question this suite answers, in one sentence.",
        examples=["Which algorithm needs the fewest steps?"],
    )
    environments: Annotated[tuple[Identifier, ...], _LIST, _UNIQUE] = Field(
        min_length=1,
        max_length=1_000,
        description='Environments by id, "plugin/name", or by short name where that is unique.',
        examples=[["cartpole"]],
    )
    algorithms: Annotated[tuple[Selected, ...], _LIST, _UNIQUE] = Field(
        default=(),
        max_length=1_000,
        description='Contestants unless the command line names others: "id", "id:preset", "id:preset[key=value]".',
        examples=[["algorithms/dqn", "sb3/dqn[learning_rate=1e-3]"]],
    )
    seeds: Annotated[SeedList, BeforeValidator(_seed_list, json_schema_input_type=SeedCount | SeedList)] = Field(
        description="Seeds of the runs: a list, or a number n for 0 to n-1.", examples=[5]
    )
    devices: Annotated[tuple[Device, ...], _LIST, _UNIQUE] = Field(
        default=("cpu",),
        min_length=1,
        description="Devices to train on; every seed runs on each of them.",
        examples=[["cpu"]],
    )


class Budget(_Table):
    """How long a run trains."""

    steps: Steps = Field(
        description="Environment steps of each run, summed over environment copies.", examples=[20_000]
    )


class Evaluation(_Table):
    """How a run is scored."""

    points: Points = Field(
        default=20,
        description="Evaluations spread evenly over the budget, the last exactly at it; one more at step 0.",
        examples=[20],
    )
    episodes: Episodes = Field(default=10, description="Episodes of each evaluation.", examples=[10])


class Limits(_Table):
    """Where a trial is stopped from outside."""

    seconds: float | None = Field(
        default=None,
        gt=0,
        le=10_000_000,
        description="Wall-clock limit of one trial in seconds; none unless given.",
        examples=[3_600],
    )
    memory_gib: float = Field(
        default=4.0, gt=0, le=65_536, description="Memory limit of one trial in GiB.", examples=[4]
    )


class Override(_Table):
    """What differs for one environment."""

    steps: Steps | None = Field(default=None, description="Replaces budget.steps.", examples=[50_000])
    points: Points | None = Field(default=None, description="Replaces evaluation.points.", examples=[20])
    episodes: Episodes | None = Field(default=None, description="Replaces evaluation.episodes.", examples=[10])
    algorithms: Annotated[tuple[Selected, ...], _LIST, _UNIQUE] | None = Field(
        default=None,
        min_length=1,
        max_length=1_000,
        description="Contestants here, out of suite.algorithms; all of them unless given.",
        examples=[["algorithms/q_learning"]],
    )


class Claim(_Table):
    """A falsifiable statement about the results."""

    statement: Sentence = Field(
        description="The claim in words.", examples=["Sarsa earns more while it learns than Q-learning."]
    )
    metric: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$"), AfterValidator(_defined)] = Field(
        description=f"The measure that is compared: {', '.join(MEASURES)}.", examples=["online_return"]
    )
    better: Selected = Field(
        description="The algorithm that it is about, as listed in suite.algorithms.", examples=["algorithms/sarsa"]
    )
    than: Selected | None = Field(
        default=None,
        description="The algorithm it is said to be better than, as listed in suite.algorithms.",
        examples=["algorithms/q_learning"],
    )
    at_least: float | None = Field(
        default=None, description="Instead of than: what the mean of the metric, a return, reaches.", examples=[475]
    )
    at_most: float | None = Field(
        default=None,
        description="Instead of than: what the mean of the metric, a return, does not exceed.",
        examples=[-80],
    )
    environment: str = Field(
        description="The environment, as listed in suite.environments.", examples=["cliff-walking"]
    )
    margin: float = Field(
        default=0.0,
        description="By at least how much, in the unit of the metric; below 0, by how much it may be worse.",
        examples=[10],
    )
    confidence: float = Field(
        default=0.95, gt=0.5, lt=1, description="Confidence the claim must reach.", examples=[0.95]
    )

    @property
    def number(self) -> float | None:
        """What the mean is compared with, where it is not another contestant's."""
        return self.at_most if self.at_least is None else self.at_least


class Gate(_Table):
    """How `harness gate` decides; what is not given follows from the number of tasks."""

    measure: Annotated[str, AfterValidator(_gated)] = Field(
        default=USUAL,
        json_schema_extra={"enum": list(GATED)},
        description="The measure of a run that is gated.",
        examples=["final_score"],
    )
    tolerance: Share | None = Field(
        default=None,
        description="Drop tolerated overall, as a share of the old score less a random policy's; 0.1 unless given, "
        "0.2 for a single task.",
        examples=[0.1],
    )
    task_tolerance: Share = Field(
        default=0.25, description="Drop tolerated on any one task, likewise.", examples=[0.25]
    )
    looks: Annotated[tuple[SeedCount, ...], _LIST, AfterValidator(_increasing)] | None = Field(
        default=None,
        description="Numbers of seeds per side at which it may decide; 3, 5, 8, 12 unless given, and 5, 8, 12, 20 "
        "for fewer than four tasks.",
        min_length=1,
        max_length=20,
        examples=[[3, 5, 8, 12]],
    )
    alpha: Annotated[float, Field(gt=0, le=0.5)] = Field(
        default=0.05, description="Chance of a false alarm, and of a false pass.", examples=[0.05]
    )


class _Tables(_Table):
    budget: Budget = Field(description="How long a run trains.", examples=[{"steps": 20_000}])
    evaluation: Evaluation = Field(
        default=Evaluation(), description="How a run is scored.", examples=[{"points": 20, "episodes": 10}]
    )
    limits: Limits = Field(
        default=Limits(), description="Where a trial is stopped from outside.", examples=[{"seconds": 3_600}]
    )
    environment: dict[str, Override] = Field(
        default={},
        description="What differs for one environment: [environment.NAME], NAME as in suite.environments.",
        examples=[{"cartpole": {"steps": 50_000}}],
    )
    gate: Gate = Field(default=Gate(), description="How `harness gate` decides.", examples=[{"tolerance": 0.1}])
    claims: Annotated[tuple[Claim, ...], Field(strict=False)] = Field(
        default=(), max_length=1_000, description="Falsifiable statements about the results."
    )


class SuiteFile(_Tables):
    """A suite file, table by table."""

    suite: Header = Field(description="What is compared, on what, how often.")


class TaskSettings(NamedTuple):
    """What one environment asks of a run."""

    steps: int  # budget of each run
    points: int  # evaluations after the one at step 0, evenly spread, the last at ``steps``
    episodes: int  # episodes of each evaluation


class Suite(Header, _Tables):
    """A validated suite: the header's values and the other tables."""

    def for_environment(self, name: str) -> TaskSettings:
        """Budget and evaluation of one listed environment, its overrides applied."""
        override = self.environment.get(name, Override())
        return TaskSettings(
            steps=override.steps or self.budget.steps,
            points=override.points or self.evaluation.points,
            episodes=override.episodes or self.evaluation.episodes,
        )

    def contestants_on(self, name: str) -> tuple[str, ...]:
        """The algorithms that compete on one listed environment, unless the command line names others."""
        return self.environment.get(name, Override()).algorithms or self.algorithms
