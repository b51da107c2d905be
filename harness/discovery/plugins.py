"""Finding plugins, and loading each on its own: a broken one is a row in a table, never a crash.

`pluggy.PluginManager.load_setuptools_entrypoints` is not used: one plugin that raises stops it, and it skips a
second plugin of the same name in silence.
"""

import contextlib
import importlib.metadata
import itertools
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import EntryPoint
from typing import Any, Literal

import pluggy

from harness.contract import API
from harness.contract import hooks as hookspecs
from harness.contract.specs import NAME, AlgorithmSpec, EnvironmentSpec, ExecutorSpec, FigureSpec, Spec, SuiteSpec
from harness.discovery.guests import described, guest
from harness.discovery.requirements import install_command

GROUP = "harness"
BUILTIN = "harness"  # name of the built-in plugin
DISTRIBUTION = "rl-harness"

Kind = Literal["algorithm", "environment", "suite", "figure", "executor"]
PluginStatus = Literal["ok", "disabled", "failed", "collision", "incompatible", "unavailable"]

DECLARATIVE: dict[Kind, tuple[str, type]] = {  # kind: (hook that declares it, its description)
    "algorithm": ("harness_algorithms", AlgorithmSpec),
    "environment": ("harness_environments", EnvironmentSpec),
    "suite": ("harness_suites", SuiteSpec),
    "figure": ("harness_figures", FigureSpec),
    "executor": ("harness_executors", ExecutorSpec),
}
MOST = 10_000  # descriptions from one hook; one that yields for ever is stopped there
HEAVY = ("torch", "gymnasium", "pandas", "matplotlib", "jax", "tensorflow")


class PluginError(Exception):
    """What a plugin handed over cannot be used; the message says why."""


class IncompatiblePluginError(PluginError):
    """A plugin written for another contract."""


@dataclass
class Plugin:
    """One installed plugin and what became of it."""

    name: str  # of its entry point; its ids start with it
    distribution: str  # the package that brought it
    version: str  # of that package
    target: str  # module the entry point names
    requires: tuple[str, ...] = ()  # what the distribution requires, as its metadata says
    status: PluginStatus = "ok"
    error: str = ""  # why it is not "ok", in one line
    traceback: str = ""  # where it failed; "" unless it raised
    warnings: list[str] = field(default_factory=list)  # what its author should repair although it works
    import_ms: float = 0.0  # milliseconds that importing and asking it took
    provides: Mapping[Kind, tuple[Spec, ...]] = field(default_factory=dict)  # by kind; empty unless "ok"

    @property
    def source(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version}"

    @property
    def problems(self) -> list[str]:
        """Everything that is wrong with it."""
        return [problem for problem in (self.error, *self.warnings) if problem]

    def answers_to(self, names: AbstractSet[str]) -> bool:
        """Whether its name, or its distribution however spelled, is among ``names``."""
        return self.name in names or _canonical(self.distribution) in {_canonical(name) for name in names}


def load_plugins(blocked: AbstractSet[str], only: AbstractSet[str] | None) -> tuple[list[Plugin], pluggy.PluginManager]:
    """Load the built-in plugin, then every installed one that is wanted, in the order of their names.

    Returns every plugin found, whatever became of it, and the manager of those that loaded.
    """
    manager = pluggy.PluginManager("harness")
    manager.add_hookspecs(hookspecs)
    builtin = _builtin()
    found = sorted(_installed(builtin[0].warnings), key=lambda pair: (pair[0].name, pair[0].distribution))
    candidates = [builtin, *found]
    for plugin, _ in found:
        if plugin.answers_to(blocked) or (only is not None and not plugin.answers_to(only)):
            plugin.status = "disabled"
    plugins = [plugin for plugin, _ in candidates]
    _refuse_collisions(plugins)
    for plugin, entry_point in candidates:
        if plugin.status == "ok":
            _load(plugin, entry_point, manager)
    return plugins, manager


def implementations(manager: pluggy.PluginManager, hook: str, plugin: Plugin) -> Iterator[pluggy.HookImpl]:
    """What one plugin implements of one hook, hook wrappers left out."""
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        wraps = implementation.wrapper or implementation.hookwrapper
        if implementation.plugin_name == plugin.name and not wraps:
            yield implementation


def _canonical(distribution: str) -> str:
    """A distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _builtin() -> tuple[Plugin, EntryPoint]:
    try:
        version = importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:  # a checkout that was never installed
        version = "unknown"
    entry_point = EntryPoint(BUILTIN, "harness.builtin", GROUP)
    return Plugin(BUILTIN, DISTRIBUTION, version, entry_point.value), entry_point


def _installed(complaints: list[str]) -> Iterator[tuple[Plugin, EntryPoint]]:
    """Every entry point and what its distribution says of itself. Nothing is imported.

    `importlib.metadata.entry_points` ends at the first unreadable file of whatever package. It is one of the
    ``complaints`` here.
    """
    seen: set[str] = set()
    for found in importlib.metadata.distributions():
        name, version, requires = "unknown", "unknown", ()
        try:
            entry_points = found.entry_points.select(group=GROUP)
        except Exception as error:
            with contextlib.suppress(Exception):
                name = found.metadata["Name"]
            complaints.append(f"no plugin of {name} is found: its entry_points.txt: {described(error)}")
            continue
        with contextlib.suppress(Exception):  # metadata that an interrupted installation left behind
            if entry_points and (metadata := found.metadata)["Name"]:
                # Python finds the distribution of this name; another is what pip keeps, by "~", while it replaces it.
                current = next(iter(importlib.metadata.distributions(name=metadata["Name"])), None)
                if current is None or _canonical(metadata["Name"]) in seen:
                    continue
                entry_points, metadata = current.entry_points.select(group=GROUP), current.metadata
                name, version = metadata["Name"], metadata["Version"] or version
                requires = tuple(metadata.get_all("Requires-Dist") or ())
                seen.add(_canonical(name))
        for entry_point in entry_points:
            yield Plugin(entry_point.name, name, version, entry_point.value, requires), entry_point


def _refuse_collisions(plugins: list[Plugin]) -> None:
    """Load none of several plugins with one name, save the built-in: whose ids would they be?"""
    wanted = [plugin for plugin in plugins if plugin.status != "disabled"]
    counts = Counter(plugin.name for plugin in wanted)
    for plugin in wanted[1:]:
        if counts[plugin.name] > 1:
            sources = [other.source for other in wanted if other.name == plugin.name]
            plugin.status = "collision"
            advice = f"uninstall one of them or leave it out with -p no:{plugin.distribution}"
            plugin.error = f"the name {plugin.name!r} is taken by {' and by '.join(sources)}; {advice}"


def _load(plugin: Plugin, entry_point: EntryPoint, manager: pluggy.PluginManager) -> None:
    """Import, register and ask one plugin; whatever it raises becomes its status."""
    loaded_before = {name for name in HEAVY if name in sys.modules}
    start = time.perf_counter()
    try:
        # Its output goes where people look: stdout is for data.
        with contextlib.redirect_stdout(sys.stderr), guest(f"plugin {plugin.name!r}"):
            if NAME.fullmatch(plugin.name) is None:
                raise PluginError("the name of its entry point must be 1 to 64 of a-z, 0-9, '_' and '-'")
            module = entry_point.load()
            _check_api(plugin, module)
            manager.register(module, name=plugin.name)
            plugin.warnings += _hook_warnings(module, manager)
            plugin.provides = _declared(plugin, manager)
    except Exception as error:
        if manager.has_plugin(plugin.name):
            manager.unregister(name=plugin.name)
        plugin.status, plugin.error = _diagnosis(plugin, error)
        plugin.traceback = traceback.format_exc()
    plugin.import_ms = 1000 * (time.perf_counter() - start)
    plugin.warnings += [
        f"imports {name} at import, which slows every command down; import it where it is used"
        for name in HEAVY
        if name in sys.modules and name not in loaded_before
    ]


def _check_api(plugin: Plugin, module: Any) -> None:
    api = getattr(module, "API", None)
    if api is None:
        raise IncompatiblePluginError(f"{plugin.target} does not say API = {API}, the contract it is written for")
    if api != API:
        newer = isinstance(api, int) and api > API
        fix = install_command(["--upgrade", DISTRIBUTION if newer else plugin.distribution])
        raise IncompatiblePluginError(f"is written for API {api!r}, and this harness has API {API}; try: {fix}")


def _hook_warnings(module: Any, manager: pluggy.PluginManager) -> Iterator[str]:
    """Hooks that will never be called: misspelt, wrapping others, or without their marker."""
    known = [name for name in vars(hookspecs) if name.startswith("harness_")]
    for caller in manager.get_hookcallers(module) or ():
        if any(impl.plugin is module and (impl.wrapper or impl.hookwrapper) for impl in caller.get_hookimpls()):
            yield f"{caller.name} is a hook wrapper, so it is never called"
        if not caller.has_spec():
            near = get_close_matches(caller.name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "it may be of a newer harness"
            yield f"unknown hook {caller.name}; {hint}"
    for name in known:
        if callable(getattr(module, name, None)) and manager.parse_hookimpl_opts(module, name) is None:
            yield f"{name} is not marked @hookimpl, so it is never called"


def _declared(plugin: Plugin, manager: pluggy.PluginManager) -> dict[Kind, tuple[Spec, ...]]:
    """Everything a plugin describes, by kind."""
    provides: dict[Kind, tuple[Spec, ...]] = {}
    for kind, (hook, expected) in DECLARATIVE.items():
        specs = [
            spec
            for implementation in implementations(manager, hook, plugin)
            for spec in itertools.islice(_checked(implementation.function(), hook, expected), MOST + 1)
        ]
        if len(specs) > MOST:
            raise PluginError(f"{hook} describes more than {MOST:,} of them, and perhaps never ends")
        twice = [name for name, count in Counter(spec.name for spec in specs).items() if count > 1]
        if twice:
            raise PluginError(f"{hook} describes {', '.join(map(repr, twice))} more than once")
        if specs:
            provides[kind] = tuple(specs)
    return provides


def _checked(given: Any, hook: str, expected: type) -> Iterator[Any]:
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        raise PluginError(f"{hook} gave {type(given).__name__} where a list of {expected.__name__} is expected")
    for spec in given:
        if not isinstance(spec, expected):
            raise PluginError(f"{hook} gave {type(spec).__name__} in its list, not {expected.__name__}")
        yield spec


def _diagnosis(plugin: Plugin, error: Exception) -> tuple[PluginStatus, str]:
    """Status and one line of explanation for what a plugin raised."""
    if isinstance(error, IncompatiblePluginError):
        return "incompatible", str(error)
    if isinstance(error, PluginError):
        return "failed", str(error)
    if isinstance(error, ModuleNotFoundError) and error.name:
        package, own = error.name.partition(".")[0], re.split(r"[.:]", plugin.target)[0]
        if package != own:
            return "unavailable", f"needs {package}"
    return "failed", described(error)
