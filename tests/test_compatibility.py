import pytest

from harness.discovery.compatibility import incompatibility
from harness.specs import AlgorithmSpec

DQN = AlgorithmSpec("dqn", "m", "1", action_spaces=("Discrete",), devices=("cpu", "cuda"))
TABLE = AlgorithmSpec("table", "m", "1", observation_spaces=("Discrete",))


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1"])
def test_declared_spaces_and_devices_are_compatible(device: str):
    assert incompatibility(DQN, "Box", "Discrete", device) is None


@pytest.mark.parametrize(
    ("observation", "action", "device", "reason"),
    [
        ("Box", "Discrete", "cpu", "table observes Discrete, not Box"),
        ("Discrete", "Box", "cpu", "table acts in Discrete, not Box"),
        ("Discrete", "Discrete", "cuda:0", "table trains on cpu, not cuda"),
        ("Box", "Box", "cpu", "table observes Discrete, not Box; table acts in Discrete, not Box"),
    ],
)
def test_what_is_not_declared_is_refused_with_every_reason(observation, action, device, reason):
    assert incompatibility(TABLE, observation, action, device) == reason
