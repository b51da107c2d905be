"""Observations and actions that are vectors, as models of dynamics want them."""

from typing import Any


def unfit(observation_space: Any, action_space: Any) -> str:
    """Why no model can be had of such observations and actions, if so; what `AlgorithmSpec.fits` wants."""
    for what, space in (("observations", observation_space), ("actions", action_space)):
        if len(space.shape) != 1 or space.dtype.kind != "f":
            return f"a model wants {what} that are vectors of reals, not {space}"
    return ""


def unfit_to_plan(observation_space: Any, action_space: Any) -> str:
    """Likewise where actions may also be discrete, numbered from 0."""
    if not hasattr(action_space, "n"):
        return unfit(observation_space, action_space)
    if action_space.start:
        return f"a planner wants actions that are numbered from 0, not {action_space}"
    return unfit(observation_space, observation_space)
