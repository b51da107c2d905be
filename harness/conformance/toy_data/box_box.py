"""Of the ring with Box observations and Box actions."""

from functools import partial

from harness.conformance.toy_environments import recorded

episodes = partial(recorded, "Box", "Box")
