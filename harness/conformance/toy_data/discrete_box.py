"""Of the ring with Discrete observations and Box actions."""

from functools import partial

from harness.conformance.toy_environments import recorded

episodes = partial(recorded, "Discrete", "Box")
