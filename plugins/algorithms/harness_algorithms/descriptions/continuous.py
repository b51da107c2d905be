"""Off-policy actor-critics for continuous actions."""

from harness.api import AlgorithmSpec

SPECS: tuple[AlgorithmSpec, ...] = ()
