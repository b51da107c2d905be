"""Moments merged from parts are those of the whole; what does not vary is left as large as it is."""

import pytest
import torch

from harness_algorithms.blocks.moments import merged, moments_of, nothing

SEEDS, FEATURES = 2, 3


@pytest.mark.parametrize("sizes", [(1, 7), (4, 4), (5, 2, 9)])
def test_the_moments_of_parts_merged_are_those_of_all_their_numbers(sizes):
    x = 100 + torch.randn(SEEDS, sum(sizes), FEATURES, generator=torch.Generator().manual_seed(0))
    found = merged(nothing(SEEDS, FEATURES), *(moments_of(part) for part in x.split(sizes, 1)))

    torch.testing.assert_close(found.scale.mean, x.mean(1, keepdim=True))
    torch.testing.assert_close(found.scale.deviation, x.std(1, correction=0, keepdim=True), atol=1e-5, rtol=1e-5)
    seen = found.scale.of(x)
    torch.testing.assert_close(seen.square().mean(1), torch.ones(SEEDS, FEATURES), atol=1e-4, rtol=0)


@pytest.mark.parametrize("number", [1.0, 0.1, -16.27])
def test_numbers_that_do_not_vary_have_deviation_1(number):
    found = moments_of(torch.full((SEEDS, 37, 1), number))

    assert torch.equal(found.scale.deviation, torch.ones(SEEDS, 1, 1))
    torch.testing.assert_close(found.scale.of(torch.full((SEEDS, 1, 1), number)), torch.zeros(SEEDS, 1, 1))


def test_of_no_numbers_things_are_seen_as_they_are():
    x = torch.arange(6.0).view(1, 2, 3)

    assert torch.equal(nothing(1, 3).scale.of(x), x)
