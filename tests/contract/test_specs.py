"""Descriptions that cannot be right are refused where they are made."""

import math

import pytest

from harness.contract.specs import AlgorithmSpec, EnvironmentSpec, Score, SpecError, SuiteSpec


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, True, "475", pytest.param(10**400, id="huge")])
def test_numbers_of_a_description_are_finite(number: object):
    with pytest.raises(SpecError, match="threshold must be a finite number"):
        EnvironmentSpec("pole", "CartPole-v1", threshold=number)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="value must be a finite number"):
        Score(number)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="standard_error must be a finite number"):
        Score(1.0, number)  # type: ignore[arg-type]


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
