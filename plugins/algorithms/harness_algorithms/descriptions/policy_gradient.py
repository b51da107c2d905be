"""Policy gradients that use every sample once, and their trust region."""

from harness.api import AlgorithmSpec

SPECS: tuple[AlgorithmSpec, ...] = ()
