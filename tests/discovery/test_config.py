import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.api import Count, Fraction
from harness.discovery.config import ConfigError, config_to_json, resolve_config


@dataclass(frozen=True)
class Linear:
    start: float = 1.0
    end: float = 0.05
    until: float = 0.5


@dataclass(frozen=True, slots=True)
class Config:
    learning_rate: float = 1e-3
    batch_size: int = 32
    double: bool = False
    hidden: tuple[int, ...] = (64, 64)
    loss: Literal["huber", "square"] = "huber"
    clip: float | None = None
    epsilon: Linear = Linear(0.9)
    decay: Linear | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    stages: tuple[Linear, ...] = ()

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError("batch_size must be 1 or more")


def refused(*layers: Mapping[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve_config(Config, *layers, owner="algorithms/dqn")
    assert str(caught.value).startswith("algorithms/dqn: ")
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_without_layers_the_defaults_hold():
    assert resolve_config(Config) == Config()


def test_later_layers_win_and_untouched_fields_stay():
    config = resolve_config(Config, {"batch_size": 64, "double": True}, {"batch_size": 128})
    assert config == Config(batch_size=128, double=True)


def test_dotted_keys_and_tables_reach_into_nested_defaults():
    assert resolve_config(Config, {"epsilon.until": 0.3}).epsilon == Linear(0.9, 0.05, 0.3)
    assert resolve_config(Config, {"epsilon": {"until": 0.3}}).epsilon == Linear(0.9, 0.05, 0.3)
    layered = resolve_config(Config, {"epsilon": {"until": 0.3}}, {"epsilon.end": 0.2, "epsilon.start": 0.5})
    assert layered.epsilon == Linear(0.5, 0.2, 0.3)


def test_a_nested_table_can_be_switched_on_and_then_refined():
    assert resolve_config(Config, {"decay.until": 1.0}, {"decay.end": 0.0}).decay == Linear(1.0, 0.0, 1.0)


def test_mappings_are_replaced_not_merged():
    layers = {"weights": {"a": 1}}, {"weights": {"b": 2}}
    assert resolve_config(Config, *layers).weights == {"b": 2.0}


def test_an_integer_becomes_a_float_and_a_list_a_tuple():
    config = resolve_config(Config, {"learning_rate": 1, "hidden": [8], "clip": 5})
    assert isinstance(config.learning_rate, float)
    assert isinstance(config.clip, float)
    assert config.hidden == (8,)


def test_defaults_are_made_to_fit_their_types():
    @dataclass(frozen=True)
    class Whole:
        discount: float = 1

    assert isinstance(resolve_config(Whole).discount, float)


@pytest.mark.parametrize(
    "layer",
    [
        {"batch_size": 64.0},
        {"batch_size": True},
        {"batch_size": "64"},
        {"learning_rate": "fast"},
        {"learning_rate": True},
        {"learning_rate": None},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"double": 1},
        {"loss": "cubic"},
        {"hidden": 64},
        {"hidden": [64, 0.5]},
        {"hidden": {1, 2}},
        {"epsilon": 0.1},
        {"epsilon.until": "late"},
        {"epsilon": 0.1, "epsilon.until": 0.3},
        {"batch_size": object()},
        {"batch_size": 0},
    ],
)
def test_wrong_values_are_refused_by_key(layer):
    message = refused(layer)
    assert next(iter(layer)) in message or "no form in JSON" in message


@pytest.mark.parametrize(
    ("key", "advice"),
    [
        ("lerning_rate", "did you mean 'learning_rate'?"),
        ("epsilon.untl", "epsilon.untl: unknown key; did you mean 'until'?"),
        ("decay.untl", "decay.untl: unknown key; did you mean 'until'?"),
        ("xyz", "known: learning_rate, batch_size"),
        ("batch_size.x", "batch_size"),
    ],
)
def test_unknown_keys_are_refused_with_a_suggestion(key, advice):
    assert advice in refused({key: 1.0})


def test_unknown_keys_inside_a_list_are_refused():
    assert "stages.1.strt" in refused({"stages": [{"start": 1}, {"strt": 1}]})


def test_every_problem_is_listed():
    message = refused({"batch_size": "a", "learning_rate": "b"})
    assert "batch_size" in message
    assert "learning_rate" in message


LINEAR = st.fixed_dictionaries({}, optional={"start": st.floats(0, 1), "until": st.floats(0, 1)})
LAYER = st.fixed_dictionaries(
    {},
    optional={
        "learning_rate": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        "batch_size": st.integers(1, 2**40),
        "double": st.booleans(),
        "hidden": st.lists(st.integers(0, 512), max_size=3),
        "loss": st.sampled_from(["huber", "square"]),
        "clip": st.none() | st.floats(0, 10),
        "epsilon": LINEAR,
        "decay": st.none() | LINEAR,
        "weights": st.dictionaries(
            st.text(st.characters(codec="utf-8", exclude_characters="."), max_size=5), st.floats(0, 1)
        ),
        "stages": st.lists(LINEAR, max_size=2),
    },
)


@given(st.lists(LAYER, max_size=3))
def test_json_gives_the_same_configuration_back(layers):
    config = resolve_config(Config, *layers)
    values = json.loads(json.dumps(config_to_json(config)))
    assert resolve_config(Config, values) == config
    assert config_to_json(resolve_config(Config, values)) == values


@given(LAYER, LAYER)
def test_layers_apply_one_after_the_other(first, second):
    both = resolve_config(Config, first, second)
    assert both == resolve_config(Config, config_to_json(resolve_config(Config, first)), second)


@dataclass(frozen=True)
class NoDefault:
    size: int


@dataclass
class Thawed:
    size: int = 1


@dataclass(frozen=True)
class Derived:
    size: int = field(default=1, init=False)


@dataclass(frozen=True)
class Undefined:
    size: "NotDefinedAnywhere" = 1  # type: ignore[name-defined] # noqa: F821


@dataclass(frozen=True)
class Unlimited:
    limit: float = float("inf")


@dataclass(frozen=True)
class Unordered:
    stages: tuple[Mapping[str, frozenset[str]], ...] = ({"names": frozenset({"a", "b"})},)


@dataclass(frozen=True)
class Nested:
    inner: Unordered = Unordered()


@dataclass(frozen=True)
class Mistyped:
    size: int = "many"  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("config_class", "fix"),
    [
        (int, "must be a dataclass"),
        (Config(), "must be a dataclass"),
        (NoDefault, "needs a default"),
        (Thawed, "frozen=True"),
        (Derived, "init=False"),
        (Undefined, "NotDefinedAnywhere"),
        (Unlimited, "use None"),
        (Unordered, "stages.0.names is a set.*use a tuple"),
        (Nested, "inner.stages.0.names is a set.*use a tuple"),
        (Mistyped, "int"),
    ],
)
def test_unusable_configuration_classes_are_refused_with_the_fix(config_class, fix):
    with pytest.raises(ConfigError, match=fix) as caught:
        resolve_config(config_class, owner="algorithms/dqn")
    assert "Traceback" not in str(caught.value)


@dataclass(frozen=True)
class Loose:
    tiles: dict = field(default_factory=lambda: {0: "floor"})
    size: object = (3, 4)


@dataclass(frozen=True)
class Tight:
    tiles: dict[int, str] = field(default_factory=lambda: {0: "floor"})
    size: tuple[int, ...] = (3, 4)


def test_a_default_that_would_come_back_from_json_as_another_thing_is_refused_by_its_field():
    with pytest.raises(ConfigError) as caught:
        resolve_config(Loose, owner="algorithms/dqn")

    assert "tiles: {0: 'floor'} comes back from JSON as {'0': 'floor'}" in str(caught.value)
    assert "size: (3, 4) comes back from JSON as [3, 4]" in str(caught.value)
    assert resolve_config(Tight) == Tight()
    assert resolve_config(Tight, {"tiles": {"1": "wall"}}).tiles == {1: "wall"}


def test_keys_of_a_layer_are_text_and_never_silently_made_so():
    with pytest.raises(ConfigError, match=r'algorithms/dqn: key 1 must be text, "1"'):
        resolve_config(Tight, {"tiles": {1: "wall"}}, owner="algorithms/dqn")


def test_an_infinite_default_is_refused_by_its_field():
    with pytest.raises(ConfigError, match="limit: inf has no form in JSON"):
        resolve_config(Unlimited)


def test_a_set_that_a_layer_brings_is_refused():
    @dataclass(frozen=True)
    class Optional:
        names: frozenset[str] | None = None

    with pytest.raises(ConfigError, match="names is a set"):
        resolve_config(Optional, {"names": ["a", "b"]})


@pytest.mark.parametrize(
    ("kind", "refused", "taken"), [(Count, (0, -3, 1.5), (1, 2)), (Fraction, (-0.1, 5, float("nan")), (0.0, 1.0))]
)
def test_numbers_outside_what_their_type_allows_are_refused_by_key(kind, refused, taken):
    @dataclass(frozen=True)
    class Config:
        setting: kind = 1

    for value in refused:
        with pytest.raises(ConfigError, match="setting"):
            resolve_config(Config, {"setting": value})
    for value in taken:
        assert resolve_config(Config, {"setting": value}).setting == value


@pytest.mark.parametrize(
    ("algorithm", "layer", "key"),
    [
        ("dqn", {"hidden": [0]}, "hidden"),
        ("dqn", {"learning_rate": -1.0}, "learning_rate"),
        ("ppo", {"learning_rate": {"start": -1.0}}, "learning_rate"),
        ("ppo", {"activation": "sigmoid"}, "activation"),
        ("sac", {"tau": 1.5}, "tau"),
        ("sarsa_lambda", {"lambda_": 1.1}, "lambda_"),
    ],
)
def test_settings_that_no_algorithm_could_train_with_are_refused_by_key(algorithm, layer, key):
    module = importlib.import_module(f"harness_algorithms.{algorithm}")
    with pytest.raises(ConfigError, match=key):
        resolve_config(module.Config, layer)
