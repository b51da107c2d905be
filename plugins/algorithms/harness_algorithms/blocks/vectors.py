"""Observations and actions that are vectors, as models of dynamics want them."""

from typing import Any


def unfit(observation_space: Any, action_space: Any) -> str:
    """Why no model can be had of such observations and actions, if so; what `AlgorithmSpec.fits` wants."""
    for what, space in (("observations", observation_space), ("actions", action_space)):
        if len(space.shape) != 1 or space.dtype.kind != "f":
            return f"{space}: a model wants {what} that are vectors of reals; add a wrapper that makes them so"
    return ""


def unfit_observations(observation_space: Any, action_space: Any) -> str:
    """Likewise where actions may be anything."""
    if len(observation_space.shape) != 1 or observation_space.dtype.kind != "f":
        return f"{observation_space}: a model wants vectors of reals; add a wrapper that makes them so"
    return ""
