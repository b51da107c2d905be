"""Whether an algorithm can train on an environment and a device, decided before anything runs."""

from harness.specs import AlgorithmSpec


def incompatibility(
    algorithm: AlgorithmSpec, observation_space: str, action_space: str, device: str
) -> str | None:
    """Why an algorithm cannot train there, or None if it can.

    Args:
        algorithm: what it declares.
        observation_space: class name of the environment's observation space, as in "Box".
        action_space: class name of its action space, as in "Discrete".
        device: where to train: "cpu", "cuda" or "cuda:1".
    """
    kinds = (
        ("observes", observation_space, algorithm.observation_spaces),
        ("acts in", action_space, algorithm.action_spaces),
        ("trains on", device.partition(":")[0], algorithm.devices),
    )
    reasons = [
        f"{algorithm.name} {verb} {' or '.join(able)}, not {wanted}"
        for verb, wanted, able in kinds
        if wanted not in able
    ]
    return "; ".join(reasons) or None
