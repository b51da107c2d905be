"""From a suite to the runs it asks for: every cell resolved, checked and keyed before anything runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from harness.contract.errors import MissingPlugin, UsageError
from harness.contract.specs import AlgorithmSpec, EnvironmentSpec, Needs, as_json
from harness.discovery.compatibility import device_lacking, incompatibility
from harness.discovery.registry import AmbiguousNameError, Entry, Registry, UnknownNameError
from harness.discovery.selection import Selection, parse_selection
from harness.measuring.description import TrialDescription
from harness.running.describe import ConfigDescription, ConfigRequest, EnvironmentDescription, describe_targets
from harness.running.keys import run_key, task_hash
from harness.suite.reading import Suite, TaskSettings, check_environments

Lacks = Callable[[str], str]  # why there is no such device; empty if there is


@dataclass(frozen=True)
class Contestant:
    """An algorithm with its configuration settled."""

    entry: Entry[AlgorithmSpec]
    label: str  # full id, preset and overrides
    config: Mapping[str, Any]  # every field of its ``Config``, as JSON values
    needs: Needs = field(default_factory=Needs)  # of a machine, with this configuration


@dataclass(frozen=True)
class Cell:
    """One contestant on one environment and device: the runs that differ only in seed."""

    contestant: Contestant
    environment: Entry[EnvironmentSpec]
    device: str
    task: TaskSettings
    task_hash: str
    keys: Mapping[int, str]  # the run's key for every seed
    reason: str = ""  # why nothing runs here; empty if it does
    fits: bool = True  # whether the contestant could run here on another machine, if not on this


@dataclass(frozen=True)
class Plan:
    """All cells of a suite, in the order of the suite."""

    suite: Suite
    cells: tuple[Cell, ...]
    broken: Mapping[str, str] = field(default_factory=dict)  # why environments that are left out cannot be made

    @property
    def runs(self) -> int:
        """How many runs the compatible cells ask for."""
        return sum(len(cell.keys) for cell in self.cells if not cell.reason)


def make_plan(
    suite: Suite,
    registry: Registry,
    algorithms: Sequence[str] = (),
    environments: Sequence[str] = (),
    seeds: Sequence[int] = (),
    devices: Sequence[str] = (),
    lacks: Lacks = lambda device: "",
    origin: str = "",
    keep_going: bool = False,
) -> Plan:
    """Expand a suite; what is given replaces what the suite says, and ``environments`` of the suite are kept alone.

    ``lacks`` tells why there is no such device where the trials would run; nothing if there is. Messages about a name
    in the suite call that after its ``origin``, such as its file; by its own name unless given. To ``keep_going`` is to
    leave out environments that cannot be made; the plan says which and why.

    Raises:
        UsageError: something named does not exist, a configuration is wrong, or no algorithm is named.
        MissingPlugin: something named needs a plugin or a distribution that is not installed.
    """
    selections = [parse_selection(text) for text in (algorithms or suite.algorithms)]
    if not selections:
        raise UsageError(f"suite {suite.name!r} names no algorithms; choose some with -a ALGORITHM")
    origin = origin or f"suite {suite.name!r}"
    with _blamed("" if algorithms else f"{origin}: suite.algorithms"):
        entries = [registry.resolve("algorithm", selection.id) for selection in selections]
    with _blamed(f"{origin}: suite.environments"):
        chosen = _chosen_environments(suite, registry, environments)
    for entry in entries:
        registry.check_requirements(entry)
    broken: dict[str, str] = {}
    for name, environment in chosen.items():
        if keep_going and (lacking := registry.missing_requirements(environment)):
            broken[name] = f"it needs {', '.join(lacking)}"
        else:
            registry.check_requirements(environment)
    described = describe_targets(
        [config_request(entry, selection) for entry, selection in zip(entries, selections, strict=True)],
        {name: entry.spec for name, entry in chosen.items() if name not in broken},
        {view for entry in entries for view in entry.spec.views},
        {entry.spec.fits for entry in entries if entry.spec.fits},
    )
    spaces = {name: EnvironmentDescription(name, error=why) for name, why in broken.items()}
    spaces |= {answer.id: answer for answer in described.environments}
    _refuse_errors(described.configs, [] if keep_going else described.environments)
    contestants = [
        Contestant(entry, description.id, description.config or {}, description.needs)
        for entry, description in zip(entries, described.configs, strict=True)
    ]
    cells = [
        make_cell(contestant, entry, device, suite.for_environment(name), seeds or suite.seeds, *obstacle)
        for name, entry in chosen.items()
        for selection, contestant in zip(selections, contestants, strict=True)
        if algorithms or selection.text in suite.contestants_on(name)
        for device in (devices or suite.devices)
        for obstacle in [_obstacle(contestant, entry.spec, spaces[name], device, lacks)]
    ]
    _refuse_repetitions(cells)
    return Plan(suite, tuple(cells), {name: answer.error for name, answer in spaces.items() if answer.error})


@contextmanager
def _blamed(key: str) -> Iterator[None]:
    """Put in front of what is wrong with a name where that name is written, if it is in a suite."""
    try:
        yield
    except (UnknownNameError, AmbiguousNameError, MissingPlugin) as error:
        raise type(error)(f"{key}: {error}" if key else str(error)) from None


def _chosen_environments(suite: Suite, registry: Registry, names: Sequence[str]) -> dict[str, Entry[EnvironmentSpec]]:
    """Environments of the suite by the name it uses; ``names`` keeps only those."""
    check_environments(suite, names)
    return {name: registry.resolve("environment", name) for name in (names or suite.environments)}


def config_request(entry: Entry[AlgorithmSpec], selection: Selection) -> ConfigRequest:
    """What a selection asks of an algorithm's ``Config``; a `UsageError` if there is no such preset."""
    presets = entry.spec.presets
    if selection.preset is not None and selection.preset not in presets:
        known = ", ".join(presets) or "none"
        raise UsageError(f"{entry.id} has no preset {selection.preset!r}; it has {known}")
    chosen = () if selection.preset is None else (presets[selection.preset],)
    return ConfigRequest(entry.id + selection.variant, entry.spec, (*chosen, selection.overrides))


def _refuse_errors(configs: Sequence[ConfigDescription], environments: Sequence[EnvironmentDescription]) -> None:
    answers: list[ConfigDescription | EnvironmentDescription] = [*configs, *environments]
    wrong = [(answer.id, answer.error) for answer in answers if answer.error]
    errors = [f"  {name}: {error.removeprefix(f'{name}: ')}" for name, error in wrong]
    if errors:
        raise UsageError("\n".join(["the suite cannot run:", *errors]))


def _obstacle(
    contestant: Contestant, on: EnvironmentSpec, found: EnvironmentDescription, device: str, lacks: Lacks
) -> tuple[str, bool]:
    """Why a cell cannot run, and whether it could on another machine: its ``reason`` and ``fits``."""
    if found.error:
        return found.error, True
    algorithm, spaces = contestant.entry.spec, (found.observation_space, found.action_space)
    never = incompatibility(algorithm, *spaces, on, found.known, contestant.needs)
    never = never or found.unfit.get(algorithm.fits or "", "")
    return never or device_lacking(algorithm, device) or lacks(device), not never


def make_cell(
    contestant: Contestant,
    environment: Entry[EnvironmentSpec],
    device: str,
    task: TaskSettings,
    seeds: Sequence[int],
    reason: str = "",
    fits: bool = True,
) -> Cell:
    """A cell with the keys of its runs."""
    algorithm, modules = contestant.entry.spec, as_json(environment.spec, tuples=False)
    seen = [modules[view] for view in algorithm.views if view != "dataset" and modules[view]]
    dataset = modules["dataset"] if algorithm.dataset else None
    task_id = task_hash(modules, task.steps, task.points, task.episodes, dataset)
    of, place = (contestant.entry.id, algorithm.version, contestant.config), environment.spec.name
    keys = {seed: run_key(*of, place, task_id, seed, device, seen) for seed in seeds}
    return Cell(contestant, environment, device, task, task_id, keys, reason, fits)


def _refuse_repetitions(cells: Sequence[Cell]) -> None:
    """Two spellings of one question would share their runs, and one of them would be in no table."""
    seen: dict[str, Cell] = {}
    for cell in cells:
        key = next(iter(cell.keys.values()))
        if (other := seen.setdefault(key, cell)) is not cell:
            pair = f"{other.contestant.label!r} and {cell.contestant.label!r} on {cell.environment.id!r}"
            raise UsageError(f"{pair} are the same runs; keep one of them")


@dataclass(frozen=True)
class TrialPlan:
    """One call of ``train``: a cell and those of its seeds that are trained in it."""

    cell: Cell
    seeds: tuple[int, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the runs, in the order of the seeds."""
        return tuple(self.cell.keys[seed] for seed in self.seeds)

    @property
    def description(self) -> TrialDescription:
        """What its process is told."""
        cell, algorithm = self.cell, self.cell.contestant.entry.spec
        return TrialDescription(
            environment=cell.environment.spec,
            seeds=self.seeds,
            budget=cell.task.steps,
            points=cell.task.points,
            episodes=cell.task.episodes,
            lockstep=algorithm.trains_together(cell.contestant.needs),
            target=algorithm.target,
            config=cell.contestant.config,
            views=algorithm.views,
            needs=cell.contestant.needs,
            keys=self.keys,
        )

    def __str__(self) -> str:
        """What a person reads: algorithm, environment, seeds, device if it matters."""
        seeds = ",".join(map(str, self.seeds)) if len(self.seeds) < 4 else f"{len(self.seeds)} seeds"
        device = "" if self.cell.device == "cpu" else f" on {self.cell.device}"
        name = self.cell.environment.spec.name
        return f"{self.cell.contestant.label} / {name} / {'seed ' if len(self.seeds) < 4 else ''}{seeds}{device}"


def trials(cell: Cell, seeds: Sequence[int]) -> Iterator[TrialPlan]:
    """The trials that train these seeds of a cell: one in lockstep, else one per seed."""
    if cell.contestant.entry.spec.trains_together(cell.contestant.needs):
        yield TrialPlan(cell, tuple(seeds))
    else:
        yield from (TrialPlan(cell, (seed,)) for seed in seeds)
