"""TRPO: the Fisher matrix, conjugate gradients, the trust region of every update, and worlds of known answers."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import harness_algorithms
from harness.discovery.config import resolve_config
from harness_algorithms import trpo
from harness_algorithms.blocks.conjugate_gradient import conjugate_gradient
from harness_algorithms.blocks.policies import stochastic_policy
from support.policy_gradient import (
    ACTIONS,
    VALUES,
    assert_actions,
    assert_repeats_whatever_the_evaluations,
    assert_trains_as_alone,
    assert_values,
    trained,
)

QUICK = trpo.Config(
    discount=0.9,
    max_kl=0.05,
    copies=8,
    rollout_length=16,
    conjugate_gradient_steps=8,
    hidden=(16,),
    log_std=-1.0,
    value_learning_rate=0.02,
    value_passes=4,
    value_minibatches=2,
)
REALS = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
FRAMES = gymnasium.spaces.Box(0, 255, (2, 5, 5), np.uint8)
DISCRETE = gymnasium.spaces.Discrete(3)
BOX = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
PAIRS = [(REALS, DISCRETE), (REALS, BOX), (FRAMES, DISCRETE), (FRAMES, BOX)]


def problem(observation_space, action_space, num_seeds=2, size=7, seed=0, hidden=(3,)):
    """A policy and a batch that it could have acted in."""
    generator = torch.Generator().manual_seed(seed)
    policy = stochastic_policy(
        observation_space,
        action_space,
        hidden,
        [torch.Generator().manual_seed(seed + s) for s in range(num_seeds)],
        log_std=-0.3,
    )
    obs = torch.randn(num_seeds, size, *observation_space.shape, generator=generator)
    if observation_space is FRAMES:
        obs = (obs.abs() * 100).clamp(max=255).to(torch.uint8)
    with torch.no_grad():
        distribution = policy(obs)
        noise = torch.rand(num_seeds, size, generator=generator, dtype=torch.float64)
        if action_space is BOX:
            noise = torch.randn(num_seeds, size, 2, generator=generator)
        action = distribution.sample(noise)
    advantage = torch.randn(num_seeds, size, generator=generator)
    return policy, trpo.Batch(obs, action, advantage, advantage)


def outcome_of(policy, old_parameters, batch):
    """KL(old ‖ new) and L, [S] each, by torch.distributions in float64: a second implementation."""

    def distribution(parameters):
        shaped = policy.at([p.double() for p in parameters], batch.obs)
        if batch.action.dtype == torch.int64:
            return torch.distributions.Categorical(logits=shaped.log_probs)
        normal = torch.distributions.Normal(shaped.mean, shaped.log_std.exp())
        return torch.distributions.Independent(normal, 1)

    with torch.no_grad():
        old, new = distribution(old_parameters), distribution(policy.parameters)
        ratio = (new.log_prob(batch.action) - old.log_prob(batch.action)).exp()
        kl = torch.distributions.kl_divergence(old, new).mean(1)
        return kl, ((ratio - 1) * batch.advantage).mean(1)


@pytest.mark.parametrize(("observation_space", "action_space"), PAIRS)
def test_the_policy_at_its_own_parameters_is_the_policy(observation_space, action_space):
    policy, batch = problem(observation_space, action_space)
    flat = trpo.flattened(policy.parameters)
    at = policy.at(trpo.unflattened(flat, policy.parameters), batch.obs)
    usual = policy(batch.obs)

    assert flat.dtype == at.log_prob(batch.action).dtype == torch.float64
    torch.testing.assert_close(at.log_prob(batch.action).float(), usual.log_prob(batch.action))
    torch.testing.assert_close(at.entropy().float(), usual.entropy())


@pytest.mark.parametrize(("observation_space", "action_space"), PAIRS)
def test_flattened_parameters_include_log_std_and_come_back_in_place(observation_space, action_space):
    policy, _ = problem(observation_space, action_space)
    flat = trpo.flattened(policy.parameters)

    assert flat.shape == (2, sum(p[0].numel() for p in policy.parameters))
    for back, parameter in zip(trpo.unflattened(flat, policy.parameters), policy.parameters, strict=True):
        torch.testing.assert_close(back.float(), parameter.detach(), rtol=0, atol=0)
    if action_space is BOX:
        assert (flat[:, -2:] == policy.log_std.detach().flatten(1).double()).all()


@pytest.mark.parametrize(("observation_space", "action_space"), PAIRS)
def test_hessian_products_are_those_of_the_fisher_matrix_of_every_seed(observation_space, action_space):
    """The oracle is the mean of J F J, with J the Jacobian of the distribution's parameters, F their Fisher matrix."""
    policy, batch = problem(observation_space, action_space)
    flat = trpo.flattened(policy.parameters).requires_grad_()
    old = policy.at(trpo.unflattened(flat.detach(), policy.parameters), batch.obs)
    new = policy.at(trpo.unflattened(flat, policy.parameters), batch.obs)
    product = trpo.hessian_product(old.kl(new).mean(1), flat, damping=0.0)
    vector = torch.randn(flat.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def outputs(flat):
        distribution = policy.at(trpo.unflattened(flat, policy.parameters), batch.obs)
        if action_space is DISCRETE:
            return distribution.log_probs
        return torch.cat([distribution.mean, distribution.log_std], 2)

    if action_space is DISCRETE:
        fisher = torch.diag_embed(old.log_probs.exp())  # Σ p (∇ log p)(∇ log p)ᵀ
    else:
        inverse = (-2 * old.log_std).exp()
        fisher = torch.diag_embed(torch.cat([inverse, torch.full_like(inverse, 2)], 2))
    jacobian = torch.autograd.functional.jacobian(outputs, flat.detach())  # [S, B, D, S, P]
    for s, image in enumerate(product(vector)):
        own = jacobian[s, :, :, s]
        matrix = torch.einsum("bip,bij,bjq->pq", own, fisher[s], own) / own.shape[0]
        torch.testing.assert_close(image, matrix @ vector[s])
        assert image.abs().max() > 1e-3
    torch.testing.assert_close(
        trpo.hessian_product(old.kl(new).mean(1), flat, 0.1)(vector), product(vector) + 0.1 * vector
    )


def test_conjugate_gradients_solve_every_seeds_own_system():
    generator = torch.Generator().manual_seed(0)
    roots = torch.randn(3, 10, 10, generator=generator, dtype=torch.float64)
    matrices = roots @ roots.mT + 0.1 * torch.eye(10)
    b = torch.randn(3, 10, generator=generator, dtype=torch.float64)
    b[1] = 0
    x = conjugate_gradient(lambda v: (matrices @ v[..., None])[..., 0], b, steps=40)

    torch.testing.assert_close(x, torch.linalg.solve(matrices, b), atol=1e-3, rtol=1e-3)
    alone = conjugate_gradient(lambda v: (matrices[:1] @ v[..., None])[..., 0], b[:1], steps=40)
    torch.testing.assert_close(x[:1], alone)
    assert (x[1] == 0).all()


def test_conjugate_gradients_in_float32_stall_where_float64_goes_on():
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(20, 20, generator=generator, dtype=torch.float64)).Q
    matrix = basis @ torch.diag(torch.logspace(-4, 0, 20, dtype=torch.float64)) @ basis.mT
    b = basis.sum(1, keepdim=True).mT  # of every direction as much
    errors = {}
    for dtype in (torch.float32, torch.float64):
        a = matrix.to(dtype)
        x = conjugate_gradient(lambda v, a=a: v @ a, b.to(dtype), steps=40, tolerance=1e-16).double()
        errors[dtype] = ((x @ matrix - b).norm() / b.norm()).item()

    assert errors[torch.float64] < 1e-6 < 1e-2 < errors[torch.float32]


@pytest.mark.parametrize("matrix", [-torch.eye(2), torch.zeros(2, 2), torch.full((2, 2), torch.nan)])
def test_where_xhx_is_not_positive_no_step_is_taken(matrix):
    gradient = torch.ones(3, 2, dtype=torch.float64)
    products = [matrix.double(), torch.eye(2, dtype=torch.float64), matrix.double()]
    step = trpo.largest_step(
        lambda v: torch.stack([a @ row for a, row in zip(products, v, strict=True)]), gradient, 0.01, 5
    )

    assert (step[[0, 2]] == 0).all()
    torch.testing.assert_close(step[1].square().sum() / 2, torch.tensor(0.01, dtype=torch.float64))


@settings(deadline=None, max_examples=40)
@given(
    spaces=st.sampled_from(PAIRS[:2]),
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    max_kl=st.sampled_from([1e-4, 0.01, 1.0]),
    damping=st.sampled_from([0.0, 1e-3, 0.1]),
)
def test_every_update_stays_in_the_trust_region_and_improves_or_leaves_parameters_unchanged(
    spaces, seed, scale, max_kl, damping
):
    policy, batch = problem(*spaces, num_seeds=3, size=12, seed=seed)
    batch = batch._replace(advantage=batch.advantage * scale)
    batch.advantage[1] = 0  # nothing to gain
    before = [p.detach().clone() for p in policy.parameters]
    reported = trpo.update(policy, batch, trpo.Config(max_kl=max_kl, damping=damping))
    kl, surrogate = outcome_of(policy, before, batch)
    unchanged = torch.stack([(p == b).flatten(1).all(1) for p, b in zip(policy.parameters, before, strict=True)]).all(0)

    assert ((kl <= max_kl * (1 + 1e-3)) & (surrogate >= 0) | unchanged).all()
    assert unchanged[1]
    torch.testing.assert_close(reported.kl, kl, atol=1e-9, rtol=1e-5)
    torch.testing.assert_close(reported.surrogate, surrogate, atol=1e-9 * scale, rtol=1e-5)


@pytest.mark.parametrize(("observation_space", "action_space"), PAIRS)
def test_an_update_uses_most_of_the_trust_region(observation_space, action_space):
    policy, batch = problem(observation_space, action_space, size=50)
    outcome = trpo.update(policy, batch, trpo.Config(damping=1e-3))

    assert ((outcome.kl > 0.004) & (outcome.kl <= 0.01) & (outcome.surrogate > 0.001)).all()


@pytest.mark.parametrize("environment", ["cartpole", "pendulum", "probe-5-both", "pixel-catch"])
def test_the_invariant_holds_for_every_update_of_training(environment, monkeypatch):
    checked, update = [], trpo.update

    def watched(policy, batch, config):
        before = [p.detach().clone() for p in policy.parameters]
        outcome = update(policy, batch, config)
        kl, surrogate = outcome_of(policy, before, batch)
        moved = torch.stack([(p != b).flatten(1).any(1) for p, b in zip(policy.parameters, before, strict=True)]).any(0)
        assert (~moved | (kl <= config.max_kl * (1 + 1e-3)) & (surrogate >= 0)).all()
        checked.append(moved)
        return outcome

    monkeypatch.setattr(trpo, "update", watched)
    trained(trpo, environment, replace(QUICK, max_kl=0.01), budget=384)

    assert len(checked) == 3
    assert torch.stack(checked).any()


def test_one_seeds_line_search_never_affects_another():
    """Seed 0 accepts at once, seed 1 after three shorter steps, seed 2 never, and seed 3 sees only NaN."""
    old = torch.zeros(4, 2, dtype=torch.float64)
    tries = []

    def outcome_at(flat):
        tries.append(flat)
        length = flat[:, 0]
        limits = torch.tensor([10.0, 0.6, 1e-9, torch.nan])
        return trpo.Outcome(kl=0.01 * length / limits, surrogate=length)

    best, outcome = trpo.line_search(outcome_at, old, torch.ones_like(old), trpo.Config(max_kl=0.01))

    assert len(tries) == 10
    torch.testing.assert_close(best[:, 0].float(), torch.tensor([1, 0.8**3, 0, 0]))
    assert torch.equal(outcome.surrogate, best[:, 0])
    assert (outcome.kl[2:] == 0).all()


def test_the_surrogate_must_improve_whatever_the_divergence():
    worse = trpo.Outcome(torch.zeros(1), torch.full((1,), -1e-9))
    old = torch.zeros(1, 2, dtype=torch.float64)
    best, _ = trpo.line_search(lambda _: worse, old, torch.ones_like(old), trpo.Config())

    assert torch.equal(best, old)


def test_a_seed_whose_advantages_are_not_finite_keeps_its_parameters_and_others_move():
    policy, batch = problem(REALS, BOX, num_seeds=3)
    before = [p.detach().clone() for p in policy.parameters]
    batch.advantage[1, 0] = torch.nan
    trpo.update(policy, batch, trpo.Config())
    moved = [(p != b).flatten(1).any(1).tolist() for p, b in zip(policy.parameters, before, strict=True)]

    assert moved == [[True, False, True], [True, False, True]]


@pytest.mark.parametrize("probe", ACTIONS)
def test_the_best_actions_of_the_probes_are_found_by_every_seed(probe):
    assert_actions(trained(trpo, probe, QUICK, budget=2_560), ACTIONS[probe])


@pytest.mark.parametrize("probe", VALUES)
def test_values_of_the_probes_are_learned_by_every_seed(probe):
    assert_values(trained(trpo, probe, QUICK, budget=2_560), VALUES[probe])


@pytest.mark.parametrize("suffix", ["", "-continuous"])
def test_a_time_limit_is_not_an_end_of_the_world(suffix):
    outcome = trained(trpo, f"probe-truncation{suffix}", replace(QUICK, value_passes=10), budget=3_840)

    assert_values(outcome, {0: 10}, tolerance=0.5)


@pytest.mark.parametrize("environment", ["cartpole", "pendulum"])
def test_a_seed_trains_as_it_would_alone(environment):
    assert_trains_as_alone(trpo, environment, QUICK, budget=512, atol=1e-4)  # conjugate gradients magnify rounding


def test_the_same_seed_trains_bit_for_bit_the_same_with_and_without_evaluation():
    assert_repeats_whatever_the_evaluations(trpo, "pendulum", QUICK, budget=512)


def test_presets_are_configurations():
    (spec,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == "trpo"]

    for preset in spec.presets.values():
        assert resolve_config(trpo.Config, preset) != trpo.Config()
