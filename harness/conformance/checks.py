"""From a name to the conformance checks of everything it stands for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import chain
from typing import Any

from harness.conformance.algorithms import AlgorithmSubject, algorithm_checks
from harness.conformance.check import Check, CheckSkipped, require
from harness.conformance.environments import EnvironmentSubject, environment_checks
from harness.conformance.executors import ExecutorSubject, executor_checks
from harness.conformance.laboratory import Laboratory
from harness.conformance.plugins import PluginSubject, SuiteSubject, plugin_checks, suite_checks
from harness.discovery.plugins import Kind, Plugin
from harness.discovery.registry import Entry, Registry
from harness.discovery.selection import Selection, parse_selection
from harness.running.plan import config_request

CHECKED: tuple[Kind, ...] = ("algorithm", "environment", "suite", "executor")
Settings = Mapping[str, str] | None


def checks_of(name: str, registry: Registry, settings: Settings = None) -> list[Check]:
    """The checks of all that a plugin or distribution of this name provides; if there is none, `checks_of_kinds`."""
    plugins = [plugin for plugin in registry.plugins if plugin.answers_to({name})]
    if plugins:
        return [check for plugin in plugins for check in checks_of_plugin(plugin, registry)]
    return checks_of_kinds(name, registry, CHECKED, settings)


def checks_of_kinds(name: str, registry: Registry, kinds: Sequence[Kind], settings: Settings = None) -> list[Check]:
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
    checks = (_checks(kind, entry, registry, selection, Laboratory(), settings) for kind, entry in entries.items())
    return list(chain.from_iterable(checks))


def checks_of_plugin(plugin: Plugin, registry: Registry) -> list[Check]:
    """The checks of a plugin, then of all it provides."""
    laboratory = Laboratory()
    checks = plugin_checks(PluginSubject(plugin, laboratory))
    for kind in CHECKED:
        for entry in registry.entries(kind).values():
            if entry.plugin is plugin:
                checks += _checks(kind, entry, registry, parse_selection(entry.id), laboratory, None)
    return checks


def _checks(
    kind: Kind, entry: Entry[Any], registry: Registry, asked: Selection, laboratory: Laboratory, settings: Settings
) -> list[Check]:
    """The checks of one entry; one that skips where it cannot be tried for lack of a package."""
    missing = registry.missing_requirements(entry)

    def requirements_are_met() -> None:
        """Is everything it needs installed?"""
        raise CheckSkipped(f"it needs {', '.join(missing)}")

    if missing:
        return [Check.of(entry.id, requirements_are_met)]
    if kind == "algorithm":  # in a laboratory of its own, into which its module is preloaded
        request = config_request(entry, asked)
        subject = AlgorithmSubject(request.id, request.spec, request.layers, Laboratory())
        return waived(entry, algorithm_checks(subject))
    if kind == "environment":
        return waived(entry, environment_checks(EnvironmentSubject(entry.id, entry.spec, laboratory)))
    if kind == "executor":
        return waived(entry, executor_checks(ExecutorSubject(entry.id, entry.spec, settings or {})))
    return suite_checks(SuiteSubject(entry.id, entry.spec, registry))


def waived(entry: Entry[Any], checks: list[Check]) -> list[Check]:
    """The checks, with the reasons for which the description waives them; and one that fails if it waives no check."""
    reasons: Mapping[str, str] = entry.spec.waived
    names = [check.name for check in checks]

    def waives_what_is_asked() -> None:
        """Is everything that it waives asked of it?"""
        for name in reasons:
            near = get_close_matches(name, names, n=1)
            require(name in names, f"waived: there is no check {name!r}" + f"; did you mean {near[0]}?" * len(near))

    own = [Check.of(entry.id, waives_what_is_asked)] if reasons else []
    return [*(replace(check, waived=reasons.get(check.name, "")) for check in checks), *own]
