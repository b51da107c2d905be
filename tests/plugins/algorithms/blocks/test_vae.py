"""Variational autoencoders: the divergence, the way back of the decoder, gradients, and seeds that stay apart."""

import gymnasium
import numpy as np
import pytest
import torch

from harness_algorithms.blocks.environment_model import Sight
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.vae import Code, kl_from_standard, vae


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def sight(*shape):
    return Sight(gymnasium.spaces.Box(0, 255, shape, np.uint8))


def frames(*shape, seed=0):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def normals(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_divergence_is_that_of_torch():
    mean, log_std = normals(2, 3, 4).double(), normals(2, 3, 4, seed=1).double()
    law = torch.distributions.Normal(mean, log_std.exp())
    expected = torch.distributions.kl_divergence(law, torch.distributions.Normal(0.0, 1.0)).sum(-1)
    assert torch.allclose(kl_from_standard(Code(mean, log_std.exp())), expected, rtol=1e-12)


def test_a_draw_is_the_mean_and_so_many_deviations_and_gradients_reach_both():
    mean, std = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([0.5, 3.0], requires_grad=True)
    drawn = Code(mean, std).drawn(torch.tensor([2.0, -1.0]))
    drawn.sum().backward()
    assert drawn.tolist() == [2.0, -1.0]
    assert mean.grad.tolist() == [1.0, 1.0]
    assert std.grad.tolist() == [2.0, -1.0]


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 64, 64), (64, 64, 3), (2, 10, 10), (1, 21, 11), (1, 3, 4)])
def test_frames_come_back_in_their_size(shape):
    model = vae(sight(*shape), 2, 5, generators(0, 1))
    given = frames(2, 3, *shape)
    code = model.encode(given)
    assert code.mean.shape == code.std.shape == (2, 3, 5)
    channels, *sides = shape if shape[2] > 3 else (shape[2], *shape[:2])
    assert model.decode(code.mean).shape == (2, 3, channels, *sides)


def test_frames_of_64_pixels_are_halved_four_times_and_channels_double_from_32_as_published():
    model = vae(sight(64, 64, 3), 32, 32, generators(0))
    assert [layer.channels for layer in model.encoder.layers] == [32, 64, 128, 256]
    assert model.decoder.channels == (256, 128, 64, 32, 3)
    assert model.decoder.sides == ((4, 4), (8, 8), (16, 16), (32, 32), (64, 64))


def separate(model, row, x, normal):
    """The loss of one seed, by layers of `torch.nn.functional`; x is [B, 1, H, W] in [0, 1]."""
    conv = torch.nn.functional
    parts = [part[row] for part in model.encoder.layers_of(model.encoder.flat)]
    y = x
    for weight, bias in zip(parts[::2], parts[1::2], strict=True):
        y = conv.conv2d(y, weight, bias, 2, 1).relu()
    (weight,), (bias,) = model.to_code.layers_of(model.to_code.flat)
    mean, log_std = (y.flatten(1) @ weight[row].T + bias[row, :, 0]).chunk(2, 1)
    z = mean + log_std.exp() * normal
    (weight,), (bias,) = model.from_code.layers_of(model.from_code.flat)
    y = (z @ weight[row].T + bias[row, :, 0]).relu().view_as(y)
    parts = [part[row] for part in model.decoder.layers_of(model.decoder.flat)]
    for i in range(0, len(parts), 2):
        y = conv.conv_transpose2d(y, parts[i], parts[i + 1], 2, 1)
        y = y.relu() if i + 2 < len(parts) else y
    entropy = conv.binary_cross_entropy_with_logits(y, x, reduction="none").sum((1, 2, 3)).mean()
    law = torch.distributions.Normal(mean, log_std.exp())
    return entropy + torch.distributions.kl_divergence(law, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()


def test_loss_and_gradients_are_those_of_separate_networks_and_no_seed_s_reach_another():
    model, given, normal = vae(sight(1, 16, 16), 4, 3, generators(0, 1)), frames(2, 5, 1, 16, 16), normals(2, 5, 3)
    total = sum(model.loss(given, normal))
    for row in range(2):
        got = torch.autograd.grad(total[row], model.parameters, retain_graph=True)
        loss = separate(model, row, given[row].float() / 255, normal[row])
        assert total[row].item() == pytest.approx(loss.item(), rel=1e-5)
        for gradient, expected in zip(got, torch.autograd.grad(loss, model.parameters), strict=True):
            torch.testing.assert_close(gradient, expected, atol=1e-4, rtol=1e-4)
            assert gradient[row].any()
            assert not gradient[1 - row].any()


def test_a_seed_s_network_depends_on_its_own_generator_alone():
    both, alone = (vae(sight(1, 16, 16), 4, 3, generators(*seeds)) for seeds in ((0, 1), (1,)))
    for together, one in zip(both.parameters, alone.parameters, strict=True):
        assert torch.equal(together[1], one[0])


def test_what_is_lost_of_a_few_frames_falls_and_what_is_lit_is_seen_again():
    dots = torch.zeros(1, 8, 1, 16, 16, dtype=torch.uint8)
    for i in range(8):
        dots[0, i, 0, 2 * i : 2 * i + 2, 4:12] = 255
    model = vae(sight(1, 16, 16), 8, 4, generators(0))
    optimizer, generator, lost = adam(model.parameters, 3e-3), torch.Generator().manual_seed(1), []
    for _ in range(200):
        entropy, divergence = model.loss(dots, torch.randn(1, 8, 4, generator=generator))
        descend(optimizer, entropy + divergence)
        lost.append(entropy.item())
    assert lost[-1] < 0.3 * lost[0]
    seen = model.decode(model.encode(dots).mean) > 0
    assert (seen == (dots > 0)).float().mean() > 0.95
