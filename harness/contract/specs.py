"""The small frozen descriptions that plugins hand over.

A description names code by its module path and imports nothing, so listing every installed algorithm
costs milliseconds. Whatever is wrong with a description is an error at the moment it is made.
"""

import pkgutil
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from types import MappingProxyType
from typing import Any, Literal, cast

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
FUNCTION = re.compile(MODULE.pattern + r":[A-Za-z_]\w*")
SPACES = frozenset({"Box", "Discrete", "MultiBinary", "MultiDiscrete", "Dict", "Tuple", "Text"})
DEVICES = frozenset({"cpu", "cuda"})
LARGEST = sys.float_info.max
KNOWN_FUNCTIONS = ("reward_fn", "termination_fn", "initial_fn", "dynamics_fn")
# Fields of an environment that only interpret its results. All others are part of the key of a run.
INTERPRETIVE = ("name", "summary", "requires", "random_score", "reference_score", "threshold")
# Fields that show the same environment in another way; they are part of the key of runs whose algorithm uses them.
VIEWS = ("array", "known", "game", "dataset")


class SpecError(ValueError):
    """A description that cannot be right; the message names the description, the field and the fix."""


def _check(condition: bool, spec: object, name: object, message: str) -> None:
    if not condition:
        raise SpecError(f"{type(spec).__name__} {name!r}: {message}")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _check_name(spec: object, name: object) -> None:
    _check(
        isinstance(name, str) and NAME.fullmatch(name) is not None,
        spec,
        name,
        "name must be 1 to 64 of a-z, 0-9, '_' and '-', starting with a letter or digit",
    )


def _check_version(spec: object, name: str, version: object) -> None:
    _check(isinstance(version, str) and bool(version), spec, name, 'version must be a string, "1"')


def _check_function(spec: object, name: object, field: str, target: object) -> None:
    """Refuse what is not ``"package.module:function"``."""
    _check(
        isinstance(target, str) and FUNCTION.fullmatch(target) is not None,
        spec,
        name,
        f'{field} must be "package.module:function", not {target!r}',
    )


def _freeze(spec: object, name: str, *fields: str) -> None:
    """Replace lists by tuples and mappings by read-only copies in a frozen description."""
    for attribute in fields:
        value = getattr(spec, attribute)
        if isinstance(value, Mapping):
            object.__setattr__(spec, attribute, MappingProxyType(dict(value)))
        elif isinstance(value, list | tuple | set | frozenset):
            object.__setattr__(spec, attribute, tuple(value))
        else:
            _check(False, spec, name, f"{attribute} must be a list or a table, not {value!r}")


@dataclass(frozen=True)
class Score:
    """A frozen reference number: a mean episode return and where it comes from.

    Attributes:
        value: mean undiscounted episode return.
        standard_error: of the mean, in the same unit; None where the source does not say.
        episodes: how many episodes the mean is over; None where the source does not say.
        source: who measured it and how, or the publication.
    """

    value: float
    standard_error: float | None = None
    episodes: int | None = None
    source: str = ""

    def __post_init__(self) -> None:
        _check(_is_finite(self.value), self, self.source, f"value must be a finite number, not {self.value!r}")
        error = self.standard_error
        _check(
            error is None or _is_finite(error),
            self,
            self.source,
            f"standard_error must be a finite number or None, not {error!r}",
        )


@dataclass(frozen=True)
class Needs:
    """What a trial needs of a machine.

    Attributes:
        cpus: cores it keeps busy; torch gets as many threads.
        processes: "one", or "many" if environments step in other processes.
        deterministic: whether one seed always gives one result, bit for bit, on one machine.
    """

    cpus: int = 1
    processes: Literal["one", "many"] = "one"
    deterministic: bool = True

    def __post_init__(self) -> None:
        cpus = self.cpus
        _check(type(cpus) is int and cpus >= 1, self, "", f"cpus must be 1 or more, not {cpus!r}")
        _check(self.processes in ("one", "many"), self, "", f'processes: "one" or "many", not {self.processes!r}')
        _check(isinstance(self.deterministic, bool), self, "", "deterministic must be true or false")


@dataclass(frozen=True)
class AlgorithmSpec:
    """What an algorithm is and what it needs, decided before anything runs.

    Attributes:
        name: short name, unique within the plugin; its id is ``<plugin>/<name>``.
        target: module that holds ``Config`` (a frozen dataclass with defaults) and
            ``train(trial, config)``. Imported only where a run needs it.
        version: raised whenever learning behaviour changes; runs of different versions are not comparable.
        summary: one line.
        reference: the publication.
        observation_spaces: names of the Gymnasium spaces it can observe.
        action_spaces: names of the Gymnasium spaces it can act in.
        lockstep: whether one ``train`` call may train several seeds on a leading array axis.
        devices: device types it can train on.
        processes: "one", or "many" if environments step in other processes.
        cpus: cores one trial keeps busy.
        deterministic: whether one seed always gives one result, bit for bit, on one machine.
        needs: ``"package.module:function"``; where the three fields above follow from the configuration,
            ``function(config)`` returns them as `Needs`.
        known: which of `KNOWN_FUNCTIONS` it plans with; it cannot run where the environment does not give them.
        game: whether it plays against itself, with ``trial.make_game``.
        dataset: whether it learns from recorded transitions; its budget is counted in updates.
        presets: named overrides of ``Config``; ``dqn:paper`` selects preset "paper".
        requires: distributions it needs beyond its plugin's own dependencies, as in ``"sb3-contrib>=2.4"``.
    """

    name: str
    target: str
    version: str
    summary: str = ""
    reference: str = ""
    observation_spaces: tuple[str, ...] = ("Box",)
    action_spaces: tuple[str, ...] = ("Discrete",)
    lockstep: bool = False
    devices: tuple[str, ...] = ("cpu",)
    processes: Literal["one", "many"] = "one"
    cpus: int = 1
    deterministic: bool = True
    needs: str | None = None
    known: tuple[str, ...] = ()
    game: bool = False
    dataset: bool = False
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    requires: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name(self, self.name)
        _check_version(self, self.name, self.version)
        _check(
            isinstance(self.target, str) and MODULE.fullmatch(self.target) is not None,
            self,
            self.name,
            f'target must be a module path such as "package.module", not {self.target!r}',
        )
        _freeze(self, self.name, "observation_spaces", "action_spaces", "devices", "requires", "known")
        for kind in ("observation_spaces", "action_spaces"):
            spaces = getattr(self, kind)
            unknown = [space for space in spaces if space not in SPACES]
            _check(bool(spaces) and not unknown, self, self.name, f"{kind}: unknown {unknown}")
        unknown = [device for device in self.devices if device not in DEVICES]
        _check(bool(self.devices) and not unknown, self, self.name, f"devices: unknown {unknown}")
        _ = self.constant_needs
        if self.needs is not None:
            _check_function(self, self.name, "needs", self.needs)
        unknown = [name for name in self.known if name not in KNOWN_FUNCTIONS]
        _check(not unknown, self, self.name, f"known: there are {', '.join(KNOWN_FUNCTIONS)}, not {unknown}")
        _freeze(self, self.name, "presets")
        for preset, values in self.presets.items():
            _check(
                isinstance(preset, str) and NAME.fullmatch(preset) is not None,
                self,
                self.name,
                f"presets: bad name {preset!r}",
            )
            _check(isinstance(values, Mapping), self, self.name, f"presets.{preset} must be a table")

    @property
    def constant_needs(self) -> Needs:
        """What every trial needs, unless ``needs`` says otherwise for its configuration."""
        return Needs(self.cpus, self.processes, self.deterministic)

    @property
    def views(self) -> tuple[str, ...]:
        """Which of the `VIEWS` of an environment it trains on."""
        uses = {"array": self.lockstep, "known": self.known, "game": self.game, "dataset": self.dataset}
        return tuple(view for view in VIEWS if uses[view])

    @property
    def budget_unit(self) -> str:
        """What its budget counts: "step", "ply" (of self-play) or "update" (on recorded transitions)."""
        return "update" if self.dataset else "ply" if self.game else "step"


@dataclass(frozen=True)
class EnvironmentSpec:
    """An exact, versioned Gymnasium environment and the numbers needed to read its scores.

    Attributes:
        name: short name, unique within the plugin; its id is ``<plugin>/<name>``.
        id: exact Gymnasium id with version, such as "CartPole-v1".
        imports: modules to import, in every process, so that the id is registered.
        kwargs: arguments of the environment, as JSON values.
        wrappers: ``"package.module:Wrapper"`` or ``("package.module:Wrapper", {...})``, innermost first.
            They sit inside the meter: what they do to reward is part of the environment.
        max_episode_steps: time limit in steps, replacing the registered one; None keeps that.
        random_score: mean return of the uniformly random policy.
        reference_score: the return that counts as 1 after normalisation.
        threshold: the return that counts as solved, for steps to threshold.
        array: module that holds the same MDP as functions of tensors, used for training in lockstep.
        known: module of what a planner may know of the MDP: some of `KNOWN_FUNCTIONS`.
        game: module of a two-player game, which the environment plays against a fixed opponent.
        dataset: module of recorded transitions. These four are None where there are none, and imported only
            where a run needs them.
        requires: distributions it needs beyond its plugin's own dependencies.
        version: raised whenever behaviour changes; runs of different versions are not comparable.
        summary: one line.
    """

    name: str
    id: str
    imports: tuple[str, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    wrappers: tuple[Any, ...] = ()
    max_episode_steps: int | None = None
    random_score: Score | None = None
    reference_score: Score | None = None
    threshold: float | None = None
    array: str | None = None
    known: str | None = None
    game: str | None = None
    dataset: str | None = None
    requires: tuple[str, ...] = ()
    version: str = "1"
    summary: str = ""

    def __post_init__(self) -> None:
        _check_name(self, self.name)
        _check_version(self, self.name, self.version)
        _check(
            isinstance(self.id, str) and re.search(r"-v\d+$", self.id) is not None,
            self,
            self.name,
            f'id must carry its version, as in "CartPole-v1", not {self.id!r}',
        )
        _freeze(self, self.name, "imports", "kwargs", "wrappers", "requires")
        for module in self.imports:
            _check(MODULE.fullmatch(module) is not None, self, self.name, f"imports: bad {module!r}")
        normal = []
        for wrapper in self.wrappers:
            target, kwargs = (wrapper, {}) if isinstance(wrapper, str) else wrapper
            _check(
                FUNCTION.fullmatch(target) is not None,
                self,
                self.name,
                f'wrappers: "package.module:Wrapper" expected, not {target!r}',
            )
            normal.append((target, MappingProxyType(dict(kwargs))))
        object.__setattr__(self, "wrappers", tuple(normal))
        for view in VIEWS:
            module = getattr(self, view)
            _check(
                module is None or (isinstance(module, str) and MODULE.fullmatch(module) is not None),
                self,
                self.name,
                f'{view} must be a module path such as "package.module" or None, not {module!r}',
            )
        _check(
            self.array is None or not self.wrappers,
            self,
            self.name,
            "array cannot be wrapped: it is the whole MDP; give up one of array and wrappers",
        )
        _check(
            self.threshold is None or _is_finite(self.threshold),
            self,
            self.name,
            f"threshold must be a finite number or None, not {self.threshold!r}",
        )
        limit = self.max_episode_steps
        _check(
            limit is None or (isinstance(limit, int) and limit >= 1),
            self,
            self.name,
            "max_episode_steps must be 1 or more",
        )


@dataclass(frozen=True)
class SuiteSpec:
    """A suite file that travels inside a package.

    Attributes:
        name: short name, unique within the plugin; the same as in the file.
        resource: ``"package:path/inside/it.toml"``.
        summary: one line.
    """

    name: str
    resource: str
    summary: str = ""

    def __post_init__(self) -> None:
        _check_name(self, self.name)
        package, _, path = self.resource.partition(":")
        _check(
            MODULE.fullmatch(package) is not None and path.endswith(".toml") and ".." not in path,
            self,
            self.name,
            f'resource must be "package:file.toml", not {self.resource!r}',
        )


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the report.

    Attributes:
        name: short name, unique within the plugin; names the file the figure is exported to.
        title: heading above the figure.
        target: ``"package.module:function"``; ``function(results)`` returns a matplotlib figure, or None
            where the results hold nothing it could show.
        caption: one or two sentences under the figure: what is plotted, with units, and what bands mean.
        per_environment: whether it is drawn once for each environment, in that environment's section, by
            ``function(results, environment)``.
    """

    name: str
    title: str
    target: str
    caption: str = ""
    per_environment: bool = False

    def __post_init__(self) -> None:
        _check_name(self, self.name)
        _check_function(self, self.name, "target", self.target)


@dataclass(frozen=True)
class ExecutorSpec:
    """A place where trials can run.

    Attributes:
        name: what ``--executor`` selects.
        target: ``"package.module:function"``; ``function(options)`` returns a `harness.api.Executor`.
        summary: one line.
        requires: distributions it needs beyond its plugin's own dependencies.
    """

    name: str
    target: str
    summary: str = ""
    requires: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_name(self, self.name)
        _check_function(self, self.name, "target", self.target)
        _freeze(self, self.name, "requires")


def made(spec: ExecutorSpec, options: Any) -> Any:
    """The executor that a description names, for these options."""
    return pkgutil.resolve_name(spec.target)(options)


Spec = AlgorithmSpec | EnvironmentSpec | SuiteSpec | FigureSpec | ExecutorSpec


def as_json(spec: Spec) -> dict[str, Any]:
    """A description as plain JSON values, for `environment_from_json` and `algorithm_from_json`."""

    def plain(value: Any) -> Any:
        if is_dataclass(value) and not isinstance(value, type):
            return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    return cast(dict[str, Any], plain(spec))


def environment_from_json(values: Mapping[str, Any]) -> EnvironmentSpec:
    """The environment description that `as_json` wrote."""
    scores = {
        name: None if values.get(name) is None else Score(**values[name])
        for name in ("random_score", "reference_score")
    }
    return EnvironmentSpec(**{**values, **scores})


def algorithm_from_json(values: Mapping[str, Any]) -> AlgorithmSpec:
    """The algorithm description that `as_json` wrote."""
    return AlgorithmSpec(**values)
