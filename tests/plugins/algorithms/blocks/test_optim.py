"""Losses and optimisation with a seed axis: every seed as if it were alone."""

import pytest
import torch

from harness_algorithms.blocks.losses import huber, huber_gradient
from harness_algorithms.blocks.optim import adam, clip_gradients_, selected


def parameters():
    """Two parameters of three seeds whose gradients have norms 5, 0.5 and 0."""
    first, second = torch.zeros(3, 2, requires_grad=True), torch.zeros(3, 1, 2, requires_grad=True)
    first.grad = torch.tensor([[3.0, 0.0], [0.0, 0.3], [0.0, 0.0]])
    second.grad = torch.tensor([[[0.0, 4.0]], [[0.4, 0.0]], [[0.0, 0.0]]])
    return first, second


def test_huber_is_quadratic_up_to_one_and_linear_beyond():
    error = torch.tensor([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0])

    assert huber(error).tolist() == [2.5, 0.5, 0.125, 0.0, 0.125, 0.5, 2.5]


def test_the_gradient_of_huber_is_its_derivative():
    error = torch.linspace(-3, 3, 25, requires_grad=True)
    huber(error).sum().backward()

    assert torch.equal(huber_gradient(error.detach()), error.grad)


def test_each_seeds_gradient_is_clipped_by_its_own_norm_over_all_parameters():
    first, second = parameters()

    norms = clip_gradients_([first, second], max_norm=1.0)

    assert norms.tolist() == pytest.approx([5.0, 0.5, 0.0])
    assert first.grad.flatten().tolist() == pytest.approx([0.6, 0.0, 0.0, 0.3, 0.0, 0.0])
    assert second.grad.flatten().tolist() == pytest.approx([0.0, 0.8, 0.4, 0.0, 0.0, 0.0])


def test_a_gradient_that_is_not_contiguous_is_clipped_in_place():
    parameter = torch.zeros(1, 2, 3, requires_grad=True)
    parameter.grad = torch.ones(1, 3, 2).mT

    clip_gradients_([parameter], max_norm=1.0)

    assert parameter.grad.norm().item() == pytest.approx(1.0)


@pytest.mark.parametrize("max_norm", [None, 0.1])
def test_descent_of_a_stack_equals_descent_of_every_seed_alone(max_norm):
    target = torch.randn(3, 4, 2)
    together = torch.ones(3, 4, 2, requires_grad=True)
    alone = [torch.ones(4, 2, requires_grad=True) for _ in range(3)]
    optimizer = adam([together], 0.1)
    optimizers = [torch.optim.Adam([parameter], 0.1) for parameter in alone]

    for _ in range(5):
        optimizer.zero_grad()
        huber(together - target).mean((1, 2)).sum().backward()
        if max_norm is not None:
            clip_gradients_([together], max_norm)
        optimizer.step()
        for seed, parameter in enumerate(alone):
            optimizers[seed].zero_grad()
            huber(parameter - target[seed]).mean().backward()
            if max_norm is not None:
                torch.nn.utils.clip_grad_norm_([parameter], max_norm)
            optimizers[seed].step()

    torch.testing.assert_close(together.detach(), torch.stack(alone).detach(), atol=1e-5, rtol=0)


def test_a_seeds_descent_has_the_same_bits_in_every_row_of_every_stack():
    slopes = torch.randn(10, 5, 3, 37)
    scalars = torch.randn(10, 5, 1)

    def of(rows):
        learning = [torch.zeros(len(rows), 3, 37, requires_grad=True), torch.zeros(len(rows), 1, requires_grad=True)]
        optimizer = adam(learning, 0.01)
        for slope, scalar in zip(slopes, scalars, strict=True):
            learning[0].grad, learning[1].grad = slope[rows].clone(), scalar[rows].clone()
            clip_gradients_(learning, 1.0)
            optimizer.step()
        return [parameter.detach() for parameter in learning]

    stacked = of([0, 1, 2, 3, 4])
    for rows in ([4], [0], [4, 2]):
        for alone, among in zip(of(rows), stacked, strict=True):
            assert torch.equal(alone, among[rows])


def test_selected_rows_go_on_as_they_would_have_among_all():
    slopes, scalars = torch.randn(6, 4, 7), torch.randn(6, 4, 1)

    def step(parameters, optimizer, k, rows):
        parameters[0].grad, parameters[1].grad = slopes[k][rows].clone(), scalars[k][rows].clone()
        optimizer.step()

    learning = [torch.zeros(4, 7, requires_grad=True), torch.zeros(4, 1, requires_grad=True)]
    optimizer, every = adam(learning, 0.01), torch.ones(4, dtype=torch.bool)
    which = torch.tensor([False, True, False, True])
    for k in range(3):
        step(learning, optimizer, k, every)
    kept, others = selected(optimizer, learning, which)
    for k in range(3, 6):
        step(learning, optimizer, k, every)
        step(kept, others, k, which)
    for among, alone in zip(learning, kept, strict=True):
        assert torch.equal(among[which], alone)
