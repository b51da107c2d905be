"""Everything about one algorithm, environment or suite."""

import contextlib
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import click

from harness.api import Count, Fraction
from harness.commands.common import GlobalOptions, described, note
from harness.commands.printing import print_json, print_table
from harness.contract.specs import AlgorithmSpec, SuiteSpec
from harness.discovery import guests
from harness.discovery.plugins import Kind
from harness.discovery.registry import Entry, Registry
from harness.suite.reading import suite_text
from harness.text import one_line

KINDS: tuple[Kind, ...] = ("algorithm", "environment", "suite")
COMMENT = re.compile(r"^\s+(\w+)\s*:.*?#\s*(.+)$", re.MULTILINE)


@click.command(name="show")
@click.argument("name", metavar="ID")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(given: GlobalOptions, name: str, json_wanted: bool) -> None:
    """Show everything about what has this id or short name."""
    registry = given.registry
    records = {kind: _record(registry, entry) for kind, entry in registry.find(name, KINDS).items()}
    if json_wanted:
        print_json(records)
        return
    for kind, record in records.items():
        _print_record(kind, record)


def _record(registry: Registry, entry: Entry[Any]) -> dict[str, Any]:
    """The description, and what only its file or its code says."""
    spec = entry.spec
    record = described(registry, entry)
    if isinstance(spec, SuiteSpec):
        record["text"] = suite_text(spec)
    if isinstance(spec, AlgorithmSpec):
        record["config"] = _config(spec)
    return record


def _config(spec: AlgorithmSpec) -> list[dict[str, str]] | None:
    """The fields of an algorithm's `Config`, which only its code knows; None where that cannot be imported."""
    try:
        with contextlib.redirect_stdout(sys.stderr), guests.guest(f"the module of {spec.name!r}"):
            config = importlib.import_module(spec.target).Config()
        return list(_settings(config, ""))
    except Exception as error:
        note(one_line(f"the Config of {spec.name!r} cannot be read: {guests.described(error)}"))
        return None


def _settings(config: Any, prefix: str) -> Iterator[dict[str, str]]:
    """Every field with the key that overrides it, its default and its comment; nested ones by dotted keys."""
    try:
        meanings = dict(COMMENT.findall(inspect.getsource(type(config))))
    except (OSError, TypeError):  # a class made without source
        meanings = {}
    for field in fields(config):
        default, key = getattr(config, field.name), prefix + field.name
        if is_dataclass(default):
            yield from _settings(default, f"{key}.")
        else:
            meaning = meanings.get(field.name, "")
            yield {"key": key, "type": _name(field.type), "default": repr(default), "meaning": meaning}


def _name(type_: Any) -> str:
    """A type as it is written in source."""
    if isinstance(type_, str):
        return type_
    text = inspect.formatannotation(type_)
    for name, named in (("Count", Count), ("Fraction", Fraction)):
        text = text.replace(inspect.formatannotation(named), name)
    return text


def _print_record(kind: str, record: dict[str, Any]) -> None:
    click.echo(f"{kind} {record['id']}")
    spec = {"gymnasium id" if key == "id" else key: value for key, value in record["spec"].items()}
    del spec["name"]
    for key, value in {"distribution": record["distribution"], "missing": record["missing"], **spec}.items():
        if key == "presets" and value:
            click.echo("  presets:")
            for name, changes in value.items():
                click.echo(f"    {one_line(name)}: {one_line(_inline(changes))}")
        elif value not in (None, "", [], {}):
            click.echo(f"  {key}: {one_line(_inline(value))}")
    if record.get("config"):
        click.echo()
        settings = [tuple(setting.values()) for setting in record["config"]]
        print_table(("CONFIG", "TYPE", "DEFAULT", "MEANING"), settings)
    if "text" in record:
        click.echo(f"\n{record['text'].rstrip()}")


def _leaves(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{rest}", leaf) for rest, leaf in _leaves(value))
        else:
            yield key, value


def _inline(value: Any) -> str:
    """A value on one line, tables as ``key=value`` pairs, spelled as overrides are."""
    if isinstance(value, dict):
        return ", ".join(f"{key}={_inline(item)}" for key, item in _leaves(value) if item not in (None, ""))
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return str(value)
