"""Losses and their gradients: numbers by hand."""

import pytest
import torch

from harness_algorithms.blocks.losses import huber, huber_gradient, quantile_huber


def test_huber_and_its_gradient_by_hand():
    error = torch.tensor([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0], requires_grad=True)
    huber(error).sum().backward()

    assert huber(error).tolist() == [2.5, 0.5, 0.125, 0, 0.125, 0.5, 1.5]
    assert error.grad.tolist() == huber_gradient(error).tolist() == [-1, -1, -0.5, 0, 0.5, 1, 1]


def test_without_a_threshold_or_below_it_huber_is_half_the_squared_error():
    error = torch.tensor([-30.0, 2.0, 3.0])

    assert huber(error, threshold=None).tolist() == huber(error, threshold=1e6).tolist() == [450, 2, 4.5]
    assert huber_gradient(error, threshold=None).tolist() == [-30, 2, 3]
    assert huber(error, threshold=2.0).tolist() == [58, 2, 4]


def test_quantile_huber_by_hand():
    error = torch.tensor([[[[-3.0, 0.5], [0.0, 2.0]]]])  # [S, B, predictions, targets]
    quantiles = torch.tensor([0.25, 0.75])

    # |0.25 − 1| 2.5, 0.25 × 0.125; 0, 0.75 × 1.5
    assert quantile_huber(error, quantiles).tolist() == [[[[1.875, 0.03125], [0.0, 1.125]]]]
    # with κ = 2: 0.75 × 2 (3 − 1), 0.25 × 0.125; 0, 0.75 × 2
    assert quantile_huber(error, quantiles, 2.0).tolist() == [[[[3.0, 0.03125], [0.0, 1.5]]]]


@pytest.mark.parametrize("seed", range(3))
def test_quantile_huber_is_its_definition(seed):
    generator = torch.Generator().manual_seed(seed)
    error = 2 * torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    quantiles = (torch.arange(4).double() + 0.5) / 4
    loss = quantile_huber(error, quantiles, 0.7)
    for position in torch.cartesian_prod(*map(torch.arange, error.shape)).tolist():
        e, tau = float(error[tuple(position)]), float(quantiles[position[2]])
        smooth = e**2 / 2 if abs(e) <= 0.7 else 0.7 * (abs(e) - 0.35)
        assert float(loss[tuple(position)]) == pytest.approx(abs(tau - (e < 0)) * smooth)


def test_predictions_that_minimise_quantile_huber_are_the_quantiles():
    targets = torch.linspace(0, 100, 1001, dtype=torch.float64)  # wide beside κ = 1
    quantiles = torch.tensor([0.1, 0.5, 0.9]).double()
    grid = torch.linspace(0, 100, 401, dtype=torch.float64)
    losses = torch.stack([quantile_huber(targets - z.expand(3, 1), quantiles).mean(1) for z in grid])

    assert grid[losses.argmin(0)].tolist() == pytest.approx([10, 50, 90], abs=0.5)
