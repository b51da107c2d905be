"""``harness show``: everything about one algorithm, environment or suite."""

import contextlib
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

import click

from harness.cli import Session, note
from harness.listing import one_line, plain, print_json, print_table
from harness.plugins import Kind
from harness.registry import Entry, Registry
from harness.specs import AlgorithmSpec, SuiteSpec
from harness.suite import suite_text

KINDS: tuple[Kind, ...] = ("algorithm", "environment", "suite")
COMMENT = re.compile(r"^\s+(\w+)\s*:.*?#\s*(.+)$", re.MULTILINE)


@click.command(name="show")
@click.argument("name", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def command(session: Session, name: str, as_json: bool) -> None:
    """Show everything about what has this id or short name."""
    registry = session.registry
    records = {kind: _record(registry, entry) for kind, entry in registry.find(name, KINDS).items()}
    if as_json:
        print_json(records)
        return
    for kind, record in records.items():
        click.echo(f"{kind} {record.pop('id')}")
        _print_record(record)


def _record(registry: Registry, entry: Entry[Any]) -> dict[str, Any]:
    """The description, and what only its file or its code says."""
    spec = entry.spec
    record = {
        "id": entry.id,
        "plugin": entry.plugin.name,
        "distribution": entry.plugin.source,
        "missing": registry.missing_requirements(entry),
        **plain(spec),
    }
    if isinstance(spec, SuiteSpec):
        record["text"] = suite_text(spec)
    if isinstance(spec, AlgorithmSpec):
        record["config"] = _config(spec)
    return record


def _config(spec: AlgorithmSpec) -> list[dict[str, str]] | None:
    """The fields of an algorithm's `Config`, which only its code knows; None where that cannot be imported."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            config = importlib.import_module(spec.target).Config
        return list(_settings(config, ""))
    except (Exception, SystemExit) as error:
        note(f"the Config of {spec.name!r} cannot be read: {type(error).__name__}: {error}")
        return None


def _settings(config: type, prefix: str) -> Iterator[dict[str, str]]:
    """Every field with the key that overrides it, its default and its comment; nested ones follow."""
    try:
        meanings = dict(COMMENT.findall(inspect.getsource(config)))
    except (OSError, TypeError):  # a class made without source
        meanings = {}
    for field in fields(config):
        default, key = _default(field), prefix + field.name
        if is_dataclass(default):
            yield from _settings(type(default), f"{key}.")
        else:
            type_ = field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)
            meaning = meanings.get(field.name, "")
            yield {"key": key, "type": type_, "default": repr(default), "meaning": meaning}


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _print_record(record: dict[str, Any]) -> None:
    """Print what is set, then the parts that are tables or files."""
    text, config = record.pop("text", None), record.pop("config", None)
    for key, value in record.items():
        if value not in (None, "", [], {}):
            click.echo(f"  {key}: {one_line(_inline(value))}")
    if config:
        click.echo()
        print_table(("CONFIG", "TYPE", "DEFAULT", "MEANING"), [tuple(setting.values()) for setting in config])
    if text is not None:
        click.echo(f"\n{text.rstrip()}")


def _inline(value: Any) -> str:
    """A value on one line, tables as ``key=value`` pairs."""
    if isinstance(value, dict):
        return ", ".join(f"{key}={_inline(item)}" for key, item in value.items() if item not in (None, ""))
    if isinstance(value, list):
        return ", ".join(map(_inline, value))
    return str(value)
