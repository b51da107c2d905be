"""Algorithms of many actors and learners."""

from harness.api import AlgorithmSpec
from harness_algorithms.descriptions import a3c_presets, dppo_presets, gorila_presets


def parallel(name: str, summary: str, reference: str, version: str = "1", **more: object) -> AlgorithmSpec:
    """The description of an algorithm whose roles a backend runs: all seeds at once in virtual time."""
    return AlgorithmSpec(
        name,
        f"harness_algorithms.{name}",
        version=version,
        summary=summary,
        reference=reference,
        observation_spaces=("Box",),
        lockstep=True,
        needs="harness_algorithms.parallel.backends:needs",
        fits="harness_algorithms.blocks.convolutions:unfit",
        **more,  # type: ignore[arg-type]
    )


SPECS = (
    parallel(
        "a3c",
        "Workers that act and learn by themselves, on parameters that nothing locks",
        "Mnih et al., 2016, arXiv:1602.01783",
        action_spaces=("Discrete", "Box"),
        presets=a3c_presets.A3C,
    ),
    parallel(
        "dppo",
        "PPO with a penalty, of workers whose gradients a chief averages, the slowest left out",
        "Heess et al., 2017, arXiv:1707.02286",
        version="2",
        action_spaces=("Discrete", "Box"),
        presets=dppo_presets.DPPO,
    ),
    parallel(
        "dppo_data",
        "PPO with a clipped ratio, of workers whose data a learner pools",
        "M. Zhou's tutorial, script 12; Heess et al., 2017, arXiv:1707.02286",
        action_spaces=("Discrete", "Box"),
        presets=dppo_presets.DPPO_DATA,
    ),
    parallel(
        "gorila",
        "DQN of many actors and learners around a parameter server",
        "Nair et al., 2015, arXiv:1507.04296",
        action_spaces=("Discrete",),
        presets=gorila_presets.GORILA,
    ),
)
