"""Our own plugins keep the contract, with settings that let them learn within the steps of a check."""

import pytest

from harness.testing import algorithm_checks, parametrize_with_checks, plugin_checks, suite_checks

pytestmark = pytest.mark.slow

ALGORITHMS = (
    "algorithms/q_learning",
    "algorithms/dqn[learning_starts=30, batch_size=16, target_every=20, replay_capacity=100]",
    "sb3/ppo[n_steps=32, batch_size=16]",
)


@parametrize_with_checks([check for name in ALGORITHMS for check in algorithm_checks(name)])
def test_our_algorithms_keep_the_contract(check):
    check()


@pytest.mark.filterwarnings("ignore::harness.testing.ConformanceWarning")  # Gymnasium's own, of its environments
@parametrize_with_checks(plugin_checks("environments"))
def test_our_environments_keep_the_contract(check):
    check()


@parametrize_with_checks(suite_checks("harness/quickstart"))
def test_the_first_suite_can_be_run(check):
    check()
