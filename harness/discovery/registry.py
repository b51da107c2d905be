"""What the installed plugins provide, by id, and how a name finds its entry."""

import functools
import sys
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, Literal, Self, TypeVar, cast, overload

import pluggy

from harness.contract.errors import MissingPlugin, UsageError
from harness.contract.specs import AlgorithmSpec, EnvironmentSpec, ExecutorSpec, Spec, SuiteSpec
from harness.discovery.guests import described, guest
from harness.discovery.plugins import DECLARATIVE, Kind, Plugin, implementations, load_plugins
from harness.discovery.requirements import install_command, is_met

S = TypeVar("S", bound=Spec, covariant=True)
OBSERVER_SECONDS = 600.0  # that a plugin may take to note the end of a run


class UnknownNameError(UsageError):
    """A name that nothing has, and the names it may have been meant to be."""


class AmbiguousNameError(UsageError):
    """A short name that several plugins use; the message lists their ids."""


@dataclass(frozen=True)
class Entry(Generic[S]):
    """Something a plugin provides."""

    id: str  # ``<plugin>/<name>``
    spec: S
    plugin: Plugin


class Registry:
    """The plugins of one session and everything they provide. There is no global one."""

    def __init__(self, plugins: Iterable[Plugin], manager: pluggy.PluginManager) -> None:
        self.plugins = tuple(plugins)  # every plugin found, whatever became of it
        self._manager = manager
        self._is_met = functools.cache(is_met)
        self._entries = {kind: _entries(self.plugins, kind) for kind in DECLARATIVE}
        self.algorithms = cast(Mapping[str, Entry[AlgorithmSpec]], self._entries["algorithm"])
        self.environments = cast(Mapping[str, Entry[EnvironmentSpec]], self._entries["environment"])
        self.suites = cast(Mapping[str, Entry[SuiteSpec]], self._entries["suite"])

    @classmethod
    def load(
        cls, blocked: AbstractSet[str] = frozenset(), only: AbstractSet[str] | None = None, strict: bool = False
    ) -> Self:
        """Load the built-in and the installed plugins.

        Plugins and distributions that are ``blocked``, or not among the ``only`` ones, are not imported. Where it is
        ``strict``, any plugin with an error or a warning is a `MissingPlugin`.
        """
        registry = cls(*load_plugins(blocked, only))
        problems = [
            f"  {plugin.name} ({plugin.source}): {problem}"
            for plugin in registry.plugins
            for problem in plugin.problems
        ]
        if strict and problems:
            raise MissingPlugin("\n".join(["with --strict-plugins, no plugin may have a problem:", *problems]))
        return registry

    def entries(self, kind: Kind) -> Mapping[str, Entry[Spec]]:
        """Everything of one kind, by id and in the order of ids."""
        return self._entries[kind]

    @overload
    def resolve(self, kind: Literal["algorithm"], name: str) -> Entry[AlgorithmSpec]: ...
    @overload
    def resolve(self, kind: Literal["environment"], name: str) -> Entry[EnvironmentSpec]: ...
    @overload
    def resolve(self, kind: Literal["suite"], name: str) -> Entry[SuiteSpec]: ...
    @overload
    def resolve(self, kind: Literal["executor"], name: str) -> Entry[ExecutorSpec]: ...
    def resolve(self, kind: Kind, name: str) -> Entry[Any]:
        """The entry with this id, or the only one with this short name.

        Raises:
            UnknownNameError: there is none, but its plugin is well, or something is spelled alike.
            MissingPlugin: there is none, for its plugin is not installed, switched off or broken.
            AmbiguousNameError: several plugins use the short name.
        """
        return self.find(name, (kind,))[kind]

    def find(self, name: str, kinds: Sequence[Kind]) -> dict[Kind, Entry[Any]]:
        """What has this id or short name, by kind, as an algorithm may share an environment's; raises as `resolve`."""
        found = {kind: entry for kind in kinds if (entry := self._of_kind(kind, name)) is not None}
        if not found:
            raise self._unknown(kinds, name)
        return found

    def missing_requirements(self, entry: Entry[Spec]) -> list[str]:
        """What must be installed before the entry can be used: its own and its plugin's unmet requirements."""
        requirements = dict.fromkeys((*entry.plugin.requires, *getattr(entry.spec, "requires", ())))
        return [requirement for requirement in requirements if not self._is_met(requirement)]

    def check_requirements(self, entry: Entry[Spec]) -> None:
        """Refuse an entry that lacks something, naming that and the command that installs it."""
        if lacking := self.missing_requirements(entry):
            raise MissingPlugin(f"{entry.id} needs {', '.join(lacking)}; try: {install_command(lacking)}")

    def run_finished(self, run: Mapping[str, Any]) -> list[str]:
        """Tell observers about one finished run, a row of the table of runs; returns what went wrong in them."""
        problems = []
        arguments = {"run": run}
        for plugin in self.plugins:
            for observer in implementations(self._manager, "harness_run_finished", plugin):
                try:
                    with guest(f"plugin {plugin.name!r}", OBSERVER_SECONDS):
                        observer.function(*(arguments[name] for name in observer.argnames))
                except Exception as error:
                    problems.append(f"plugin {plugin.name!r}: harness_run_finished: {described(error)}")
        return problems

    def _of_kind(self, kind: Kind, name: str) -> Entry[Any] | None:
        entries = self._entries[kind]
        if name in entries:
            return entries[name]
        found = [entry for entry in entries.values() if entry.spec.name == name]
        if len(found) > 1:
            owners = " or ".join(f"{entry.id} (from {entry.plugin.source})" for entry in found)
            raise AmbiguousNameError(f"{kind} {name!r} is ambiguous: write {owners}")
        return found[0] if found else None

    def _unknown(self, kinds: Sequence[Kind], name: str) -> UnknownNameError | MissingPlugin:
        what = f"{' or '.join(kinds)} {name!r}"
        owner, _, short = name.rpartition("/")
        plugin = next((plugin for plugin in self.plugins if plugin.name == owner), None)
        entries = [entry for kind in kinds for entry in self._entries[kind].values()]
        same = [entry.id for entry in entries if entry.spec.name == short]
        spellings = [spelling for entry in entries for spelling in (entry.id, entry.spec.name)]
        near = same or get_close_matches(name, spellings, n=3)
        advice = f"; did you mean {' or '.join(near)}?" if near else ""
        if plugin is not None and plugin.status == "ok":
            return UnknownNameError(f"plugin {owner!r} ({plugin.source}) provides no {what}{advice}")
        if near and not owner:
            return UnknownNameError(f"there is no {what}{advice}")
        reason = f"; {owner!r} is not installed" if owner else ""
        if plugin is not None:
            reason = f"; {owner!r} is {plugin.status}" + (f" ({plugin.error})" if plugin.error else "")
        known = ", ".join(f"{plugin.name} ({plugin.status})" for plugin in self.plugins)
        return MissingPlugin(f"no plugin provides {what}{reason}; plugins of {sys.executable}: {known}")


def _entries(plugins: Iterable[Plugin], kind: Kind) -> dict[str, Entry[Spec]]:
    found = [
        Entry(f"{plugin.name}/{spec.name}", spec, plugin)
        for plugin in plugins
        for spec in plugin.provides.get(kind, ())
    ]
    return {entry.id: entry for entry in sorted(found, key=lambda entry: entry.id)}
