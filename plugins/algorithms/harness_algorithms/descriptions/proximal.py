"""Synchronous actor-critics with several copies, to proximal policy optimisation."""

from harness.api import AlgorithmSpec

SPECS: tuple[AlgorithmSpec, ...] = ()
