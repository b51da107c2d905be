"""Every plugin found, what became of it, and why."""

from difflib import get_close_matches
from typing import Any

import click

from harness.commands.common import GlobalOptions
from harness.commands.printing import print_json, print_table
from harness.contract.errors import MissingPlugin
from harness.discovery.plugins import Plugin
from harness.text import counted, one_line

HEADER = ("PLUGIN", "DISTRIBUTION", "VERSION", "STATUS", "MS", "PROVIDES", "PROBLEM")


@click.command(name="plugins")
@click.argument("name", required=False)
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(given: GlobalOptions, name: str | None, json_wanted: bool) -> None:
    """Show every plugin, or one plugin or distribution in full."""
    plugins = given.load_registry().plugins
    if not (chosen := [plugin for plugin in plugins if name is None or plugin.answers_to({name})]):
        near = get_close_matches(str(name), [plugin.name for plugin in plugins], n=1)
        advice = f"; did you mean {near[0]}?" if near else ""
        raise MissingPlugin(f"no plugin or distribution named {name!r} is installed{advice}")
    if json_wanted:
        print_json([_record(plugin) for plugin in chosen])
    elif name is None:
        print_table(HEADER, [_row(plugin) for plugin in chosen])
    else:
        for plugin in chosen:
            _describe(plugin)


def _record(plugin: Plugin) -> dict[str, Any]:
    shown = ("name", "distribution", "version", "target", "status", "error", "traceback", "warnings")
    record = {name: getattr(plugin, name) for name in shown}
    return record | {"import_ms": round(plugin.import_ms, 1), "provides": _provided(plugin)}


def _provided(plugin: Plugin) -> dict[str, list[str]]:
    return {kind: [f"{plugin.name}/{spec.name}" for spec in specs] for kind, specs in plugin.provides.items()}


def _row(plugin: Plugin) -> tuple[object, ...]:
    provides = [counted(len(specs), kind) for kind, specs in plugin.provides.items()]
    status, problems = str(plugin.status), plugin.problems
    if plugin.status == "unavailable":
        status, problems = f"unavailable: {plugin.error}", plugin.warnings
    who = plugin.name, plugin.distribution, plugin.version
    return *who, status, f"{plugin.import_ms:.1f}", ", ".join(provides) or "-", "; ".join(problems) or "-"


def _describe(plugin: Plugin) -> None:
    click.echo(f"{one_line(plugin.name)}: {plugin.status}")
    click.echo(f"from {one_line(plugin.source)}, module {one_line(plugin.target)}, {plugin.import_ms:.1f} ms")
    for kind, ids in _provided(plugin).items():
        click.echo(f"{kind}: {', '.join(ids)}")
    for problem in plugin.problems:
        click.echo(f"problem: {one_line(problem)}")
    if plugin.traceback:
        click.echo(f"\n{plugin.traceback.rstrip()}")
