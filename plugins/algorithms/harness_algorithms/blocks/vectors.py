"""Observations and actions that are vectors, as models of dynamics want them."""

from typing import Any


def unfit(observation_space: Any, action_space: Any) -> str:
    """Why no model can be had of such observations and actions, if so; what `AlgorithmSpec.fits` wants."""
    return _no_vectors(observation_space, "observations") or _no_vectors(action_space, "actions")


def unfit_observations(observation_space: Any, action_space: Any) -> str:
    """Likewise where actions may be anything."""
    return _no_vectors(observation_space, "observations")


def _no_vectors(space: Any, what: str) -> str:
    if len(space.shape) == 1 and space.dtype.kind == "f":
        return ""
    return f"{space}: a model wants {what} that are vectors of reals; add a wrapper that makes them so"
