"""CMA-ES by the `cma` library: what it finds, and that seeds are apart."""

import numpy as np
import torch

from harness_algorithms.blocks.cma import Evolution


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def evolved(seeds, generations):
    evolution = Evolution(3, 0.5, 8, generators(*seeds))
    goal = torch.tensor([1.0, -2.0, 0.5])
    for _ in range(generations):
        evolution.tell(-(evolution.ask() - goal).square().sum(2))
    return evolution.mean()


def test_the_mean_comes_to_the_maximum():
    assert torch.allclose(evolved((1, 2), 60), torch.tensor([1.0, -2.0, 0.5]), atol=0.01)


def test_a_seed_evolves_as_if_it_were_alone():
    assert torch.equal(evolved((1, 2), 5)[1:], evolved((2,), 5))


def test_numpys_global_stream_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    evolved((1,), 2)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
