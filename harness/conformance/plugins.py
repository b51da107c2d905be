"""The conformance checks of plugins and of the suites in them, each a question with its reason as docstring."""

import json
import pkgutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from harness.conformance.algorithms import IMPORT, check_effects
from harness.conformance.check import Check, CheckFailed, CheckSkipped, require
from harness.conformance.laboratory import Laboratory
from harness.contract.errors import HarnessError
from harness.contract.specs import ExecutorSpec, FigureSpec, SuiteSpec
from harness.discovery.plugins import HEAVY, Plugin
from harness.discovery.registry import Registry
from harness.running.job_files import child_variables
from harness.running.plan import Plan, make_plan
from harness.suite.reading import Suite, find_suite
from harness.text import one_line

SLOW_MILLISECONDS = 50.0
IMPORT_SECONDS = 60.0
TIMINGS = 3  # of an import; the fastest counts
TIMED_IMPORT = """
import importlib, json, sys, time
import harness.api
start = time.perf_counter()
importlib.import_module(sys.argv[1])
milliseconds = 1000 * (time.perf_counter() - start)
print()
print(json.dumps({"milliseconds": milliseconds, "modules": sorted(sys.modules)}))
"""


@dataclass(frozen=True)
class PluginSubject:
    """A plugin under test, and where its code is tried."""

    plugin: Plugin
    laboratory: Laboratory


@dataclass(frozen=True)
class SuiteSubject:
    """A suite under test, and the plugins it may name."""

    id: str
    spec: SuiteSpec
    registry: Registry

    @cached_property
    def suite(self) -> Suite:
        """The suite in its file; a check that asks for one that cannot be used fails."""
        try:
            return find_suite(self.id, self.registry)
        except HarnessError as error:
            raise CheckFailed(one_line(error)) from None

    @cached_property
    def plan(self) -> Plan:
        """The runs it asks for; skips a check where it leaves the choice of algorithms to whoever runs it."""
        if not self.suite.algorithms:
            raise CheckSkipped("it names no algorithms")
        try:
            return make_plan(self.suite, self.registry)
        except HarnessError as error:
            raise CheckFailed(one_line(error)) from None


def plugin_checks(subject: PluginSubject) -> list[Check]:
    """Every check of a plugin itself; of what it provides, see the other modules."""
    asked = [loads_without_complaint, imports_light]
    if subject.plugin.status == "ok":
        asked += [import_has_no_side_effects, targets_resolve]
    return [Check.of(subject.plugin.name, function, subject) for function in asked]


def suite_checks(subject: SuiteSubject) -> list[Check]:
    """Every check of a suite."""
    asked = (suite_is_valid, suite_can_be_planned, everybody_takes_part)
    return [Check.of(subject.id, function, subject) for function in asked]


def loads_without_complaint(subject: PluginSubject) -> None:
    """Does it load, and is everything it defines used?

    ``API = 1``, marked hooks of known names, valid descriptions, a name that no other plugin has.
    """
    plugin = subject.plugin
    require(plugin.status == "ok", f"it is {plugin.status}: {plugin.error}")
    require(not plugin.warnings, "; ".join(plugin.warnings))


def imports_light(subject: PluginSubject) -> str | None:
    """Does describing itself import nothing heavy?

    Every command imports every plugin. In a fresh process, torch, gymnasium, pandas and their like must not be
    loaded; more than 50 ms beyond `harness.api` is worth a remark.
    """
    target = subject.plugin.target.partition(":")[0]
    fastest = float("inf")
    for _ in range(TIMINGS):
        measured = _timed_import(target)
        heavy = [name for name in HEAVY if name in measured["modules"]]
        require(not heavy, f"it imports {', '.join(heavy)}; import such modules where they are used")
        fastest = min(fastest, measured["milliseconds"])
        if fastest <= SLOW_MILLISECONDS:
            return None
    return f"importing it takes {fastest:.0f} ms"


def _timed_import(module: str) -> dict[str, Any]:
    """Milliseconds to import a module in a fresh process beyond `harness.api`, and the modules loaded then."""
    command = [sys.executable, "-c", TIMED_IMPORT, module]
    try:
        ended = subprocess.run(command, capture_output=True, env=child_variables(), text=True, timeout=IMPORT_SECONDS)
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"importing it takes longer than {IMPORT_SECONDS:g} s") from None
    require(ended.returncode == 0, f"it cannot be imported: {ended.stderr.strip().rpartition(chr(10))[2]}")
    measured: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return measured


def import_has_no_side_effects(subject: PluginSubject) -> None:
    """Does importing the plugin leave the process alone?

    As for algorithms; but this module is imported into everybody's process.
    """
    target = subject.plugin.target.partition(":")[0]
    effects = subject.laboratory.perform(IMPORT, modules=[target])
    check_effects(effects, "importing it")


def targets_resolve(subject: PluginSubject) -> None:
    """Do figures and executors name functions that exist?

    What algorithms, environments and suites name, their own checks try.
    """
    missing, experiment = [], f"{__name__}:{missing_function.__name__}"
    for spec in chain(*subject.plugin.provides.values()):
        if isinstance(spec, FigureSpec | ExecutorSpec):
            missing += subject.laboratory.perform(experiment, name=spec.name, target=spec.target)
    require(not missing, "; ".join(missing))


def missing_function(name: str, target: str) -> list[str]:
    """What is wrong with a target, in a list; called in the laboratory."""
    try:
        return [] if callable(pkgutil.resolve_name(target)) else [f"{name}: {target} is no function"]
    except (ImportError, AttributeError) as error:
        return [f"{name}: {error}"]


def suite_is_valid(subject: SuiteSubject) -> None:
    """Can the file be read, and does it say nothing unknown or contradictory?

    Also, the name in the file is the one that the plugin registers.
    """
    _ = subject.suite


def suite_can_be_planned(subject: SuiteSubject) -> None:
    """Is everything it names installed, and do all configurations resolve?

    What ``harness plan`` would refuse. A suite that a plugin ships must work where the plugin is installed.
    """
    _ = subject.plan


def everybody_takes_part(subject: SuiteSubject) -> None:
    """Does every algorithm run somewhere, and does something run in every environment?

    A pair that cannot meet is skipped with a reason. One that never meets anybody is a mistake in the suite.
    """
    cells = subject.plan.cells
    named = {cell.contestant.label for cell in cells} | {cell.environment.id for cell in cells}
    running = [cell for cell in cells if not cell.reason]
    idle = named - {cell.contestant.label for cell in running} - {cell.environment.id for cell in running}
    require(not idle, f"nothing can run of {', '.join(sorted(idle))}")
