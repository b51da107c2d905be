"""Distributions over actions: numbers by hand, and PyTorch's own distributions as a second opinion."""

import math

import pytest
import torch
from torch import distributions as oracle

from harness_algorithms.blocks.distributions import Categorical, DiagonalGaussian, TanhGaussian, log_tanh_slope

LARGEST = 1 - 2**-53  # of the doubles below 1
BOUNDS = torch.tensor([-1.0, -3.0, 0.1]).double(), torch.tensor([1.0, 0.5, 0.7]).double()


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gaussian(seed=0):
    return DiagonalGaussian(normal(2, 5, 3, seed=seed), 0.5 * normal(2, 1, 3, seed=seed + 100))


def squashed(seed=0, scale=1.0):
    return TanhGaussian(scale * normal(2, 5, 3, seed=seed), 0.5 * normal(2, 1, 3, seed=seed + 100), *BOUNDS)


def published(dist):
    """PyTorch's version of a squashed Gaussian: the law of tanh(u)."""
    base = oracle.Normal(dist.gaussian.mean, dist.gaussian.log_std.exp())
    squash = oracle.TransformedDistribution(base, oracle.TanhTransform(cache_size=1))
    return oracle.Independent(squash, 1)


# ---- categorical


def test_categorical_by_hand():
    pi = Categorical(torch.tensor([1.0, 2.0, 5.0]).double().log() + 7)
    uniform = Categorical(torch.zeros(3).double())

    assert pi.log_prob(torch.tensor(1)).exp() == pytest.approx(1 / 4)
    assert float(pi.entropy()) == pytest.approx(math.log(8) / 8 + math.log(4) / 4 + 5 / 8 * math.log(8 / 5))
    assert float(pi.kl(uniform)) == pytest.approx(math.log(3) - float(pi.entropy()))
    assert float(uniform.kl(pi)) == pytest.approx((math.log(8 / 3) + math.log(4 / 3) + math.log(8 / 15)) / 3)
    assert int(pi.mode) == 2


def test_categorical_agrees_with_pytorch():
    logits, others = normal(2, 7, 4), normal(2, 7, 4, seed=1)
    ours, theirs = Categorical(logits), oracle.Categorical(logits=logits)
    action = theirs.sample()

    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    torch.testing.assert_close(
        ours.kl(Categorical(others)), oracle.kl_divergence(theirs, oracle.Categorical(logits=others))
    )


@pytest.mark.parametrize(("u", "action"), [(0.0, 0), (0.124, 0), (0.126, 1), (0.374, 1), (0.376, 2), (LARGEST, 2)])
def test_a_categorical_sample_inverts_the_cumulated_probabilities(u, action):
    pi = Categorical(torch.tensor([[1.0, 2.0, 5.0]]).log())

    assert pi.sample(torch.tensor([u], dtype=torch.float64)).tolist() == [action]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_noise_samples_an_action_that_is_impossible_or_does_not_exist(dtype):
    never = torch.tensor([[True, False, True, True, False, True], [False] * 5 + [True]])
    logits = normal(300, 2, 6, dtype=dtype).masked_fill(never, -1e9)
    probabilities = Categorical(logits).log_probs.exp()
    cumulated = probabilities.double().cumsum(-1)
    for noise in (torch.zeros(300, 2), torch.full((300, 2), LARGEST), *cumulated.unbind(-1)):
        action = Categorical(logits).sample(noise.double().clamp(max=LARGEST))

        assert int(action.min()) >= 0 and int(action.max()) < 6
        assert bool((probabilities.gather(-1, action[..., None]) > 0).all())


def test_categorical_samples_have_the_stated_frequencies():
    draws = 40_000
    noise = torch.rand(draws, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = torch.bincount(Categorical(torch.tensor([1.0, 2.0, 5.0]).log().expand(draws, 3)).sample(noise))
    expected = draws * torch.tensor([1, 2, 5]) / 8

    assert float(((counts - expected) ** 2 / expected).sum()) < 13.8  # 99.9 % of χ² with 2 degrees of freedom


def test_a_categorical_entropy_and_its_gradient_stay_finite_where_probabilities_underflow():
    logits = torch.tensor([0.0, -1e4, -1e9], requires_grad=True)
    Categorical(logits).entropy().backward()

    assert bool(logits.grad.isfinite().all())


# ---- diagonal Gaussian


def test_a_gaussian_by_hand():
    one = DiagonalGaussian(torch.tensor([1.0, -2.0]), torch.tensor([2.0, 1.0]).log())
    other = DiagonalGaussian(torch.tensor([0.0, -2.0]), torch.tensor([1.0, 1.0]).log())

    assert float(one.log_prob(torch.tensor([3.0, -2.0]))) == pytest.approx(-0.5 - math.log(2) - math.log(2 * math.pi))
    assert float(one.entropy()) == pytest.approx(math.log(2) + math.log(2 * math.pi) + 1)
    assert float(one.kl(other)) == pytest.approx(-math.log(2) + (4 + 1) / 2 - 0.5)
    assert one.sample(torch.tensor([0.5, 3.0])).tolist() == pytest.approx([2.0, 1.0])
    assert one.mode.tolist() == [1.0, -2.0]


def test_a_gaussian_agrees_with_pytorch_and_sums_over_components():
    ours, other = gaussian(0), gaussian(1)

    def pytorch(dist):
        return oracle.Independent(oracle.Normal(dist.mean, dist.log_std.exp()), 1)

    action = normal(2, 5, 3, seed=9)
    torch.testing.assert_close(ours.log_prob(action), pytorch(ours).log_prob(action))
    torch.testing.assert_close(ours.entropy(), pytorch(ours).entropy())
    torch.testing.assert_close(ours.kl(other), oracle.kl_divergence(pytorch(ours), pytorch(other)))
    assert ours.log_prob(action).shape == ours.entropy().shape == ours.kl(other).shape == (2, 5)


def test_the_action_that_is_scored_is_the_unclipped_one():
    dist = DiagonalGaussian(torch.zeros(1), torch.zeros(1))

    assert float(dist.log_prob(dist.sample(torch.tensor([3.0])))) == pytest.approx(-4.5 - 0.5 * math.log(2 * math.pi))


def test_kl_is_zero_and_flat_where_both_are_the_same():
    for dist, parameter in ((gaussian(), "mean"), (Categorical(normal(2, 5, 3)), "log_probs")):
        values = getattr(dist, parameter).detach().requires_grad_()
        moved = Categorical(values) if parameter == "log_probs" else DiagonalGaussian(values, dist.log_std)
        kl = dist.kl(moved)
        kl.sum().backward()

        torch.testing.assert_close(kl, torch.zeros_like(kl))
        torch.testing.assert_close(values.grad, torch.zeros_like(values))


# ---- squashed Gaussian


def test_a_squashed_samples_log_density_agrees_with_pytorch():
    dist, noise = squashed(), normal(2, 5, 3, seed=4)
    action, log_prob = dist.rsample_with_log_prob(noise)
    low, high = BOUNDS
    theirs = published(dist)

    torch.testing.assert_close(action, low + (high - low) * (dist.gaussian.sample(noise).tanh() + 1) / 2)
    torch.testing.assert_close(log_prob, theirs.log_prob(dist.gaussian.sample(noise).tanh()))
    torch.testing.assert_close(dist.log_prob(action), log_prob)
    torch.testing.assert_close(dist.sample(noise), action)


def test_a_squashed_density_integrates_to_one_over_minus_one_to_one():
    dist = TanhGaussian(*torch.tensor([[[0.3]], [[-0.2]], [[-1.0]], [[1.0]]]).double())
    grid = torch.linspace(-1, 1, 200_001, dtype=torch.float64)[:, None]
    density = dist.log_prob(grid).exp()

    assert float(torch.trapezoid(density, dx=1e-5)) == pytest.approx(1, abs=1e-4)


def test_the_log_density_does_not_depend_on_the_units_of_actions():
    noise, mean, log_std = normal(4, 1), normal(4, 1, seed=1), normal(4, 1, seed=2)
    unit = TanhGaussian(mean, log_std, *torch.tensor([[-1.0], [1.0]]).double())
    wide = TanhGaussian(mean, log_std, *torch.tensor([[-50.0], [950.0]]).double())

    assert torch.equal(unit.rsample_with_log_prob(noise)[1], wide.rsample_with_log_prob(noise)[1])


def test_gradients_of_a_reparameterised_sample_agree_with_pytorch():
    noise, weight = normal(2, 5, 3, seed=5), normal(2, 5, 3, seed=6)
    mean, log_std = normal(2, 5, 3).requires_grad_(), normal(1, 3, seed=1).requires_grad_()
    low, high = BOUNDS
    dist = TanhGaussian(mean, log_std, low, high)
    action, log_prob = dist.rsample_with_log_prob(noise)
    ours = torch.autograd.grad((weight * action).sum() + log_prob.sum(), (mean, log_std))

    u = mean + log_std.exp() * noise
    scaled = low + (high - low) * (u.tanh() + 1) / 2
    density = oracle.Normal(mean, log_std.exp()).log_prob(u) - (1 - u.tanh() ** 2).log()
    theirs = torch.autograd.grad((weight * scaled).sum() + density.sum(), (mean, log_std))

    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("u", [-100.0, -20.0, 20.0, 100.0])
def test_a_squashed_gaussian_is_finite_with_finite_gradients_far_out(u):
    mean = torch.full((1, 3), u, requires_grad=True)
    log_std = torch.zeros(3, requires_grad=True)
    low, high = (bound.float() for bound in BOUNDS)
    action, log_prob = TanhGaussian(mean, log_std, low, high).rsample_with_log_prob(torch.zeros(1, 3))
    (action.sum() + log_prob.sum()).backward()

    # log(4 e^{−2|u|}) per component
    assert log_prob.tolist() == pytest.approx([3 * (2 * abs(u) - math.log(4) - 0.5 * math.log(2 * math.pi))], rel=1e-6)
    assert bool(mean.grad.isfinite().all() and log_std.grad.isfinite().all())
    # the density of tanh(u) rises towards the bound by 2 per unit of u
    assert mean.grad.flatten().tolist() == pytest.approx([math.copysign(2, u)] * 3)


def test_actions_never_leave_their_bounds_by_rounding():
    generator = torch.Generator().manual_seed(0)
    low, high = -torch.rand(10_000, generator=generator), torch.rand(10_000, generator=generator)
    assert bool((low + (high - low) > high).any())  # as the plain formula would
    for u in (-100.0, -9.0, 9.0, 100.0):
        action = TanhGaussian(torch.full((10_000,), u), torch.zeros(1), low, high).mode
        assert bool(((action >= low) & (action <= high)).all())


def test_a_density_on_a_bound_is_finite():
    low, high = BOUNDS

    assert bool(squashed().log_prob(low.expand(2, 5, 3)).isfinite().all())
    assert bool(squashed().log_prob(high.expand(2, 5, 3)).isfinite().all())


def test_the_mode_is_the_rescaled_tanh_of_the_mean():
    dist = TanhGaussian(*torch.tensor([[math.atanh(0.5)], [0.0], [2.0], [6.0]]))

    assert dist.mode.tolist() == pytest.approx([5.0])


def test_the_log_slope_of_tanh_by_hand():
    assert float(log_tanh_slope(torch.zeros(()))) == 0
    assert float(log_tanh_slope(torch.tensor(math.atanh(0.5)))) == pytest.approx(math.log(0.75), rel=1e-6)
