"""DQN: its targets by hand, worlds of known value, and what training in lockstep must not change."""

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import pytest
import torch

import harness_algorithms
import harness_environments
from harness.discovery.config import resolve_config
from harness.measuring.trial import LocalTrial, run_training
from harness_algorithms import dqn
from harness_algorithms.blocks.networks import Network
from harness_algorithms.blocks.schedules import Linear

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
GAMMA = 0.9
QUICK = dqn.Config(
    discount=GAMMA,
    epsilon=Linear(1.0, 0.5),
    hidden=(32,),
    learning_rate=3e-3,
    batch_size=32,
    replay_capacity=500,
    learning_starts=50,
    target_every=20,
)


class Outcome(NamedTuple):
    """What one call of train did."""

    q: Network
    transitions: dqn.Transition  # fields [T, S, 1, ...]
    calls: dict[str, Counter]  # calls of the blocks, by the step they came after
    trial: LocalTrial


def trained(environment, seeds=(0,), budget=200, config=QUICK, points=1):
    """Train and watch."""
    trial = LocalTrial(ENVIRONMENTS[environment], seeds, budget, points, episodes=2, lockstep=True)
    networks, transitions = [], []
    calls = {name: Counter() for name in ("descend", "copy_")}

    def watch(patch, owner, name, see):
        original = getattr(owner, name)

        def watched(*args):
            result = original(*args)
            see(result, *args)
            return result

        patch.setattr(owner, name, watched)

    with pytest.MonkeyPatch.context() as patch:
        watch(patch, dqn, "stacked_network", lambda network, *_: networks.append(network))
        watch(patch, dqn.Replay, "add", lambda _, __, record: transitions.append(record))
        for name, count in calls.items():
            watch(patch, dqn, name, lambda *_, count=count: count.update([trial.steps]))
        run_training(trial, dqn.train, config)
    columns = (torch.stack(column) for column in zip(*transitions, strict=True))
    return Outcome(networks[0], dqn.Transition(*columns), calls, trial)


def values(q, number):
    """Q(number, ·) of a probe, [S, A]."""
    num_seeds = q.parameters[0].shape[0]
    with torch.no_grad():
        return q(torch.full((num_seeds, 1, 1), float(number)))[:, 0]


def row(reward, discount, action, obs=1.0, next_obs=2.0):
    """A batch of one transition."""
    numbers = [torch.tensor([[number]]) for number in (reward, discount)]
    states = [torch.tensor([[[state]]]) for state in (obs, next_obs)]
    return dqn.Transition(states[0], torch.tensor([[action]]), *numbers, states[1])


def values_of(obs, *slopes):
    """Q(x, a) = slope of a · x, [S, B, A]."""
    return obs * torch.tensor(slopes)


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (row(reward=1.0, discount=1.0, action=0), 1 + 0.9 * 14 - 3),  # best next is 7 · 2, chosen is 3 · 1
        (row(reward=1.0, discount=1.0, action=1), 1 + 0.9 * 14 - 4),  # as at a time limit, which keeps d = 1
        (row(reward=1.0, discount=0.0, action=1), 1 - 4),  # terminated: nothing follows
        (row(reward=0.0, discount=1.0, action=0, next_obs=-2.0), 0.9 * -10 - 3),  # best next is 5 · −2
    ],
)
def test_the_td_error_is_as_computed_by_hand(batch, expected):
    values, next_values = values_of(batch.obs, 3.0, 4.0), values_of(batch.next_obs, 5.0, 7.0)
    error = dqn.td_error(values, next_values, batch, discount=0.9)

    assert error.shape == (1, 1)
    assert error.item() == pytest.approx(expected)


def test_the_loss_gradient_is_the_derivative_of_the_loss_averaged_over_the_batch():
    num_seeds, size, num_actions = 2, 5, 3
    q = torch.randn(num_seeds, size, num_actions, requires_grad=True)
    next_q, next_obs = torch.randn(num_seeds, size, num_actions), torch.empty(num_seeds, size, 1)
    action = torch.randint(num_actions, (num_seeds, size))
    batch = dqn.Transition(
        next_obs, action, 3 * torch.randn(num_seeds, size), torch.ones(num_seeds, size), next_obs
    )
    error = dqn.td_error(q, next_q, batch, discount=0.9)
    dqn.loss(error).sum().backward()

    assert (error.abs() > 1).any() and (error.abs() < 1).any()
    torch.testing.assert_close(dqn.loss_gradient(error.detach(), action, num_actions), q.grad)


def test_epsilon_is_the_probability_of_a_uniform_action():
    uniforms = torch.tensor([[[0.29, 0.0], [0.29, 0.51], [0.29, 0.999], [0.31, 0.0]]])  # [1, 4, 2]

    actions = dqn.epsilon_greedy(torch.full((1, 4), 1), num_actions=4, epsilon=0.3, uniforms=uniforms)

    assert actions.tolist() == [[0, 2, 3, 1]]


@pytest.mark.parametrize(
    ("probe", "known"),
    [
        ("probe-1-constant", {0: (1, 1)}),
        ("probe-2-observation", {-1: (-1, -1), 1: (1, 1)}),
        ("probe-3-discounting", {0: (GAMMA, GAMMA), 1: (1, 1)}),
        ("probe-4-action", {0: (-1, 1)}),
        ("probe-5-both", {-1: (1, -1), 1: (-1, 1)}),
    ],
)
def test_values_of_the_probes_are_learned_by_every_seed(probe, known):
    q = trained(probe, seeds=(0, 1, 2), budget=800).q

    for number, expected in known.items():
        target = torch.tensor([expected] * 3, dtype=torch.float32)
        torch.testing.assert_close(values(q, number), target, atol=0.1, rtol=0)


def test_a_time_limit_is_not_an_end_of_the_world():
    config = replace(QUICK, learning_rate=1e-2, target_every=10)
    q = trained("probe-truncation", seeds=(0, 1, 2), budget=1_500, config=config).q

    torch.testing.assert_close(values(q, 0), torch.full((3, 2), 1 / (1 - GAMMA)), atol=0.1, rtol=0)


def test_the_transition_at_a_time_limit_keeps_its_true_successor_and_its_discount():
    transitions = trained("probe-truncation", budget=30).transitions

    assert (transitions.discount == 1).all()

    steps = trained("cartpole", budget=200).transitions
    ended = steps.discount[:-1, 0, 0] == 0
    assert ended.any()
    follows = (steps.next_obs[:-1, 0, 0] == steps.obs[1:, 0, 0]).all(1)
    assert torch.equal(follows, ~ended)  # the successor at an end is not the next episode's start


def test_a_seed_trains_as_it_would_alone():
    together = trained("cartpole", seeds=range(5))
    alone = trained("cartpole", seeds=(2,))

    for many, one in zip(together.transitions, alone.transitions, strict=True):
        torch.testing.assert_close(many[:, 2:3], one, atol=1e-5, rtol=0)
    for many, one in zip(together.q.parameters, alone.q.parameters, strict=True):
        torch.testing.assert_close(many[2:3], one, atol=1e-5, rtol=0)
    assert [e.value for e in together.trial.runs[2].episodes] == [
        e.value for e in alone.trial.runs[0].episodes
    ]


def test_seeds_differ_in_initial_weights_exploration_and_start():
    outcome = trained("cartpole", seeds=(0, 1), budget=40)  # too short to learn

    assert not outcome.calls["descend"]
    assert all(not torch.equal(*parameter) for parameter in outcome.q.parameters)
    assert not torch.equal(*outcome.transitions.action.unbind(1))
    assert not torch.equal(*outcome.transitions.obs[0])


def test_the_same_seed_trains_bit_for_bit_the_same_with_and_without_evaluation():
    rarely, often = trained("cartpole", points=1), trained("cartpole", points=20)

    assert len(often.trial.runs[0].evaluations) > len(rarely.trial.runs[0].evaluations)
    assert all(map(torch.equal, rarely.transitions, often.transitions))
    assert all(map(torch.equal, rarely.q.parameters, often.q.parameters))


def test_updates_and_copies_happen_when_the_configuration_says():
    config = replace(QUICK, learning_starts=50, train_every=20, updates=3, target_every=70)
    calls = trained("cartpole", budget=150, config=config).calls

    assert calls["descend"] == {60: 3, 80: 3, 100: 3, 120: 3, 140: 3}
    assert calls["copy_"] == {70: 1, 140: 1}


def test_actions_are_uniform_until_learning_starts():
    config = replace(QUICK, epsilon=Linear(0.0, 0.0), learning_starts=400)
    actions = trained("cartpole", budget=800, config=config).transitions.action.flatten()

    assert abs(actions[:400].float().mean() - 0.5) < 5 * 0.5 / 400**0.5


def test_gradient_norms_are_limited_where_the_configuration_says():
    free = trained("cartpole", budget=60).q.parameters
    limited = trained("cartpole", budget=60, config=replace(QUICK, max_gradient_norm=1e-12)).q.parameters
    initial = trained("cartpole", budget=40).q.parameters

    assert all((new - old).abs().max().item() > 1e-3 for new, old in zip(free, initial, strict=True))
    assert all((new - old).abs().max().item() < 1e-3 for new, old in zip(limited, initial, strict=True))


@pytest.mark.parametrize("preset", ["paper", "tutorial", "zoo-cartpole", "zoo-mountaincar", "zoo-acrobot"])
def test_presets_are_configurations(preset):
    (spec,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == "dqn"]
    config = resolve_config(dqn.Config, spec.presets[preset])

    assert config != dqn.Config()


def test_the_loss_of_every_seed_is_recorded():
    trial = trained("cartpole", seeds=(0, 1)).trial
    first, second = ([value for _, name, value in run.diagnostics if name == "loss"] for run in trial.runs)

    assert len(first) == len(second) == 150
    assert first != second
