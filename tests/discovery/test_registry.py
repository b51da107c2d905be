"""Names, ids, ambiguity, suggestions and requirements, on fakes alone."""

import sys

import pytest

from harness.contract.errors import ExitCode, HarnessError, MissingPlugin
from harness.discovery.registry import AmbiguousNameError, Registry, UnknownNameError
from support.fake_distributions import ALGORITHM, Install

TWO = ("one", "two")


@pytest.fixture
def registry(install: Install) -> Registry:
    """Two plugins that both have a "dqn", and one that does not load."""
    for plugin in TWO:
        hook = ALGORITHM.format(name="dqn", module=plugin)
        install(plugin, hook + f"    yield AlgorithmSpec('only_{plugin}', 'm', '1', requires=['no-such-dist>=2'])\n")
    install("torn", "raise ValueError('torn')")
    return Registry.load(only={*TWO, "torn"})


def test_ids_are_listed_in_order(registry: Registry):
    assert list(registry.algorithms) == ["one/dqn", "one/only_one", "two/dqn", "two/only_two"]


def test_an_id_always_works_and_a_short_name_while_it_is_unique(registry: Registry):
    assert registry.resolve("algorithm", "two/dqn").id == "two/dqn"
    assert registry.resolve("algorithm", "only_two").id == "two/only_two"
    assert registry.resolve("suite", "quickstart").id == "harness/quickstart"


def test_an_ambiguous_short_name_is_an_error_that_names_both_distributions(registry: Registry):
    with pytest.raises(AmbiguousNameError) as raised:
        registry.resolve("algorithm", "dqn")
    assert str(raised.value) == (
        "algorithm 'dqn' is ambiguous: write one/dqn (from dist-one 1.0) or two/dqn (from dist-two 1.0)"
    )


@pytest.mark.parametrize(
    ("name", "error", "code", "message"),
    [
        ("only_on", UnknownNameError, ExitCode.USAGE, "there is no algorithm 'only_on'; did you mean only_one"),
        ("one/only_two", UnknownNameError, ExitCode.USAGE, "did you mean two/only_two?"),
        ("one/xyzzy", UnknownNameError, ExitCode.USAGE, "plugin 'one' (dist-one 1.0) provides no algorithm"),
        ("xyzzy", MissingPlugin, ExitCode.MISSING, f"plugins of {sys.executable}: harness (ok), "),
        ("sb3x/dqn", MissingPlugin, ExitCode.MISSING, "'sb3x' is not installed"),
        ("torn/dqn", MissingPlugin, ExitCode.MISSING, "'torn' is failed (ValueError: torn)"),
        ("one/../dqn", MissingPlugin, ExitCode.MISSING, "'one/..' is not installed"),
    ],
)
def test_a_name_that_nothing_has_is_explained(
    registry: Registry, name: str, error: type[HarnessError], code: ExitCode, message: str
):
    with pytest.raises(error) as raised:
        registry.resolve("algorithm", name)
    assert message in str(raised.value)
    assert raised.value.exit_code == code


def test_a_plugin_left_out_is_why_its_names_are_missing(install: Install):
    install("one", ALGORITHM.format(name="dqn", module="one"))
    with pytest.raises(MissingPlugin, match="'one' is disabled"):
        Registry.load(only=frozenset()).resolve("algorithm", "one/dqn")


def test_finding_looks_through_kinds_and_gives_every_kind_that_has_the_name(install: Install):
    install(
        "both",
        "from harness.api import EnvironmentSpec\n"
        + ALGORITHM.format(name="maze", module="both")
        + "@hookimpl\ndef harness_environments():\n    yield EnvironmentSpec('maze', 'Maze-v0')\n",
    )
    registry = Registry.load(only={"both"})
    found = registry.find("maze", ("algorithm", "environment", "suite"))
    assert {kind: entry.id for kind, entry in found.items()} == {"algorithm": "both/maze", "environment": "both/maze"}


def test_missing_requirements_are_those_of_the_description_and_of_its_distribution(install: Install):
    install(
        "needy",
        ALGORITHM.format(name="plain", module="needy")
        + "    yield AlgorithmSpec('fancy', 'm', '1', requires=['absent-b>=2', 'numpy>=1'])\n",
        requires=("absent-a>=1", "numpy>=1", 'absent-extra; extra == "more"', 'absent-os; os_name == "none"'),
    )
    registry = Registry.load(only={"needy"})
    plain, fancy = registry.algorithms["needy/plain"], registry.algorithms["needy/fancy"]
    assert registry.missing_requirements(plain) == ["absent-a>=1"]
    assert registry.missing_requirements(fancy) == ["absent-a>=1", "absent-b>=2"]
    with pytest.raises(MissingPlugin) as raised:
        registry.check_requirements(plain)
    assert str(raised.value) == (f"needy/plain needs absent-a>=1; try: {sys.executable} -m pip install 'absent-a>=1'")


def test_nothing_missing_is_no_error(registry: Registry):
    registry.check_requirements(registry.algorithms["one/dqn"])
    with pytest.raises(MissingPlugin, match="no-such-dist>=2"):
        registry.check_requirements(registry.algorithms["one/only_one"])
