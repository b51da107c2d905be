"""How fast the algorithm trains and acts.

``pytest --benchmark-save=before`` measures it, and ``pytest --benchmark-compare`` compares with what was saved last.
"""

from harness.testing.benchmarks import measure_acting, measure_training, parametrize_with_algorithms


@parametrize_with_algorithms("example")
def test_training_speed(benchmark, algorithm):
    """Steps per second of training."""
    measure_training(benchmark, algorithm)


@parametrize_with_algorithms("example")
def test_acting_speed(benchmark, algorithm):
    """Actions per second of the trained policy."""
    measure_acting(benchmark, algorithm)
