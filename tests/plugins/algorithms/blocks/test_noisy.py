"""Noisy perceptrons against `torch.nn` with the noise put in by hand, and the statistics of factorised noise."""

import math

import pytest
import torch

from harness_algorithms.blocks.networks import StackedMLP, stacked_mlp
from harness_algorithms.blocks.noisy import NoisyMLP, noisy_mlp

SIZES = (3, 5, 2)
SEEDS, BATCH = 3, 4


def generators(seeds=range(SEEDS)):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def noise_of(network: NoisyMLP, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(network.flat), network.noise_size, generator=generator)


def published(network: NoisyMLP, seed: int, noise: torch.Tensor) -> tuple[torch.Tensor, list]:
    """Equations 8 to 11 layer by layer, for a batch of ones: output, and (μ, σ) leaves of every layer."""
    means, scales = (StackedMLP(network.sizes, part.detach(), "relu") for part in network.flat.unbind(1))
    x, at, leaves = torch.ones(BATCH, network.sizes[0]), 0, []
    for i in range(len(means.weights)):
        outputs, inputs = means.weights[i].shape[1:]
        entering, leaving = noise[seed, at : at + inputs], noise[seed, at + inputs : at + inputs + outputs]
        at += inputs + outputs
        entering, leaving = (n.sign() * n.abs().sqrt() for n in (entering, leaving))
        layer = [part[i][seed].clone() for part in (means.weights, scales.weights)]
        layer += [part[i][seed, :, 0].clone() for part in (means.biases, scales.biases)]
        weight_mean, weight_scale, bias_mean, bias_scale = (leaf.requires_grad_() for leaf in layer)
        x = torch.nn.functional.linear(
            x, weight_mean + weight_scale * torch.outer(leaving, entering), bias_mean + bias_scale * leaving
        )
        x = x.relu() if i < len(means.weights) - 1 else x
        leaves.append(layer)
    return x, leaves


def test_outputs_and_gradients_equal_separate_torch_layers_with_the_published_noise():
    network = noisy_mlp(SIZES, generators())
    noise, slope = noise_of(network), torch.randn(SEEDS, BATCH, SIZES[-1])
    output = network(torch.ones(SEEDS, BATCH, SIZES[0]), noise)
    (output * slope).sum().backward()

    for seed in range(SEEDS):
        expected, leaves = published(network, seed, noise)
        (expected * slope[seed]).sum().backward()
        gradients = [
            torch.cat([leaf.grad.flatten() for layer in leaves for leaf in (layer[part], layer[part + 2])])
            for part in (0, 1)
        ]
        torch.testing.assert_close(output[seed], expected)
        torch.testing.assert_close(network.flat.grad[seed], torch.stack(gradients))


@pytest.mark.parametrize("noise", [None, torch.zeros(SEEDS, 3 + 5 + 5 + 2)])
def test_without_noise_it_is_the_plain_perceptron_of_the_means(noise):
    network = noisy_mlp(SIZES, generators())
    x = torch.randn(SEEDS, BATCH, SIZES[0])

    torch.testing.assert_close(network(x, noise), StackedMLP(SIZES, network.flat[:, 0].detach())(x))


def test_means_start_as_a_plain_perceptron_and_scales_at_the_published_constant():
    network = noisy_mlp(SIZES, generators(), scale=0.4)
    scales = StackedMLP(SIZES, network.flat[:, 1].detach())

    assert torch.equal(network.flat[:, 0], stacked_mlp(SIZES, generators()).flat)
    for inputs, weight, bias in zip(SIZES, scales.weights, scales.biases, strict=False):
        torch.testing.assert_close(weight, torch.full_like(weight, 0.4 / math.sqrt(inputs)))
        torch.testing.assert_close(bias, torch.full_like(bias, 0.4 / math.sqrt(inputs)))


def test_factorised_noise_has_the_moments_of_its_factors():
    draws = 40_000
    network = NoisyMLP((2, 3), torch.zeros(draws, 2, 9))
    noise = network.factorised(noise_of(network))
    weights, biases = noise[:, :6].unflatten(1, (3, 2)), noise[:, 6:]
    absolute = math.sqrt(2 / math.pi)  # E|x| of a normal number, which is E f(x)²

    assert noise.mean(0).abs().max() < 0.03
    torch.testing.assert_close(weights.square().mean(0), torch.full((3, 2), absolute**2), atol=0.03, rtol=0)
    torch.testing.assert_close(biases.square().mean(0), torch.full((3,), absolute), atol=0.03, rtol=0)
    # A matrix of rank 1, unlike independent noise
    minors = weights[:, 0, 0] * weights[:, 1, 1] - weights[:, 0, 1] * weights[:, 1, 0]
    assert minors.abs().max() < 1e-5


def test_noise_is_one_per_seed_and_pass_and_shared_by_the_batch():
    network = noisy_mlp(SIZES, generators((7, 7)))  # the same parameters twice
    x = torch.ones(2, BATCH, SIZES[0])
    first, second = network(x, noise_of(network, 0)), network(x, noise_of(network, 1))

    assert torch.equal(first[:, :1].expand_as(first), first)
    assert not torch.allclose(first[0], first[1])
    assert not torch.allclose(first, second)


def test_a_seed_does_not_depend_on_the_seeds_beside_it():
    together, alone = noisy_mlp(SIZES, generators()), noisy_mlp(SIZES, generators((1,)))
    noise, x = noise_of(together), torch.randn(SEEDS, BATCH, SIZES[0])
    together(x, noise)[1].sum().backward()
    alone(x[1:2], noise[1:2]).sum().backward()

    assert torch.equal(together.flat[1:2], alone.flat)
    torch.testing.assert_close(together.flat.grad[1:2], alone.flat.grad)
    assert not together.flat.grad[[0, 2]].any()


def test_a_copy_has_parameters_of_its_own_that_do_not_learn():
    network = noisy_mlp(SIZES, generators())
    copy = network.copy()
    with torch.no_grad():
        network.flat += 1

    assert not copy.flat.requires_grad
    torch.testing.assert_close(copy.flat + 1, network.flat.detach())
