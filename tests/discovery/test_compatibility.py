import pytest

from harness.contract.specs import AlgorithmSpec, EnvironmentSpec, Needs
from harness.discovery.compatibility import device_lacking, incompatibility

DQN = AlgorithmSpec("dqn", "m", "1", action_spaces=("Discrete",), devices=("cpu", "cuda"))
TABLE = AlgorithmSpec("table", "m", "1", observation_spaces=("Discrete",))
PLAIN = EnvironmentSpec("plain", "Plain-v0")
RICH = EnvironmentSpec("rich", "Rich-v0", known="m.known", game="m.game", dataset="m.data")


def test_declared_spaces_are_compatible():
    assert incompatibility(DQN, "Box", "Discrete", PLAIN) == ""


@pytest.mark.parametrize(
    ("observation", "action", "reason"),
    [
        ("Box", "Discrete", "table observes Discrete, not Box"),
        ("Discrete", "Box", "table acts in Discrete, not Box"),
        ("Box", "Box", "table observes Discrete, not Box; table acts in Discrete, not Box"),
    ],
)
def test_what_is_not_declared_is_refused_with_every_reason(observation, action, reason):
    assert incompatibility(TABLE, observation, action, PLAIN) == reason


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_declared_devices_are_not_lacking(device):
    assert device_lacking(DQN, device) == ""


def test_a_device_that_is_not_declared_is_lacking():
    assert device_lacking(TABLE, "cuda:0") == "table trains on cpu, not cuda"


def test_a_planner_runs_where_everything_it_plans_with_is_known():
    planner = AlgorithmSpec("mpc", "m", "1", known=("reward_fn", "dynamics_fn"))

    assert incompatibility(planner, "Box", "Discrete", RICH, ["reward_fn", "dynamics_fn"]) == ""
    assert (
        incompatibility(planner, "Box", "Discrete", RICH, ["reward_fn"])
        == "mpc plans with dynamics_fn, which rich does not give"
    )
    assert "plans with reward_fn, dynamics_fn, which plain" in incompatibility(planner, "Box", "Discrete", PLAIN)


def test_what_a_configuration_needs_to_know_is_wanted_too():
    planner, oracle = AlgorithmSpec("mpc", "m", "1", known=("reward_fn",)), Needs(known=("dynamics_fn",))

    assert incompatibility(planner, "Box", "Discrete", RICH, ["reward_fn"], Needs()) == ""
    assert incompatibility(planner, "Box", "Discrete", RICH, ["reward_fn", "dynamics_fn"], oracle) == ""
    reason = "mpc plans with dynamics_fn, which rich does not give"
    assert incompatibility(planner, "Box", "Discrete", RICH, ["reward_fn"], oracle) == reason


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({"game": True}, "search plays a game against itself, and plain has none"),
        ({"dataset": True}, "search learns from a data set, and plain has none"),
    ],
)
def test_a_game_and_a_data_set_must_be_there(declared, reason):
    search = AlgorithmSpec("search", "m", "1", **declared)

    assert incompatibility(search, "Box", "Discrete", RICH) == ""
    assert incompatibility(search, "Box", "Discrete", PLAIN) == reason
