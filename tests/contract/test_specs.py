"""Descriptions that cannot be right are refused where they are made."""

import json
import math

import pytest

from harness.contract.specs import (
    AlgorithmSpec,
    EnvironmentSpec,
    Score,
    SpecError,
    SuiteSpec,
    as_json,
    environment_from_json,
)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, True, "475", pytest.param(10**400, id="huge")])
def test_numbers_of_a_description_are_finite(number: object):
    for name in ("threshold", "lowest_return", "highest_return"):
        with pytest.raises(SpecError, match=f"{name} must be a finite number"):
            EnvironmentSpec("pole", "CartPole-v1", **{name: number})
    with pytest.raises(SpecError, match="value must be a finite number"):
        Score(number)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="standard_error must be a finite number"):
        Score(1.0, number)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["random_score", "reference_score"])
def test_a_bare_number_is_no_score(name: str):
    with pytest.raises(SpecError, match=f"{name} must be a Score or None, not 5.0"):
        EnvironmentSpec("pole", "CartPole-v1", **{name: 5.0})


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", "-a", "a" * 65, None])
def test_names_can_never_be_paths(name: object):
    with pytest.raises(SpecError, match="name must be"):
        AlgorithmSpec(name, "module", "1")  # type: ignore[arg-type]


def test_an_environment_id_carries_its_version():
    with pytest.raises(SpecError, match="must carry its version"):
        EnvironmentSpec("pole", "CartPole")


@pytest.mark.parametrize("resource", ["suite.toml", "package:../suite.toml", "package:suite.py", "package:"])
def test_a_suite_resource_stays_inside_its_package(resource: str):
    with pytest.raises(SpecError, match="resource must be"):
        SuiteSpec("suite", resource)


def carried(spec: EnvironmentSpec) -> EnvironmentSpec:
    """What another process makes of a description that it is told in JSON."""
    return environment_from_json(json.loads(json.dumps(as_json(spec), allow_nan=False)))


ARGUMENTS = {
    "tuple": (0.7, 1.0),
    "list": [0.7, 1.0],
    "nested": [(1, [2, (3,)]), ()],
    "infinite": (0.7, math.inf, -math.inf),
    "integer keys": {0: "floor", 1: "wall"},
    "keys of all kinds": {None: 0, True: 1, 2.5: 2, (1, 2): {"a": (3,)}},
    "looks like ours": {"$tuple": [1], "$number": "inf", "$pairs": []},
    "one that looks like ours": {"$tuple": [1]},
    "empty": {},
}


@pytest.mark.parametrize("value", ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_of_an_environment_are_told_exactly_to_every_process(value: object):
    spec = EnvironmentSpec("pole", "CartPole-v1", kwargs={"it": value}, wrappers=[("module:Wrapper", {"it": value})])

    there = carried(spec)

    assert there == spec
    assert [repr(there.kwargs["it"]), repr(there.wrappers[0][1]["it"])] == [repr(value)] * 2


def test_no_number_is_told_as_no_number():
    assert math.isnan(carried(EnvironmentSpec("pole", "CartPole-v1", kwargs={"it": math.nan})).kwargs["it"])


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({1, 2}, r"\.it"),
        (b"bytes", r"\.it"),
        ([1, object()], r"\.it\[1\]"),
        ({"tiles": {0: range(3)}}, r"\.it\.tiles\.0"),
        ({frozenset(): 1}, r"\.it: key frozenset\(\)"),
        (lambda: 0, r"\.it"),
    ],
)
def test_an_argument_that_no_process_could_be_told_is_refused_by_its_path(value: object, path: str):
    with pytest.raises(SpecError, match=rf"EnvironmentSpec 'pole': kwargs{path} must be text, number"):
        EnvironmentSpec("pole", "CartPole-v1", kwargs={"it": value})
    with pytest.raises(SpecError, match=rf"module:Wrapper{path} must be"):
        EnvironmentSpec("pole", "CartPole-v1", wrappers=[("module:Wrapper", {"it": value})])
    with pytest.raises(SpecError, match=rf"AlgorithmSpec 'fast': presets\.bold{path} must be"):
        AlgorithmSpec("fast", "module", "1", presets={"bold": {"it": value}})
