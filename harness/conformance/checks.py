"""From a name to the conformance checks of everything it stands for."""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.conformance.algorithms import AlgorithmSubject, algorithm_checks
from harness.conformance.check import Check, CheckSkipped
from harness.conformance.environments import EnvironmentSubject, environment_checks
from harness.conformance.executors import ExecutorSubject, executor_checks
from harness.conformance.laboratory import Laboratory
from harness.conformance.plugins import PluginSubject, SuiteSubject, plugin_checks, suite_checks
from harness.discovery.plugins import Kind, Plugin
from harness.discovery.registry import Entry, Registry
from harness.discovery.selection import Selection, parse_selection
from harness.running.plan import config_request

CHECKED: tuple[Kind, ...] = ("algorithm", "environment", "suite", "executor")


def checks_of(name: str, registry: Registry, settings: Mapping[str, str] | None = None) -> list[Check]:
    """The checks of all that a plugin or distribution of this name provides; if there is none, `checks_of_kinds`."""
    plugins = [plugin for plugin in registry.plugins if plugin.answers_to({name})]
    if plugins:
        return [check for plugin in plugins for check in checks_of_plugin(plugin, registry)]
    return checks_of_kinds(name, registry, CHECKED, settings)


def checks_of_kinds(
    name: str, registry: Registry, kinds: Sequence[Kind], settings: Mapping[str, str] | None = None
) -> list[Check]:
    """The checks of what is of one of these kinds and has this id or short name; ``settings`` are of an executor.

    That of an algorithm may have a preset and overrides, as in ``"dqn:paper[learning_rate=1e-3]"``.

    Raises:
        UsageError: nothing has the name, or several things do.
        MissingPlugin: its plugin is not installed.
    """
    selection = parse_selection(name)
    if selection.variant:
        kinds = [kind for kind in kinds if kind == "algorithm"]
    entries = registry.find(selection.id, kinds)
    return [
        check
        for kind, entry in entries.items()
        for check in _checks(kind, entry, registry, selection, Laboratory(), settings)
    ]


def checks_of_plugin(plugin: Plugin, registry: Registry) -> list[Check]:
    """The checks of a plugin, then of all it provides."""
    laboratory = Laboratory()
    checks = plugin_checks(PluginSubject(plugin, laboratory))
    for kind in CHECKED:
        for entry in registry.entries(kind).values():
            if entry.plugin is plugin:
                checks += _checks(kind, entry, registry, parse_selection(entry.id), laboratory)
    return checks


def _checks(
    kind: Kind,
    entry: Entry[Any],
    registry: Registry,
    selection: Selection,
    laboratory: Laboratory,
    settings: Mapping[str, str] | None = None,
) -> list[Check]:
    """The checks of one entry; one that skips where it cannot be tried for lack of a package."""
    missing = registry.missing_requirements(entry)

    def requirements_are_met() -> None:
        """Is everything it needs installed?"""
        raise CheckSkipped(f"it needs {', '.join(missing)}")

    if missing:
        return [Check.of(entry.id, requirements_are_met)]
    if kind == "algorithm":  # in a laboratory of its own, into which its module is preloaded
        request = config_request(entry, selection)
        return algorithm_checks(AlgorithmSubject(request.id, request.spec, request.layers, Laboratory()))
    if kind == "environment":
        return environment_checks(EnvironmentSubject(entry.id, entry.spec, laboratory))
    if kind == "executor":
        return executor_checks(ExecutorSubject(entry.id, entry.spec, settings or {}))
    return suite_checks(SuiteSubject(entry.id, entry.spec, registry))
