"""The small frozen descriptions that plugins hand over.

A description names code by its module path and imports nothing, so listing every installed algorithm
costs milliseconds. Whatever is wrong with a description is an error at the moment it is made.
"""

import pkgutil
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from math import isfinite
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
INTERPRETING = ("threshold", "lowest_return", "highest_return")  # numbers
INTERPRETIVE = ("name", "summary", "requires", "waived", "random_score", "reference_score", *INTERPRETING)
# What JSON has no form for is a table with one of these keys alone, and the function makes it of the value again.
MADE: Mapping[str, Any] = {"$tuple": tuple, "$number": float, "$pairs": dict}
# Fields that show the same environment in another way; they are part of the key of runs whose algorithm uses them.
VIEWS = ("array", "known", "game", "dataset")


class SpecError(ValueError):
    """A description that cannot be right; the message names the description, the field and the fix."""


def _check(condition: bool, spec: object, message: str) -> None:
    if not condition:
        name = getattr(spec, "name", getattr(spec, "source", ""))
        raise SpecError(f"{type(spec).__name__} {name!r}: {message}")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _has_form(value: object, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _check_name(spec: Any) -> None:
    """Refuse a name that no id could end with, and other texts that are none."""
    allowed = "1 to 64 of a-z, 0-9, '_' and '-', starting with a letter or digit"
    _check(_has_form(spec.name, NAME), spec, f"name must be {allowed}")
    for each in fields(spec):
        if each.type is str and not isinstance(text := getattr(spec, each.name), str):
            _check(False, spec, f"{each.name} must be a text, not {text!r}")


def _check_version(spec: Any) -> None:
    _check(isinstance(spec.version, str) and bool(spec.version), spec, 'version must be a string, "1"')


def _check_module(spec: object, field: str, or_none: str = "") -> None:
    """Refuse what is not ``"package.module"``, or None where that is allowed."""
    target = getattr(spec, field)
    wanted = f'{field} must be a module path such as "package.module"{or_none}, not {target!r}'
    _check(_has_form(target, MODULE) or (bool(or_none) and target is None), spec, wanted)


def _check_function(spec: object, field: str) -> None:
    """Refuse what is not ``"package.module:function"``."""
    target = getattr(spec, field)
    _check(_has_form(target, FUNCTION), spec, f'{field} must be "package.module:function", not {target!r}')


def _freeze(spec: object, *fields: str) -> None:
    """Replace lists by tuples and mappings by read-only copies in a frozen description."""
    for attribute in fields:
        value = getattr(spec, attribute)
        if isinstance(value, Mapping):
            object.__setattr__(spec, attribute, MappingProxyType(dict(value)))
        elif isinstance(value, list | tuple | set | frozenset):
            object.__setattr__(spec, attribute, tuple(value))
        else:
            _check(False, spec, f"{attribute} must be a list or a table, not {value!r}")


def _check_known(spec: Any) -> None:
    """Refuse functions that no environment can give."""
    _freeze(spec, "known")
    unknown = [name for name in spec.known if name not in KNOWN_FUNCTIONS]
    _check(not unknown, spec, f"known: there are {', '.join(KNOWN_FUNCTIONS)}, not {unknown}")


def _check_waived(spec: Any) -> None:
    """Refuse to wave a check through without a reason."""
    for name, reason in spec.waived.items():
        _check(isinstance(reason, str) and bool(reason.strip()), spec, f"waived.{name} must say why, not {reason!r}")


def _check_values(spec: object, path: str, value: object) -> None:
    """Refuse, by the path to it, what `as_json` cannot tell another process exactly."""
    if value is None or isinstance(value, str | int | float):
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_values(spec, f"{path}: key {key!r:.80}", key)
            _check_values(spec, f"{path}.{key}", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_values(spec, f"{path}[{index}]", item)
    else:
        allowed = "text, number, True, False, None, or a list, tuple or table of these"
        _check(False, spec, f"{path} must be {allowed}, not {value!r:.80}")


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
        _check(_is_finite(self.value), self, f"value must be a finite number, not {self.value!r}")
        error = self.standard_error
        known = error is None or _is_finite(error)
        _check(known, self, f"standard_error must be a finite number or None, not {error!r}")


@dataclass(frozen=True)
class Needs:
    """What a trial needs of a machine, and to know of an environment.

    Attributes:
        cpus: cores it keeps busy; torch gets as many threads.
        processes: "one", or "many" if environments step in other processes.
        deterministic: whether one seed always gives one result, bit for bit, on one machine.
        known: which of `KNOWN_FUNCTIONS` it plans with, beyond those that the algorithm declares for every trial.
    """

    cpus: int = 1
    processes: Literal["one", "many"] = "one"
    deterministic: bool = True
    known: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        cpus = self.cpus
        _check(type(cpus) is int and cpus >= 1, self, f"cpus must be 1 or more, not {cpus!r}")
        _check(self.processes in ("one", "many"), self, f'processes: "one" or "many", not {self.processes!r}')
        _check(isinstance(self.deterministic, bool), self, "deterministic must be true or false")
        _check_known(self)


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
        observation_spaces, action_spaces: names of the Gymnasium spaces it can observe and act in.
        lockstep: whether one ``train`` call may train several seeds on a leading array axis, if in one process.
        devices: device types it can train on.
        processes, cpus, deterministic: what a trial needs of a machine, as in `Needs`.
        needs: ``"package.module:function"``; where the three fields above follow from the configuration, or more has
            to be known than ``known``, ``function(config)`` returns that as `Needs`.
        fits: ``"package.module:function"``; where more of the spaces decides than their names,
            ``function(observation_space, action_space)`` says why it cannot train with these, or nothing.
        known: which of `KNOWN_FUNCTIONS` it plans with; it cannot run where the environment does not give them.
        game: whether it plays against itself, with ``trial.make_game``.
        dataset: whether it learns from recorded transitions; its budget is counted in updates.
        presets: named overrides of ``Config``; ``dqn:paper`` selects preset "paper".
        requires: distributions it needs beyond its plugin's own dependencies, as in ``"sb3-contrib>=2.4"``.
        waived: why checks that fail are to be lived with, by their names.
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
    fits: str | None = None
    known: tuple[str, ...] = ()
    game: bool = False
    dataset: bool = False
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    waived: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name(self)
        _check_version(self)
        _check_module(self, "target")
        _freeze(self, "observation_spaces", "action_spaces", "devices", "requires", "waived")
        _check_waived(self)
        for kind, existing in (("observation_spaces", SPACES), ("action_spaces", SPACES), ("devices", DEVICES)):
            named = getattr(self, kind)
            unknown = [name for name in named if name not in existing]
            _check(bool(named) and not unknown, self, f"{kind}: unknown {unknown}")
        _ = self.constant_needs
        for name in ("needs", "fits"):
            if getattr(self, name) is not None:
                _check_function(self, name)
        _check_known(self)
        _freeze(self, "presets")
        for preset, values in self.presets.items():
            _check(_has_form(preset, NAME), self, f"presets: bad name {preset!r}")
            _check(isinstance(values, Mapping), self, f"presets.{preset} must be a table")
            _check_values(self, f"presets.{preset}", values)

    @property
    def constant_needs(self) -> Needs:
        """What every trial needs, unless ``needs`` says otherwise for its configuration."""
        return Needs(self.cpus, self.processes, self.deterministic)

    def trains_together(self, needs: Needs) -> bool:
        """Whether one trial with these needs trains several seeds: in lockstep, which one process is needed for."""
        return self.lockstep and needs.processes == "one"

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
        kwargs: arguments of the environment: text, numbers, True, False, None; lists, tuples and tables of these.
        wrappers: ``"package.module:Wrapper"`` or ``("package.module:Wrapper", {...})``, innermost first.
            They sit inside the meter: what they do to reward is part of the environment.
        max_episode_steps: time limit in steps, replacing the registered one; None keeps that.
        random_score: mean return of the uniformly random policy.
        reference_score: the return that counts as 1 after normalisation.
        threshold: the return that counts as solved, for steps to threshold.
        lowest_return, highest_return: what an episode can return at least and at most, where that is certain.
        array: module that holds the same MDP as functions of tensors, used for training in lockstep.
        known: module of what a planner may know of the MDP: some of `KNOWN_FUNCTIONS`.
        game: module of a two-player game, which the environment plays against a fixed opponent.
        dataset: module of recorded transitions. These four are None where there are none, and imported only
            where a run needs them.
        requires: distributions it needs beyond its plugin's own dependencies.
        waived: why checks that fail are to be lived with, by their names.
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
    lowest_return: float | None = None
    highest_return: float | None = None
    array: str | None = None
    known: str | None = None
    game: str | None = None
    dataset: str | None = None
    requires: tuple[str, ...] = ()
    waived: Mapping[str, str] = field(default_factory=dict)
    version: str = "1"
    summary: str = ""

    def __post_init__(self) -> None:
        _check_name(self)
        _check_version(self)
        versioned = isinstance(self.id, str) and re.search(r"-v\d+$", self.id) is not None
        _check(versioned, self, f'id must carry its version, as in "CartPole-v1", not {self.id!r}')
        _freeze(self, "imports", "kwargs", "wrappers", "requires", "waived")
        _check_waived(self)
        for module in self.imports:
            _check(MODULE.fullmatch(module) is not None, self, f"imports: bad {module!r}")
        normal = [(each, {}) if isinstance(each, str) else each for each in self.wrappers]
        for target, _ in normal:
            _check(_has_form(target, FUNCTION), self, f'wrappers: "package.module:Wrapper" expected, not {target!r}')
        frozen = tuple((target, MappingProxyType(dict(kwargs))) for target, kwargs in normal)
        object.__setattr__(self, "wrappers", frozen)
        for path, arguments in (("kwargs", self.kwargs), *frozen):
            _check_values(self, path, arguments)
        for view in VIEWS:
            _check_module(self, view, or_none=" or None")
        unwrapped = self.array is None or not self.wrappers
        _check(unwrapped, self, "array cannot be wrapped: it is the whole MDP; give up one of array and wrappers")
        for score in ("random_score", "reference_score"):
            given = getattr(self, score)
            _check(given is None or isinstance(given, Score), self, f"{score} must be a Score or None, not {given!r}")
        for name in INTERPRETING:
            value = getattr(self, name)
            _check(value is None or _is_finite(value), self, f"{name} must be a finite number or None, not {value!r}")
        least, most = self.lowest_return, self.highest_return
        _check(least is None or most is None or least <= most, self, "lowest_return is above highest_return")
        limit = self.max_episode_steps
        _check(limit is None or (isinstance(limit, int) and limit >= 1), self, "max_episode_steps must be 1 or more")


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
        _check_name(self)
        package, _, path = self.resource.partition(":")
        inside = MODULE.fullmatch(package) is not None and path.endswith(".toml") and ".." not in path
        _check(inside, self, f'resource must be "package:file.toml", not {self.resource!r}')


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
        _check_name(self)
        _check_function(self, "target")


@dataclass(frozen=True)
class ExecutorSpec:
    """A place where trials can run.

    Attributes:
        name: what ``--executor`` selects.
        target: ``"package.module:function"``; ``function(options)`` returns a `harness.api.Executor`.
        summary: one line.
        requires: distributions it needs beyond its plugin's own dependencies.
        waived: why checks that fail are to be lived with, by their names.
    """

    name: str
    target: str
    summary: str = ""
    requires: tuple[str, ...] = ()
    waived: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_name(self)
        _check_function(self, "target")
        _freeze(self, "requires", "waived")
        _check_waived(self)


def made(spec: ExecutorSpec, options: Any) -> Any:
    """The executor that a description names, for these options."""
    return pkgutil.resolve_name(spec.target)(options)


Spec = AlgorithmSpec | EnvironmentSpec | SuiteSpec | FigureSpec | ExecutorSpec


def as_json(spec: object, tuples: bool = True) -> dict[str, Any]:
    """A description, another dataclass or a mapping, as plain JSON values; for `environment_from_json` and its like.

    `from_json` restores all inside of mappings, which hold what is a plugin's own: ``tuples`` too, if told from lists.
    """

    def plain(value: Any, own: bool) -> Any:
        if is_dataclass(value) and not isinstance(value, type):
            return {f.name: plain(getattr(value, f.name), False) for f in fields(value)}
        if isinstance(value, Mapping):
            if all(isinstance(key, str) and key not in MADE for key in value):
                return {key: plain(item, True) for key, item in value.items()}
            return {"$pairs": [[plain(key, True), plain(item, True)] for key, item in value.items()]}
        if isinstance(value, list | tuple):
            items = [plain(item, own) for item in value]
            return {"$tuple": items} if own and tuples and isinstance(value, tuple) else items
        return {"$number": str(value)} if isinstance(value, float) and not isfinite(value) else value

    return cast(dict[str, Any], plain(spec, False))


def from_json(value: Any) -> Any:
    """What `as_json` wrote, with dataclasses as tables."""
    if value is None or isinstance(value, str | int | float):
        return value
    if not isinstance(value, Mapping):
        return [from_json(item) for item in value]
    key = next(iter(value)) if len(value) == 1 else ""
    return MADE[key](from_json(value[key])) if key in MADE else {key: from_json(item) for key, item in value.items()}


def environment_from_json(values: Mapping[str, Any]) -> EnvironmentSpec:
    """The environment description that `as_json` wrote."""
    values = from_json(values)
    scores = {name: Score(**values[name]) for name in ("random_score", "reference_score") if values.get(name)}
    return EnvironmentSpec(**{**values, **scores})


def algorithm_from_json(values: Mapping[str, Any]) -> AlgorithmSpec:
    """The algorithm description that `as_json` wrote."""
    return AlgorithmSpec(**from_json(values))
