"""Tables in the documents say what the code says."""

import re
from dataclasses import fields
from typing import get_args

import pytest

from harness.contract import hooks as hookspecs
from harness.contract import specs
from harness.contract.errors import ExitCode
from harness.contract.trial import Trial
from harness.discovery import plugins
from harness.storage import schema_tables
from support import documents
from support.paths import ROOT

GUIDE = ROOT / "docs" / "plugin-author-guide.md"
SEMANTICS, RESULTS = ROOT / "docs" / "semantics.md", ROOT / "results" / "README.md"


def first_column(text: str) -> list[str]:
    """The code at the beginning of every row of the tables in a text."""
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def test_exit_codes():
    rows = documents.table(SEMANTICS, "code", "name", "meaning")
    source = (ROOT / "harness" / "contract" / "errors.py").read_text(encoding="utf-8")
    said = dict(re.findall(r"^    ([A-Z_]+) = \d+  # (.*)$", source, re.MULTILINE))

    assert [(int(code), name) for code, name, _ in rows] == [(code.value, code.name) for code in ExitCode]
    for _, name, meaning in rows:
        assert meaning == said.get(name, meaning)


def test_members_of_the_trial():
    rows = documents.table(GUIDE, "member of `trial`", "meaning")
    members = {name for name in (*vars(Trial), *Trial.__annotations__) if not name.startswith("_")}

    assert {row[0].partition("(")[0] for row in rows} == members


@pytest.mark.parametrize(
    ("heading", "description"),
    [
        ("An algorithm", specs.AlgorithmSpec),
        ("Environments", specs.EnvironmentSpec),
        ("Suites", specs.SuiteSpec),
        ("Figures", specs.FigureSpec),
        ("Executors", specs.ExecutorSpec),
    ],
)
def test_fields_of_descriptions(heading: str, description: type):
    text = documents.section(GUIDE, heading).partition("\n### ")[0]

    assert first_column(text) == [field.name for field in fields(description)]


def test_hooks():
    rows = documents.table(GUIDE, "hook", "gives")

    assert [row[0].partition("(")[0] for row in rows] == [
        name for name in vars(hookspecs) if name.startswith("harness_")
    ]


def test_statuses_of_plugins():
    rows = documents.table(GUIDE, "status", "meaning", "what helps")

    assert [row[0] for row in rows] == list(get_args(plugins.PluginStatus))


def test_statuses_of_runs():
    rows = documents.table(SEMANTICS, "status", "what happened", "run again by the next call?")

    assert [row[0] for row in rows] == list(schema_tables.STATUSES)


@pytest.mark.parametrize("name", ["runs", *schema_tables.TABLES])
def test_columns_of_results(name: str):
    text = documents.section(RESULTS, f"`{name}`")
    schema = {"runs": schema_tables.RUNS, **schema_tables.TABLES}[name]

    assert re.findall(r"^\| `(\w+)` \| ([\w?]+) \|", text, re.MULTILINE) == [
        (column.name, f"{column.type}{'?' * column.nullable}") for column in schema
    ]
