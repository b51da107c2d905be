"""Of the ring with Discrete observations and Discrete actions."""

from functools import partial

from harness.conformance.toy_environments import recorded

episodes = partial(recorded, "Discrete", "Discrete")
