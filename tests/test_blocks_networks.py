"""Stacked networks against S separate torch networks, and what a seed's network depends on."""

import pytest
import torch

from harness_algorithms.blocks.networks import StackedMLP, copy_, frozen_copy, stacked_mlp

SIZES = (3, 7, 5, 2)
SEEDS, BATCH = 4, 6


def generators(seeds=range(SEEDS)):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def separate_networks(network: StackedMLP, num_seeds=SEEDS) -> list[torch.nn.Sequential]:
    """The same networks, one by one, as `torch.nn` would have them."""
    networks = []
    for seed in range(num_seeds):
        layers = []
        for weight, bias in zip(network.weights, network.biases, strict=True):
            linear = torch.nn.Linear(weight.shape[2], weight.shape[1])
            with torch.no_grad():
                linear.weight.copy_(weight[seed])
                linear.bias.copy_(bias[seed, :, 0])
            layers += [linear, torch.nn.ReLU()]
        networks.append(torch.nn.Sequential(*layers[:-1]))
    return networks


def test_a_stack_equals_separate_torch_networks():
    network, x = stacked_mlp(SIZES, generators()), torch.randn(SEEDS, BATCH, 3)
    expected = torch.stack([net(row) for net, row in zip(separate_networks(network), x, strict=True)])

    torch.testing.assert_close(network(x), expected, atol=1e-6, rtol=0)


def test_its_autograd_gradients_equal_those_of_separate_torch_networks():
    network, x = stacked_mlp(SIZES, generators()), torch.randn(SEEDS, BATCH, 3)
    network(x).square().mean((1, 2)).sum().backward()

    for seed, net in enumerate(separate_networks(network)):
        net(x[seed]).square().mean().backward()
        for layer, linear in enumerate(net[::2]):
            for ours, theirs in [(network.weights, linear.weight), (network.biases, linear.bias)]:
                expected = theirs.grad.reshape(ours[layer].shape[1:])
                torch.testing.assert_close(ours[layer].grad[seed], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("sizes", [SIZES, (3, 2), (3, 9, 8, 7, 2)])
def test_gradients_by_hand_equal_those_of_autograd(sizes):
    network, x = stacked_mlp(sizes, generators()), torch.randn(SEEDS, BATCH, 3)
    network.biases[0].data[:] = -0.1  # some units are off
    slope = torch.randn(SEEDS, BATCH, 2)
    (network(x) * slope).sum().backward()
    expected = [parameter.grad for parameter in network.parameters]
    with torch.no_grad():
        activations = network.activations(x)
    network.backward_(activations, slope)

    for parameter, gradient in zip(network.parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=0)
        assert parameter.grad.shape == parameter.shape


def test_gradients_by_hand_replace_earlier_ones():
    network, x = stacked_mlp(SIZES, generators()), torch.randn(SEEDS, BATCH, 3)
    gradients = []
    for _ in range(2):
        with torch.no_grad():
            network.backward_(network.activations(x), torch.ones(SEEDS, BATCH, 2))
        gradients.append([parameter.grad for parameter in network.parameters])

    assert all(map(torch.equal, *gradients))


def test_a_seeds_initial_network_depends_on_its_own_generator_alone():
    together, alone = stacked_mlp(SIZES, generators()), stacked_mlp(SIZES, generators([2]))

    for many, one in zip(together.parameters, alone.parameters, strict=True):
        assert torch.equal(many[2:3], one)


def test_every_seed_has_its_own_initial_network():
    for parameter in stacked_mlp(SIZES, generators()).parameters:
        assert len({tuple(row.flatten().tolist()) for row in parameter}) == SEEDS


def test_initial_parameters_fill_the_range_of_torch_linear():
    for parameter in stacked_mlp((400, 1_000), generators([0])).parameters:
        assert parameter.abs().max() <= 1 / 20
        assert parameter.std().item() == pytest.approx(1 / 20 / 3**0.5, rel=0.1)  # of U(−1/20, 1/20)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_observations_of_any_shape_are_flattened(dtype):
    network, x = stacked_mlp((6, 4, 2), generators()), torch.randint(0, 255, (SEEDS, BATCH, 2, 3)).to(dtype)

    assert torch.equal(network(x), network(x.reshape(SEEDS, BATCH, 6).float()))


def test_a_network_without_hidden_layers_is_affine():
    network, x = stacked_mlp((3, 2), generators()), torch.randn(SEEDS, BATCH, 3)

    torch.testing.assert_close(network(x), x @ network.weights[0].mT + network.biases[0].mT)


def test_a_frozen_copy_keeps_still_until_it_is_copied_to():
    network = stacked_mlp(SIZES, generators())
    frozen, x = frozen_copy(network), torch.randn(SEEDS, BATCH, 3)
    before = frozen(x)
    assert torch.equal(before, network(x))
    assert not before.requires_grad

    with torch.no_grad():
        for parameter in network.parameters:
            parameter += 1
    assert torch.equal(frozen(x), before)

    copy_(frozen, network)
    assert torch.equal(frozen(x), network(x))
    assert all(new is not old for new, old in zip(frozen.parameters, network.parameters, strict=True))
