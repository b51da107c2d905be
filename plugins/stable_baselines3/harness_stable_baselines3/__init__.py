"""Stable-Baselines3 and its contrib package as algorithms. This module only describes them."""

from collections.abc import Iterable
from importlib import metadata

from harness.api import AlgorithmSpec, hookimpl
from harness_stable_baselines3.zoo import PRESETS

API = 1

ADAPTER_VERSION = "2"  # raised when this package comes to use the library differently
OBSERVATION_SPACES = ("Box", "Discrete", "MultiBinary", "MultiDiscrete", "Dict")
ANY_ACTION = ("Box", "Discrete", "MultiBinary", "MultiDiscrete")
CONTRIB = ("sb3-contrib>=2.7",)


def version() -> str:
    """The adapter's version and the library's "major.minor", since both change how an algorithm learns."""
    try:
        major, minor = metadata.version("stable-baselines3").split(".")[:2]
    except metadata.PackageNotFoundError:  # the harness tells the user what to install
        return ADAPTER_VERSION
    return f"{ADAPTER_VERSION}+sb3.{major}.{minor}"


def adapted(
    name: str, summary: str, reference: str, action_spaces: tuple[str, ...], requires: tuple[str, ...] = ()
) -> AlgorithmSpec:
    """The description of one algorithm of the library, whose adapter is the module of its name."""
    return AlgorithmSpec(
        name,
        f"{__name__}.{name}",
        version=version(),
        summary=summary,
        reference=reference,
        observation_spaces=OBSERVATION_SPACES,
        action_spaces=action_spaces,
        devices=("cpu", "cuda"),
        fits=f"{__name__}.adapter:unfit",
        presets=PRESETS[name],
        requires=requires,
    )


@hookimpl
def harness_algorithms() -> Iterable[AlgorithmSpec]:
    """Describe the algorithms of this plugin."""
    yield adapted(
        "dqn",
        "Stable-Baselines3's deep Q-network: replay and a frozen target, without double Q-learning",
        "Mnih et al., 2015, doi:10.1038/nature14236",
        ("Discrete",),
    )
    yield adapted(
        "a2c",
        "Stable-Baselines3's synchronous advantage actor-critic",
        "Mnih et al., 2016, arXiv:1602.01783",
        ANY_ACTION,
    )
    yield adapted(
        "ppo",
        "Stable-Baselines3's proximal policy optimisation with a clipped objective",
        "Schulman et al., 2017, arXiv:1707.06347",
        ANY_ACTION,
    )
    yield adapted(
        "ddpg",
        "Stable-Baselines3's deep deterministic policy gradient",
        "Lillicrap et al., 2016, arXiv:1509.02971",
        ("Box",),
    )
    yield adapted(
        "td3",
        "Stable-Baselines3's twin delayed deep deterministic policy gradient",
        "Fujimoto et al., 2018, arXiv:1802.09477",
        ("Box",),
    )
    yield adapted(
        "sac",
        "Stable-Baselines3's soft actor-critic with a learned temperature",
        "Haarnoja et al., 2018, arXiv:1812.05905",
        ("Box",),
    )
    yield adapted(
        "trpo",
        "sb3-contrib's trust region policy optimisation",
        "Schulman et al., 2015, arXiv:1502.05477",
        ANY_ACTION,
        CONTRIB,
    )
    yield adapted(
        "qrdqn",
        "sb3-contrib's quantile regression deep Q-network",
        "Dabney et al., 2018, arXiv:1710.10044",
        ("Discrete",),
        CONTRIB,
    )
