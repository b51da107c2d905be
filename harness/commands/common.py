"""What every command is given, and what all say the same way."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.contract.specs import as_json
from harness.text import one_line

if TYPE_CHECKING:
    from harness.analysis.results import Results
    from harness.discovery.registry import Entry, Registry
    from harness.storage.results_files import Problem


FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
DEVICE = click.Choice(["cpu", "cuda"])


def stacked(*options: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """One decorator for several, in the order of the help."""
    return lambda function: functools.reduce(lambda inner, option: option(inner), reversed(options), function)


@dataclass(frozen=True)
class GlobalOptions:
    """What the global options say; every command is given it (``@click.pass_obj``)."""

    blocked: frozenset[str]  # plugins or distributions to leave out
    only: frozenset[str] | None  # the only plugins or distributions to import; None for all
    strict: bool  # whether any problem of a plugin is fatal

    @functools.cached_property
    def registry(self) -> "Registry":
        """The plugins, loaded on first use; those that did not load are named on stderr."""
        registry = self.load_registry()
        for plugin in registry.plugins:
            if plugin.error:
                note(f"plugin {plugin.name!r} is {plugin.status}: {plugin.error}; see `harness plugins`")
        return registry

    def load_registry(self) -> "Registry":
        """The plugins, with a note on stderr about options that match none."""
        from harness.discovery.registry import Registry

        registry = Registry.load(self.blocked, self.only, self.strict)
        for name in sorted(self.blocked | (self.only or frozenset())):
            if not any(plugin.answers_to({name}) for plugin in registry.plugins):
                note(f"no plugin or distribution named {name!r} is installed")
        return registry


def described(registry: "Registry", entry: "Entry[Any]") -> dict[str, Any]:
    """What a description says, what it lacks and where it is from, as JSON values."""
    told = {"id": entry.id, "distribution": entry.plugin.source, "missing": registry.missing_requirements(entry)}
    return told | {"spec": as_json(entry.spec, tuples=False)}


def note(message: str) -> None:
    """Say something to the person, on stderr: stdout is for data."""
    click.echo(f"harness: {message}", err=True)


def loaded(path: Path) -> "Results":
    """The runs stored in a folder; files that cannot be used are named on stderr."""
    from harness.analysis.results import load

    results = load(path)
    name_problems(results.problems)
    return results


def name_problems(problems: "Iterable[Problem]") -> None:
    """Name stored files that cannot be used, on stderr; names and messages may be a stranger's."""
    for problem in problems:
        note(one_line(f"{problem.path}: {problem.message}"))
