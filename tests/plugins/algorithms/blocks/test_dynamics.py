"""Ensembles of dynamics: what they learn, what they are fitted on, when each stops, and that no seed meets another."""

import math

import pytest
import torch

from harness_algorithms.blocks.dynamics import Fitting, bounded, fit, make_dynamics, rolled, split, weight_normalised
from harness_algorithms.blocks.moments import Scale

QUICK = Fitting(epochs=3, batch_size=32)
KINDS = [{}, {"gaussian": True}, {"weight_norm": True}, {"gaussian": True, "weight_norm": True, "activation": "tanh"}]


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def linear_system(seeds, size=600, noise=0.0):
    """s′ = s + s A + a B + noise, with numbers of very different units; every seed has data of its own."""
    a = torch.tensor([[-0.1, 0.5], [0.002, -0.2]])
    b = torch.tensor([[0.3, -7.0]])
    rows = []
    for generator in generators(*seeds):
        s = torch.randn(size, 2, generator=generator) * torch.tensor([1.0, 50.0]) + torch.tensor([3.0, -20.0])
        action = torch.rand(size, 1, generator=generator) * 4 - 2
        change = s @ a + action @ b
        change += noise * torch.randn(size, 2, generator=generator) * torch.tensor([0.5, 10.0])
        rows.append((s, action, s + change))
    return tuple(torch.stack(column) for column in zip(*rows, strict=True))


def repeated(x, members):
    return x.unsqueeze(1).expand(-1, members, -1, -1)


def test_a_linear_system_is_recovered_though_its_numbers_have_different_units():
    data = linear_system((0, 1))
    dynamics = make_dynamics(2, 1, (), generators(2, 3), members=3)
    fit(dynamics, *data, generators(4, 5), Fitting(epochs=60, batch_size=64, learning_rate=0.02))
    obs, action, next_obs = (repeated(x, 3) for x in data)
    error = (dynamics.predict(obs, action) - next_obs) / (next_obs - obs).std((0, 1, 2))
    assert error.abs().max() < 0.01


@pytest.mark.parametrize("weight_norm", [False, True])
def test_a_nonlinear_system_is_learned(weight_norm):
    obs = torch.rand(1, 800, 1, generator=generators(0)[0]) * 6 - 3
    action = torch.zeros(1, 800, 1)
    dynamics = make_dynamics(1, 1, (32, 32), generators(1), weight_norm=weight_norm)
    fit(dynamics, obs, action, obs + obs.sin(), generators(2), Fitting(epochs=40, batch_size=64, learning_rate=5e-3))
    error = dynamics.predict(obs.unsqueeze(1), action.unsqueeze(1)) - (obs + obs.sin()).unsqueeze(1)
    assert error.square().mean().sqrt() < 0.05


def test_a_gaussian_member_recovers_the_noise():
    data = linear_system((0,), size=2_000, noise=1.0)
    dynamics = make_dynamics(2, 1, (), generators(1), members=2, gaussian=True)
    fit(dynamics, *data, generators(2), Fitting(epochs=60, batch_size=128, learning_rate=0.02))
    _, deviation = dynamics.law(repeated(data[0], 2), repeated(data[1], 2))
    torch.testing.assert_close(deviation.mean((0, 2)), torch.tensor([[0.5, 10.0]] * 2), rtol=0.06, atol=0)


def test_noise_that_depends_on_the_state_is_told_apart():
    g = generators(0)[0]
    obs, action = torch.rand(1, 2_000, 1, generator=g) * 2 - 1, torch.zeros(1, 2_000, 1)
    next_obs = obs + torch.where(obs > 0, 1.0, 0.1) * torch.randn(1, 2_000, 1, generator=g)
    dynamics = make_dynamics(1, 1, (32,), generators(1), gaussian=True)
    fit(dynamics, obs, action, next_obs, generators(2), Fitting(epochs=40, batch_size=128, learning_rate=0.01))
    _, deviation = dynamics.law(torch.tensor([[[[0.5], [-0.5]]]]), torch.zeros(1, 1, 2, 1))
    assert deviation.flatten().tolist() == pytest.approx([1.0, 0.1], rel=0.25)


def test_samples_scatter_around_the_prediction_by_the_deviation_and_a_deterministic_one_not_at_all():
    obs, action, noise = torch.randn(2, 3, 5, 2), torch.randn(2, 3, 5, 1), torch.randn(2, 3, 5, 2)
    gaussian = make_dynamics(2, 1, (8,), generators(0, 1), members=3, gaussian=True)
    mean, deviation = gaussian.law(obs, action)
    torch.testing.assert_close(gaussian.sample(obs, action, noise), mean + deviation * noise)
    sure = make_dynamics(2, 1, (8,), generators(0, 1), members=3)
    assert torch.equal(sure.sample(obs, action, noise), sure.predict(obs, action))


def test_log_variances_lie_between_their_bounds_and_in_the_middle_are_what_they_were():
    least, most = torch.tensor(-10.0), torch.tensor(0.5)
    values = bounded(torch.tensor([-1e4, -5.0, 1e4]), least, most)
    assert values[0] >= least and values[2] <= most + 1e-4
    assert values[1] == pytest.approx(-5.0, abs=0.02)


def test_the_bounds_of_the_variance_are_learned():
    dynamics = make_dynamics(2, 1, (), generators(0), gaussian=True)
    before = dynamics.parameters[-1].clone()
    fit(dynamics, *linear_system((1,)), generators(2), QUICK)
    least, most = (dynamics.parameters[-1] - before).chunk(2, 1)
    assert (least != 0).all() and (most != 0).all()


def test_each_member_sees_inputs_of_its_own():
    dynamics = make_dynamics(2, 1, (8,), generators(0, 1), members=3)
    obs, action = torch.randn(2, 3, 5, 2), torch.randn(2, 3, 5, 1)
    whole = dynamics.predict(obs, action)
    changed = obs.clone()
    changed[1, 2] += 1
    differs = (dynamics.predict(changed, action) != whole).flatten(2).any(2)
    assert differs.tolist() == [[False] * 3, [False, False, True]]


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_those_of_the_networks_between_the_scales(kind):
    data = linear_system((0, 1))
    dynamics = make_dynamics(2, 1, (8, 8), generators(2, 3), members=2, **kind)
    fit(dynamics, *data, generators(4, 5), QUICK)
    obs, action = (repeated(x, 2) for x in data[:2])
    inputs, outputs = ([part.unsqueeze(1) for part in scale] for scale in (dynamics.inputs, dynamics.outputs))
    x = ((torch.cat((obs, action), 3) - inputs[0]) / inputs[1]).flatten(0, 1)
    mean, log_variance = dynamics.rows.law(dynamics.parameters, dynamics.rows.network(dynamics.parameters)(x))
    expected = obs + outputs[0] + outputs[1] * mean.unflatten(0, (2, 2))
    found, deviation = dynamics.law(obs, action)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    if "gaussian" in kind:
        torch.testing.assert_close(
            deviation, outputs[1] * (log_variance / 2).exp().unflatten(0, (2, 2)), rtol=1e-3, atol=0
        )


def test_what_weights_are_normalised_to_has_the_gains_as_lengths_and_begins_as_it_was():
    dynamics = make_dynamics(2, 1, (4,), generators(0), weight_norm=True)
    flat, gains = dynamics.parameters
    torch.testing.assert_close(weight_normalised(flat, gains, dynamics.rows.sizes), flat)
    network = dynamics.rows.network([flat, torch.full_like(gains, 3.0)])
    for weight in network.weights:
        torch.testing.assert_close(weight.norm(dim=2), torch.full(weight.shape[:2], 3.0))


def test_gradients_reach_states_and_actions_but_no_parameter():
    dynamics = make_dynamics(2, 1, (8,), generators(0), members=2, gaussian=True)
    obs, action = torch.randn(1, 2, 4, 2, requires_grad=True), torch.randn(1, 2, 4, 1, requires_grad=True)
    dynamics.sample(obs, action, torch.randn(1, 2, 4, 2)).sum().backward()
    assert obs.grad.abs().sum() > 0 and action.grad.abs().sum() > 0
    assert all(not p.requires_grad and p.grad is None for p in dynamics.parameters)
    fit(dynamics, *linear_system((1,)), generators(2), QUICK)
    assert all(not p.requires_grad and p.grad is None for p in dynamics.parameters)
    assert not dynamics.predict(torch.randn(1, 2, 4, 2), torch.randn(1, 2, 4, 1)).requires_grad


def test_the_slope_of_a_prediction_is_the_derivative():
    dynamics = make_dynamics(2, 1, (8,), generators(0), activation="tanh")
    dynamics.inputs = Scale(torch.tensor([[[1.0, -2.0, 0.5]]]), torch.tensor([[[3.0, 0.5, 2.0]]]))
    dynamics.refresh()
    obs, action = torch.randn(1, 1, 1, 2), torch.randn(1, 1, 1, 1)
    slopes = torch.autograd.functional.jacobian(lambda a: dynamics.predict(obs, a).flatten(), action).flatten()
    step = 1e-2
    difference = (dynamics.predict(obs, action + step) - dynamics.predict(obs, action - step)).flatten() / (2 * step)
    torch.testing.assert_close(slopes, difference, rtol=1e-2, atol=1e-4)


def test_each_member_has_a_split_of_its_own_which_covers_everything_once():
    fitted, held_out = split(50, 3, generators(0, 1), Fitting(validation=0.2))
    assert fitted.shape == (6, 40) and held_out.shape == (6, 10)
    for row in range(6):
        assert sorted(torch.cat((fitted[row], held_out[row])).tolist()) == list(range(50))
    assert len({tuple(sorted(row)) for row in held_out.tolist()}) == 6


def test_a_bootstrap_is_drawn_with_replacement_from_what_is_not_held_out():
    fitted, held_out = split(500, 2, generators(0), Fitting(validation=0.2, bootstrap=True))
    for row in range(2):
        drawn = set(fitted[row].tolist())
        assert fitted.shape[1] == 400 and not drawn & set(held_out[row].tolist())
        assert len(drawn) / 400 == pytest.approx(1 - math.exp(-1), abs=0.06)


def test_fewer_than_two_transitions_are_refused_and_two_are_enough():
    with pytest.raises(ValueError, match="at least one to fit"):
        split(1, 1, generators(0), Fitting())
    assert [part.shape[1] for part in split(2, 1, generators(0), Fitting(validation=0.9))] == [1, 1]


def test_a_rolling_loss_first_falls_by_rule_and_then_rises_only_with_a_worse_loss():
    average, risen = rolled(None, torch.tensor([1.0, 2.0]), 0.5)
    assert average.tolist() == [1.25, 2.5] and risen.tolist() == [False, False]
    average, risen = rolled(average, torch.tensor([1.5, 2.4]), 0.5)
    assert average.tolist() == pytest.approx([1.375, 2.45]) and risen.tolist() == [True, False]


def test_with_a_persistency_of_one_nothing_stops_before_the_last_epoch():
    dynamics = make_dynamics(2, 1, (8,), generators(0), members=2)
    logged = fit(dynamics, *linear_system((1,), size=20), generators(2), Fitting(epochs=50, persistency=1.0))
    assert logged["model_epochs"].tolist() == [50]


def impossible_for(row):
    """Data of two seeds of which one has nothing to learn: its Δs are noise. So it stops soon."""
    obs, action, next_obs = linear_system((0, 1), size=100)
    generator = torch.Generator().manual_seed(5)
    next_obs[row] = obs[row] + torch.randn(100, 2, generator=generator)
    return obs, action, next_obs


def test_early_stopping_of_one_model_leaves_the_others_running():
    stopping = Fitting(epochs=30, batch_size=16, learning_rate=0.01, persistency=0.5)
    dynamics = make_dynamics(2, 1, (32,), generators(2, 3))
    logged = fit(dynamics, *impossible_for(0), generators(4, 5), stopping)
    stopped, others = logged["model_epochs"].tolist()
    assert stopped < others


def test_a_stopped_model_keeps_its_parameters_to_the_bit_while_others_run():
    data, made = impossible_for(0), lambda: make_dynamics(2, 1, (32,), generators(2, 3))
    stopping = Fitting(epochs=30, batch_size=16, learning_rate=0.01, persistency=0.5)
    long, short = made(), made()
    epochs = int(fit(long, *data, generators(4, 5), stopping)["model_epochs"][0])
    cut = Fitting(epochs=epochs, batch_size=16, learning_rate=0.01, persistency=0.5)
    fit(short, *data, generators(4, 5), cut)
    assert torch.equal(long.parameters[0][0], short.parameters[0][0])
    assert not torch.equal(long.parameters[0][1], short.parameters[0][1])


def test_members_of_one_seed_stop_apart():
    data = linear_system((0,), size=60, noise=1.0)

    def fitted(epochs):
        dynamics = make_dynamics(2, 1, (32,), generators(2), members=4)
        cut = Fitting(epochs=epochs, batch_size=16, learning_rate=0.01, persistency=0.5)
        return dynamics.parameters[0], fit(dynamics, *data, generators(4), cut)["model_epochs"].item()

    whole, mean = fitted(200)
    cut, _ = fitted(int(mean))
    assert {torch.equal(*rows) for rows in zip(whole, cut, strict=True)} == {True, False}


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_fitted_bit_for_bit_as_if_alone_and_draws_as_much(kind):
    fitting = Fitting(epochs=6, batch_size=30, persistency=0.2, learning_rate=0.02, bootstrap=True)
    probe = torch.randn(1, 3, 21, 2), torch.randn(1, 3, 21, 1)

    def learned(seeds):
        dynamics = make_dynamics(2, 1, (14, 11), generators(*seeds), members=3, **kind)
        ours = generators(*(100 + seed for seed in seeds))
        logged = [fit(dynamics, *linear_system(seeds, size=97, noise=0.3), ours, fitting) for _ in range(2)]
        row, many = seeds.index(7), len(seeds)
        predicted = dynamics.predict(*(x.expand(many, -1, -1, -1) for x in probe))[row]
        parameters = [p.unflatten(0, (many, 3))[row].tolist() for p in dynamics.parameters]
        return (
            parameters,
            predicted.tolist(),
            [{k: v[row].item() for k, v in x.items()} for x in logged],
            ours[row].get_state().tolist(),
        )

    alone = learned((7,))
    for among in ((3, 5, 7), (7, 1, 2, 4, 6)):
        assert learned(among) == alone


def test_a_fit_that_does_not_rescale_keeps_the_scales():
    dynamics = make_dynamics(2, 1, (8,), generators(0))
    fit(dynamics, *linear_system((1,)), generators(2), QUICK)
    before = [part.clone() for part in (*dynamics.inputs, *dynamics.outputs)]
    obs, action, next_obs = linear_system((1,))
    fit(dynamics, 5 * obs, action, 5 * next_obs, generators(2), QUICK, rescale=False)
    assert all(map(torch.equal, before, (*dynamics.inputs, *dynamics.outputs)))
    fit(dynamics, 5 * obs, action, 5 * next_obs, generators(2), QUICK)
    assert not any(map(torch.equal, before, (*dynamics.inputs, *dynamics.outputs)))
