"""The table of measures is the only list of them: what computes, asks for or documents one follows it."""

import ast

import pytest

import harness
from harness.analysis.measures import OF_GROUP, OF_RUN, measured
from harness.commands import compare, gate
from harness.contract.errors import UsageError
from harness.suite.measures import DIAGNOSTIC, GATED, LOGGED, MEASURES, OF_RUNS, USUAL, named
from harness.suite.reading import SuiteError, load_suite
from harness.suite.schema import Gate
from support import documents
from support.paths import ROOT
from support.results import Run, write_runs
from support.verdicts import suite_text

PATTERN = DIAGNOSTIC + LOGGED
SEMANTICS = ROOT / "docs" / "semantics.md"
ITSELF = {ROOT / "harness" / "measures.py", ROOT / "harness" / "analysis" / "measures.py"}


def test_every_measure_is_computed_by_a_function():
    assert {*OF_RUN, PATTERN} == set(OF_RUNS)
    assert set(OF_GROUP) == set(MEASURES) - set(OF_RUNS)


@pytest.mark.parametrize("name", [*OF_RUN, "diagnostic_loss"])
def test_every_measure_of_a_run_is_a_number_of_a_run_that_is_done(tmp_path, name):
    results = harness.load(write_runs(tmp_path, [Run(scores=(0.0, 480.0, 470.0, 480.0, 490.0))]))
    assert measured(results, name)["value"].notna().all()


@pytest.mark.parametrize("name", [*OF_GROUP, "elegance"])
def test_what_no_single_run_has_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="no measure"):
        measured(harness.load(write_runs(tmp_path, [Run()])), name)


def claiming(metric):
    claim = 'statement = "It is."\nbetter = "a"\nthan = "b"\nenvironment = "cartpole"'
    return f'{suite_text(algorithms=("a", "b"))}\n[[claims]]\n{claim}\nmetric = "{metric}"'


@pytest.mark.parametrize("name", [*MEASURES, "diagnostic_loss"])
def test_claims_are_made_of_these_measures(name):
    if name == PATTERN:  # which stands for names that are logged
        with pytest.raises(SuiteError):
            load_suite(claiming(name))
    else:
        assert named(load_suite(claiming(name)).claims[0].metric).meaning


@pytest.mark.parametrize("name", MEASURES)
def test_gates_take_those_of_the_table_that_may_be_gated(name):
    gated = f'measure = "{name}"'
    if name in GATED:
        assert load_suite(suite_text(gate=gated)).gate.measure == name
    else:
        with pytest.raises(SuiteError, match=f"one of {', '.join(GATED)}"):
            load_suite(suite_text(gate=gated))


def test_options_and_the_schema_offer_what_the_table_has():
    (of_gate,), (of_compare,) = (
        [option for option in command.command.params if option.name == "measure"] for command in (gate, compare)
    )
    assert tuple(of_gate.type.choices) == tuple(Gate.model_json_schema()["properties"]["measure"]["enum"]) == GATED
    assert of_compare.help.endswith(f"{', '.join(OF_RUNS)}.")
    assert of_compare.default == Gate().measure == USUAL


def test_the_documents_have_the_same_table():
    rows = documents.table(SEMANTICS, "measure", "meaning", "better is", "of", "a failed run counts as", "gate")
    assert rows == [
        [
            measure.name,
            measure.meaning,
            "more" if measure.more_is_better else "less",
            "a group" if measure.of_group else "a run",
            measure.failure,
            "yes" if measure.gated else "no",
        ]
        for measure in MEASURES.values()
    ]


def test_no_other_list_of_measures_is_left():
    """A display of the syntax that holds two of their names is one."""
    found = []
    for path in set(ROOT.glob("harness/**/*.py")) - ITSELF:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            parts = [*getattr(node, "elts", []), *getattr(node, "keys", []), *getattr(node, "comparators", [])]
            names = {part.value for part in parts if isinstance(part, ast.Constant)} & set(MEASURES)
            found += [f"{path}:{node.lineno}"] if len(names) > 1 else []
    assert not found
