"""Stacked networks against S separate torch networks, and what a seed's network depends on."""

import itertools
import math
import pkgutil
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch

import harness_algorithms
from harness_algorithms import dueling_dqn, rainbow
from harness_algorithms.blocks.convolutions import frames_of, stacked_network, stacked_torso
from harness_algorithms.blocks.critics import stacked_critic
from harness_algorithms.blocks.networks import (
    StackedMLP,
    copy_,
    frozen,
    frozen_copy,
    orthogonal,
    polyak_update_,
    product,
    stacked_mlp,
    tanh_,
)
from harness_algorithms.blocks.policies import stochastic_policy

SIZES = (3, 7, 5, 2)
SEEDS, BATCH = 4, 6
LAYERS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
FRAMES = gymnasium.spaces.Box(0, 255, (2, 10, 12), np.uint8)


def generators(seeds=range(SEEDS)):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def separate_networks(network: StackedMLP) -> list[torch.nn.Sequential]:
    """The same networks, one by one, as `torch.nn` would have them; the members of a seed follow each other."""
    networks = []
    for row in range(len(network.weights[0])):
        layers = []
        for weight, bias in zip(network.weights, network.biases, strict=True):
            linear = torch.nn.Linear(weight.shape[2], weight.shape[1])
            with torch.no_grad():
                linear.weight.copy_(weight[row])
                linear.bias.copy_(bias[row, :, 0])
            layers += [linear, LAYERS[network.activation]()]
        networks.append(torch.nn.Sequential(*layers[:-1]))
    return networks


def flat_gradient(net: torch.nn.Sequential) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in net.parameters()])


@pytest.mark.parametrize("activation", LAYERS)
@pytest.mark.parametrize("sizes", [SIZES, (3, 2), (3, 9, 8, 7, 2)])
def test_a_stack_and_its_gradients_equal_separate_torch_networks(sizes, activation):
    network = stacked_mlp(sizes, generators(), activation)
    network.biases[0][:] -= 0.1  # some units are off
    x = torch.randn(SEEDS, BATCH, 3, requires_grad=True)
    slope = torch.randn(SEEDS, BATCH, 2)
    (network(x) * slope).sum().backward()

    for seed, net in enumerate(separate_networks(network)):
        row = x[seed].detach().requires_grad_()
        output = net(row)
        (output * slope[seed]).sum().backward()
        torch.testing.assert_close(network(x)[seed], output, atol=1e-6, rtol=0)
        torch.testing.assert_close(network.flat.grad[seed], flat_gradient(net), atol=1e-5, rtol=0)
        torch.testing.assert_close(x.grad[seed], row.grad, atol=1e-5, rtol=0)


def test_members_of_a_seed_are_separate_networks_of_one_input():
    network = stacked_mlp(SIZES, generators(), members=2)
    x = torch.randn(SEEDS, BATCH, 3, requires_grad=True)
    output = network(x)
    slope = torch.randn_like(output)
    (output * slope).sum().backward()
    rows = x.detach().requires_grad_()
    separate = separate_networks(network)
    expected = torch.stack([net(rows[i // 2]) for i, net in enumerate(separate)]).unflatten(0, (SEEDS, 2))
    (expected * slope).sum().backward()

    assert output.shape == (SEEDS, 2, BATCH, 2)
    torch.testing.assert_close(output, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(x.grad, rows.grad, atol=1e-5, rtol=0)
    gradients = torch.stack([flat_gradient(net) for net in separate]).view(SEEDS, -1)
    torch.testing.assert_close(network.flat.grad, gradients, atol=1e-5, rtol=0)


def networks():
    """A perceptron, an ensemble and a convolutional network, each with an input."""
    yield stacked_mlp(SIZES, generators()), torch.randn(SEEDS, BATCH, 3)
    yield stacked_mlp(SIZES, generators(), "tanh", members=3), torch.randn(SEEDS, BATCH, 3)
    yield (
        stacked_network(FRAMES, (5,), 2, generators()),
        torch.randint(0, 256, (SEEDS, BATCH, *FRAMES.shape), dtype=torch.uint8),
    )


@pytest.mark.parametrize("case", range(3))
def test_gradients_from_the_record_equal_those_of_autograd(case):
    network, x = list(networks())[case]
    output = network(x)
    slope = torch.randn_like(output)
    (output * slope).sum().backward()
    expected = [parameter.grad for parameter in network.parameters]
    for _ in range(2):  # gradients by hand replace earlier ones
        recorded, tape = network.record(x)
        network.backward_(tape, slope)

    assert torch.equal(recorded, output)
    assert not recorded.requires_grad
    for parameter, gradient in zip(network.parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=0)


def test_two_passes_through_one_network_add_their_gradients():
    network, x = stacked_mlp(SIZES, generators()), torch.randn(SEEDS, BATCH, 3)
    network(x).sum().backward()
    once = network.flat.grad.clone()
    network.flat.grad = None
    (network(x).sum() + network(x).sum()).backward()

    torch.testing.assert_close(network.flat.grad, 2 * once)


def test_a_frozen_network_lets_gradients_through_and_keeps_none():
    network, x = stacked_mlp(SIZES, generators()), torch.randn(SEEDS, BATCH, 3, requires_grad=True)
    network(x).sum().backward()
    expected, x.grad, network.flat.grad = x.grad, None, None
    with frozen(network):
        network(x).sum().backward()

    assert network.flat.grad is None
    assert network.flat.requires_grad
    torch.testing.assert_close(x.grad, expected)


def test_a_convolutional_stack_equals_separate_torch_networks():
    network = stacked_network(FRAMES, (5,), 2, generators())
    x = torch.randint(0, 256, (SEEDS, BATCH, *FRAMES.shape), dtype=torch.uint8)
    output = network(x)
    slope = torch.randn_like(output)
    (output * slope).sum().backward()
    weight, bias = network.torso.layers_of(network.torso.flat.detach())
    heads = separate_networks(network.head)

    for seed in range(SEEDS):
        conv = torch.nn.Conv2d(2, 16, 3)
        with torch.no_grad():
            conv.weight.copy_(weight[seed])
            conv.bias.copy_(bias[seed])
        net = torch.nn.Sequential(conv, torch.nn.ReLU(), torch.nn.Flatten(), heads[seed])
        expected = net(x[seed].float() / 255)
        (expected * slope[seed]).sum().backward()
        torch.testing.assert_close(output[seed], expected, atol=1e-5, rtol=0)
        gradient = torch.cat([conv.weight.grad.flatten(), conv.bias.grad])
        torch.testing.assert_close(network.torso.flat.grad[seed], gradient, atol=1e-4, rtol=0)
        torch.testing.assert_close(network.head.flat.grad[seed], flat_gradient(heads[seed]), atol=1e-4, rtol=0)


def bytes_of(*shape):
    return gymnasium.spaces.Box(0, 255, shape, np.uint8)


def test_frames_of_84_pixels_get_the_network_of_nature():
    torso, features = stacked_torso(bytes_of(4, 84, 84), generators([0]))

    assert torso(torch.zeros(1, 2, 4, 84, 84)).shape == (1, 2, features) == (1, 2, 64 * 7 * 7)


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (bytes_of(4, 84, 83), (4, [84, 83], False, 255)),
        (bytes_of(96, 95, 3), (3, [96, 95], True, 255)),
        (gymnasium.spaces.Box(0, 1, (10, 10, 7), np.bool_), (7, [10, 10], True, 1)),
        (bytes_of(10), None),
        (bytes_of(6, 7), None),
        (gymnasium.spaces.Box(0, 1, (2, 10, 10), np.float32), None),
    ],
)
def test_the_shortest_axis_of_bytes_and_booleans_is_that_of_channels(space, expected):
    assert frames_of(space) == expected


@pytest.mark.parametrize("shape", [(4, 4, 4), (10, 10, 10), (96, 3, 96), (84, 84, 100), (1, 2, 2), (4, 96, 96, 3)])
def test_bytes_that_are_no_frames_are_refused_with_the_way_out(shape):
    with pytest.raises(ValueError, match=rf"uint8 \[{', '.join(map(str, shape))}\] are no frames.* add a wrapper"):
        stacked_network(bytes_of(*shape), (5,), 2, generators())


OF_VECTORS = (  # of algorithms with models that predict no frames
    "harness_algorithms.blocks.vectors:unfit",
    "harness_algorithms.blocks.vectors:unfit_observations",
    "harness_algorithms.blocks.planning:unfit",
    "harness_algorithms.blocks.imagination:unfit",
)


@pytest.mark.parametrize(
    "spec", [spec for spec in harness_algorithms.harness_algorithms() if spec.lockstep and not spec.game]
)
def test_every_algorithm_with_a_network_says_what_it_cannot_see_before_it_runs(spec):
    said = pkgutil.resolve_name(spec.fits)

    assert "add a wrapper" in said(bytes_of(10, 10, 10), gymnasium.spaces.Discrete(2))
    frames = said(bytes_of(10, 10, 3), gymnasium.spaces.Discrete(2))
    assert ("add a wrapper" in frames) if spec.fits in OF_VECTORS else frames == ""


NETWORKS = {
    "q": lambda space, seeds: stacked_network(space, (5,), 3, generators(seeds)),
    "policy": lambda space, seeds: (
        stochastic_policy(space, gymnasium.spaces.Discrete(3), (5,), generators(seeds)).network
    ),
    "dueling": lambda space, seeds: dueling_dqn.dueling_network(space, dueling_dqn.Config(), 3, generators(seeds)),
    "rainbow": lambda space, seeds: rainbow.rainbow_network(space, rainbow.Config(), 3, generators(seeds)),
    "critic": lambda space, seeds: partial(
        stacked_critic(space, 1, (5,), generators(seeds), members=2), action=torch.ones(len(seeds), BATCH, 1)
    ),
}


@pytest.mark.parametrize("seeds", [range(SEEDS), [0]], ids=["many", "one"])
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
@pytest.mark.parametrize("sides", [(10, 12), (40, 37)])
def test_a_network_of_channels_last_is_bitwise_that_of_channels_first(make, sides, dtype, seeds):
    first, last = (gymnasium.spaces.Box(0, 1 + 254 * (dtype == np.uint8), s, dtype) for s in ((3, *sides), (*sides, 3)))
    x = torch.from_numpy(np.stack([[first.sample() for _ in range(BATCH)] for _ in seeds]))

    assert torch.equal(make(first, seeds)(x), make(last, seeds)(x.movedim(2, 4).contiguous()))


def test_booleans_go_in_as_one_and_zero():
    space = gymnasium.spaces.Box(0, 1, (2, 10, 12), np.bool_)
    x = torch.randint(0, 2, (SEEDS, BATCH, *space.shape), dtype=torch.bool)

    of_booleans, of_bytes = (stacked_network(s, (5,), 2, generators()) for s in (space, FRAMES))
    assert torch.equal(of_booleans(x), of_bytes(x.byte() * 255))


@pytest.mark.parametrize("space", [FRAMES, gymnasium.spaces.Box(0, 1, (3,), np.float32)])
def test_a_seeds_initial_network_depends_on_its_own_generator_alone(space):
    together, alone = (stacked_network(space, (5,), 2, generators(s)) for s in (range(SEEDS), [2]))

    for many, one in zip(together.parameters, alone.parameters, strict=True):
        assert torch.equal(many[2:3], one)
        assert len({tuple(row.tolist()) for row in many}) == SEEDS


def test_members_of_a_seed_start_differently():
    first, second = stacked_mlp(SIZES, generators([0]), members=2).flat.view(2, -1)

    assert not torch.equal(first, second)


def test_initial_parameters_fill_the_range_of_torch_linear():
    network = stacked_mlp((400, 1_000), generators([0]))
    for parameter in (*network.weights, *network.biases):
        assert parameter.abs().max() <= 1 / 20
        assert parameter.std().item() == pytest.approx(1 / 20 / 3**0.5, rel=0.1)  # of U(−1/20, 1/20)


def test_orthogonal_layers_have_orthogonal_rows_times_their_gain():
    network = stacked_mlp((9, 5, 2), generators([0]), initial=orthogonal(output_gain=0.01))
    gains = (math.sqrt(2), 0.01)

    for weight, bias, gain in zip(network.weights, network.biases, gains, strict=True):
        product = weight[0] @ weight[0].T
        torch.testing.assert_close(product, gain**2 * torch.eye(len(product)), atol=1e-5, rtol=0)
        assert not bias.any()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_observations_of_any_shape_are_flattened(dtype):
    network, x = stacked_mlp((6, 4, 2), generators()), torch.randint(0, 255, (SEEDS, BATCH, 2, 3)).to(dtype)

    assert torch.equal(network(x), network(x.reshape(SEEDS, BATCH, 6).float()))


@pytest.mark.parametrize("case", range(3))
def test_a_frozen_copy_keeps_still_until_it_is_copied_to(case):
    network, x = list(networks())[case]
    copy = frozen_copy(network)
    before = copy(x)
    assert torch.equal(before, network(x))
    assert not before.requires_grad

    with torch.no_grad():
        for parameter in network.parameters:
            parameter += 1
    assert torch.equal(copy(x), before)

    copy_(copy, network)
    assert torch.equal(copy(x), network(x))


def test_a_polyak_update_moves_the_target_by_its_share():
    network = stacked_mlp(SIZES, generators())
    target, old = frozen_copy(network), network.flat.detach().clone()
    with torch.no_grad():
        network.flat += 1
    polyak_update_(target, network, tau=0.1)

    torch.testing.assert_close(target.flat, old + 0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("turned", list(itertools.product((False, True), repeat=2)))
def test_a_product_has_the_same_bits_in_every_row_of_every_stack(turned, dtype):
    for m, k, n in itertools.product((1, 3, 16, 70), (1, 5, 64, 257), (1, 2, 33)):
        factors = [
            torch.randn(5, *(shape[::-1] if turn else shape), dtype=dtype)
            for shape, turn in zip(((m, k), (k, n)), turned, strict=True)
        ]

        def of(rows, factors=factors):
            a, b = (x[rows].clone().mT if turn else x[rows].clone() for x, turn in zip(factors, turned, strict=True))
            return product(a, b, torch.ones(len(rows), a.shape[1], 1, dtype=dtype)), product(a, b)

        stacked = of([0, 1, 2, 3, 4])
        for rows in ([3], [4, 3], [1, 3, 0]):
            for alone, among in zip(of(rows), stacked, strict=True):
                assert torch.equal(alone, among[rows]), (m, k, n, rows)


@pytest.mark.parametrize("count", [1, 7, 31, 32, 33, 63, 70, 350])
def test_tanh_of_a_number_does_not_depend_on_how_many_there_are(count):
    x = torch.randn(4096, generator=torch.Generator().manual_seed(0))

    assert torch.equal(tanh_(x[:count].clone()), tanh_(x.clone())[:count])
    assert torch.equal(tanh_(x[-count:].clone()), tanh_(x.clone())[-count:])


@pytest.mark.parametrize("shape", [(3, 10, 10), (4, 36, 36), (10, 10, 3), (36, 36, 4)])
def test_features_of_frames_and_their_gradients_have_the_same_bits_in_every_row_of_every_stack(shape):
    frames = torch.randint(256, (3, 4, *shape), dtype=torch.uint8)

    def of(rows):
        torso, _ = stacked_torso(bytes_of(*shape), generators(rows))
        features = torso(frames[rows])
        features.square().sum().backward()
        return features.detach(), torso.flat.grad

    stacked = of([0, 1, 2])
    for rows in ([2], [1, 2]):
        for alone, among in zip(of(rows), stacked, strict=True):
            assert torch.equal(alone, among[rows])
