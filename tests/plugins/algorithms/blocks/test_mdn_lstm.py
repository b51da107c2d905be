"""The mixture-density memory: likelihood against a slow oracle, temperature, ends, and the scale of its loss."""

import math

import pytest
import torch

from harness_algorithms.blocks.mdn_lstm import Mixture, cooled, mdn_lstm, negative_log_likelihood, sample


def mixture(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Mixture(*(torch.randn(*shape, generator=generator, dtype=torch.float64) for _ in range(3)))


def test_the_likelihood_is_that_of_a_sum_over_components():
    given = mixture(2, 3, 4)
    value = torch.tensor([[0.1, -0.5, 2.0], [0.0, 1.0, -1.0]], dtype=torch.float64)
    for row in range(2):
        expected = 0.0
        for d in range(3):
            weights = [math.exp(x) for x in given.logits[row, d].tolist()]
            density = 0.0
            for k in range(4):
                mean, std = given.mean[row, d, k].item(), math.exp(given.log_std[row, d, k].item())
                normal = math.exp(-(((value[row, d].item() - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))
                density += weights[k] / sum(weights) * normal
            expected -= math.log(density)
        assert negative_log_likelihood(given, value)[row].item() == pytest.approx(expected, rel=1e-12)


def test_a_value_far_from_every_component_has_a_finite_likelihood():
    assert negative_log_likelihood(mixture(1, 1, 3), torch.full((1, 1), 1e6, dtype=torch.float64)).isfinite().all()


def test_temperature_divides_logits_and_multiplies_sigma_by_its_root():
    given = mixture(2, 3, 4)
    warm = cooled(given, 4.0)
    assert torch.allclose(warm.logits, given.logits / 4)
    assert torch.allclose(warm.log_std.exp(), 2 * given.log_std.exp())
    assert torch.equal(warm.mean, given.mean)


def test_samples_have_the_mean_and_variance_of_the_mixture():
    given = mixture(1, 1, 3, seed=3)
    generator = torch.Generator().manual_seed(1)
    uniform = torch.rand(200_000, 1, generator=generator, dtype=torch.float64)
    normal = torch.randn(200_000, 1, generator=generator, dtype=torch.float64)
    drawn = sample(Mixture(*(x[0].expand(200_000, 1, 3) for x in given)), uniform, normal)
    weight, mean, std = given.logits.softmax(-1), given.mean, given.log_std.exp()
    first = (weight * mean).sum().item()
    second = (weight * (mean**2 + std**2)).sum().item() - first**2
    assert drawn.mean().item() == pytest.approx(first, abs=4 * math.sqrt(second / 200_000))
    assert drawn.var().item() == pytest.approx(second, rel=0.05)


def sequences(size, steps=6):
    generator = torch.Generator().manual_seed(0)
    z, change = (torch.randn(steps, 1, 2, size, generator=generator) for _ in range(2))
    action = torch.nn.functional.one_hot(torch.zeros(steps, 1, 2, dtype=torch.int64), 2).float()
    return z, action, change, torch.ones(steps, 1, 2), torch.zeros(steps, 1, 2), torch.zeros(steps, 1, 2).bool()


def model(size):
    return mdn_lstm(size, 2, 5, 3, [torch.Generator().manual_seed(1)])


def test_the_memory_is_emptied_where_an_episode_ended():
    m, (z, action, change, reward, end, ended) = model(2), sequences(2)
    ended[2] = True
    halves = [m.loss(*(x[part] for x in (z, action, change, reward, end, ended))) for part in (slice(3), slice(3, 6))]
    whole = m.loss(z, action, change, reward, end, ended)
    assert torch.allclose(whole, (halves[0] + halves[1]) / 2)
    ended[2] = False
    assert not torch.allclose(whole, m.loss(z, action, change, reward, end, ended))


def test_the_loss_does_not_grow_with_the_size_of_z():
    m = model(4)
    with torch.no_grad():
        m.head.flat.zero_()  # every element has the same mixture, N(0, 1)
    z, action, change, reward, end, ended = sequences(4)
    got = m.loss(z, action, torch.zeros_like(change), reward, end, ended).item()
    assert got == pytest.approx((4 * 0.5 * math.log(2 * math.pi) + 1 + math.log(2)) / 6, rel=1e-5)


def test_an_end_weighs_ten_times_what_a_step_without_one_does():
    m = model(1)
    with torch.no_grad():
        m.head.flat.zero_()
    z, action, change, reward, end, ended = sequences(1)
    without = m.loss(z, action, change, reward, end, ended)
    extra = m.loss(z, action, change, reward, end + 1, ended) - without
    assert extra.item() == pytest.approx(9 * math.log(2) / 3, rel=1e-5)
