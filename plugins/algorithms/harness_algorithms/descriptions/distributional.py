"""Deep Q-networks that learn the law of the return, and their combination."""

from harness.api import AlgorithmSpec

SPECS: tuple[AlgorithmSpec, ...] = ()
