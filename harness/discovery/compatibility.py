"""Whether an algorithm can train on an environment, decided before anything runs."""

from collections.abc import Collection

from harness.contract.specs import AlgorithmSpec, EnvironmentSpec, Needs


def incompatibility(
    algorithm: AlgorithmSpec,
    observation_space: str,
    action_space: str,
    environment: EnvironmentSpec,
    known: Collection[str] = (),
    needs: Needs | None = None,
) -> str:
    """Why an algorithm cannot train on an environment, whatever the machine; empty if it can.

    Spaces are class names, as in "Box"; ``known`` are the functions that the environment's module of that name gives,
    ``needs`` what the configuration asks for.
    """
    reasons = []
    for verb, wanted, able in (
        ("observes", observation_space, algorithm.observation_spaces),
        ("acts in", action_space, algorithm.action_spaces),
    ):
        if wanted not in able:
            reasons.append(f"{algorithm.name} {verb} {' or '.join(able)}, not {wanted}")
    wants_known = dict.fromkeys((*algorithm.known, *(needs.known if needs else ())))
    if lacking := [name for name in wants_known if name not in known]:
        reasons.append(f"{algorithm.name} plans with {', '.join(lacking)}, which {environment.name} does not give")
    for view, wants in (("game", "plays a game against itself"), ("dataset", "learns from a data set")):
        if view in algorithm.views and getattr(environment, view) is None:
            reasons.append(f"{algorithm.name} {wants}, and {environment.name} has none")
    return "; ".join(reasons)


def device_lacking(algorithm: AlgorithmSpec, device: str) -> str:
    """Why an algorithm cannot train on "cpu", "cuda" or "cuda:1"; empty if it can."""
    kind = device.partition(":")[0]
    able = " or ".join(algorithm.devices)
    return "" if kind in algorithm.devices else f"{algorithm.name} trains on {able}, not {kind}"
