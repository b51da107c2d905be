"""Laws of returns: losses by hand and by other implementations, known worlds, and what lockstep must not change."""

import math
from collections import Counter
from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import harness_algorithms
import harness_environments
from harness.discovery.config import resolve_config
from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from harness_algorithms import c51, qr_dqn, rainbow
from harness_algorithms.blocks import laws, optim
from harness_algorithms.blocks.laws import Support
from harness_algorithms.blocks.q_learning import Transition
from harness_algorithms.blocks.schedules import Linear
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
SPECS = {spec.name: spec for spec in harness_algorithms.harness_algorithms()}
GAMMA = 0.9
COMMON: dict[str, Any] = {
    "discount": GAMMA,
    "hidden": (32,),
    "learning_rate": 3e-3,
    "adam_epsilon": 1e-8,
    "batch_size": 32,
    "replay_capacity": 500,
    "learning_starts": 50,
    "target_every": 20,
    "train_every": 1,
}
PROBE_SUPPORT = Support(-2.0, 2.0, 21)
QUICK: dict[Any, Any] = {
    c51: c51.Config(**COMMON, epsilon=Linear(1.0, 0.5), support=PROBE_SUPPORT),
    qr_dqn: qr_dqn.Config(**COMMON, epsilon=Linear(1.0, 0.5), quantiles=8),
    rainbow: rainbow.Config(**COMMON, support=PROBE_SUPPORT),
}
SIMPLE = (c51, qr_dqn)  # one network, ε-greedy
of_simple = pytest.mark.parametrize("algorithm", SIMPLE)
of_all = pytest.mark.parametrize("algorithm", QUICK)


class Outcome(NamedTuple):
    """What one call of train did."""

    network: Any
    transitions: Transition  # fields [T, S, 1, ...]
    calls: dict[str, Counter]  # calls of the blocks, by the step they came after
    trial: LocalTrial
    config: Any

    def laws(self, obs):
        """Of all actions, [S, B, A, M]: quantiles or probabilities."""
        with torch.no_grad():
            outputs = self.network(obs)
        if isinstance(self.config, qr_dqn.Config):
            return outputs.unflatten(2, (-1, self.config.quantiles))
        return outputs.reshape(*obs.shape[:2], -1, self.config.support.atoms).softmax(3)

    def values(self, obs):
        """Q, [S, B, A]."""
        if isinstance(self.config, qr_dqn.Config):
            return self.laws(obs).mean(3)
        return self.laws(obs) @ self.config.support.on(torch.device("cpu"))

    def at(self, number):
        """Q(number, ·) of a probe, [S, A]."""
        return self.values(torch.full((len(self.trial.runs), 1, 1), float(number)))[:, 0]


def watch(patch, owner, name, see):
    """Show every call of a function to ``see(result, *args)``."""
    original = getattr(owner, name)

    def watched(*args, **kwargs):
        result = original(*args, **kwargs)
        see(result, *args)
        return result

    patch.setattr(owner, name, watched)


def trained(algorithm, environment="cartpole", seeds=(0,), budget=150, points=1, **changes):
    """Train and watch."""
    config = replace(QUICK[algorithm], **changes)
    trial = local_trial(ENVIRONMENTS[environment], seeds, budget, points, episodes=2, lockstep=True)
    networks, transitions = [], []
    calls = {name: Counter() for name in ("descend", "copy_")}
    memory = algorithm.PrioritizedReplay if algorithm is rainbow else algorithm.Replay
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, algorithm, "frozen_copy", lambda _, network: networks.append(network))
        watch(patch, memory, "add", lambda _, __, record: transitions.append(record))
        for name, count in calls.items():
            watch(patch, algorithm, name, lambda *_, count=count: count.update([trial.steps]))
        run_training(trial, algorithm.train, config)
    columns = (torch.stack(column) for column in zip(*transitions, strict=True))
    return Outcome(networks[0], Transition(*columns), calls, trial, config)


def batch_of(size, num_actions=3, num_seeds=2, observation=(4,), terminated=0.3):
    """Random transitions, some of which ended the episode."""
    shape = (num_seeds, size)
    return Transition(
        torch.randn(*shape, *observation),
        torch.randint(num_actions, shape),
        torch.randn(shape),
        (torch.rand(shape) > terminated).float(),
        torch.randn(*shape, *observation),
    )


def one(reward, discount, action=0):
    """A batch of one transition."""
    obs, numbers = torch.zeros(1, 1, 1), [torch.tensor([[float(x)]]) for x in (reward, discount)]
    return Transition(obs, torch.tensor([[action]]), *numbers, obs)


# ---- C51's loss

ATOMS = torch.tensor([-1.0, 0.0, 1.0, 2.0])


def logits_of(*laws_of_actions):
    """Logits [1, 1, A, M] of given probabilities."""
    return torch.tensor([[laws_of_actions]]).log()


def test_the_target_is_the_projected_law_of_the_action_best_by_expectation():
    even, high = (0.25, 0.25, 0.25, 0.25), (0.0, 0.5, 0.0, 0.5)  # means 0.5 and 1

    law = c51.target(logits_of(even, high), one(reward=0.5, discount=1.0), ATOMS, discount=0.5)

    # atoms 0 and 2 move to 0.5, between the atoms 0 and 1, and to 1.5, between 1 and 2
    torch.testing.assert_close(law, torch.tensor([[[0.0, 0.25, 0.5, 0.25]]]))


def test_the_best_action_has_the_best_mean_and_not_the_likeliest_high_return():
    gamble, sure = (0.6, 0.0, 0.0, 0.4), (0.0, 0.0, 1.0, 0.0)  # means 0.2 and 1

    law = c51.target(logits_of(gamble, sure), one(reward=0.0, discount=1.0), ATOMS, discount=1.0)

    torch.testing.assert_close(law, torch.tensor([[sure]]))


@pytest.mark.parametrize(
    ("reward", "expected"),
    [
        (1.0, (0.0, 0.0, 1.0, 0.0)),  # on an atom, where floor and ceiling of its position are the same
        (1.25, (0.0, 0.0, 0.75, 0.25)),
        (7.0, (0.0, 0.0, 0.0, 1.0)),  # beyond the support
        (-7.0, (1.0, 0.0, 0.0, 0.0)),
    ],
)
def test_at_a_terminal_state_all_mass_is_at_the_reward_clipped_to_the_support(reward, expected):
    logits = torch.randn(1, 1, 2, 4)

    law = c51.target(logits, one(reward, discount=0.0), ATOMS, discount=0.99)

    torch.testing.assert_close(law, torch.tensor([[expected]]))


def test_a_time_limit_is_no_terminal_state_for_the_target():
    logits = logits_of((0.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 0.0))

    law = c51.target(logits, one(reward=0.5, discount=1.0), ATOMS, discount=0.5)

    torch.testing.assert_close(law @ ATOMS, torch.tensor([[1.0]]))  # 0.5 + 0.5 · 1


def test_the_gradient_of_the_loss_is_the_law_less_the_target_averaged_over_the_batch():
    logits = torch.randn(2, 5, 7, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 5, 7, dtype=torch.float64).softmax(2)
    laws.cross_entropy(logits, target).mean(1).sum().backward()

    torch.testing.assert_close(logits.grad, (logits.softmax(2) - target).detach() / 5)


def test_a_probability_of_zero_leaves_the_loss_and_its_gradient_finite():
    logits = torch.tensor([[[0.0, -1e4]]], requires_grad=True)  # softmax gives 0, whose logarithm is −∞
    target = torch.tensor([[[0.5, 0.5]]])
    for loss in (laws.cross_entropy, laws.divergence):
        value = loss(logits, target)
        (gradient,) = torch.autograd.grad(value.sum(), logits)

        assert torch.isfinite(value).all()
        torch.testing.assert_close(gradient, torch.tensor([[[0.5, -0.5]]]))


@given(st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_the_divergence_is_that_of_torch_and_nothing_where_laws_agree(seed):
    generator = torch.Generator().manual_seed(seed)
    logits, target = (torch.randn(3, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    target = target.masked_fill(target < target.amax(1, keepdim=True) - 2, -torch.inf).softmax(1)  # with zeros
    expected = torch.distributions.kl_divergence(
        torch.distributions.Categorical(target), torch.distributions.Categorical(logits=logits)
    )

    torch.testing.assert_close(laws.divergence(logits, target), expected)
    torch.testing.assert_close(laws.divergence(logits, logits.softmax(1)), torch.zeros(3, dtype=torch.float64))


class Constant:
    """A network whose output is its parameter, whatever it sees: [S, B, A · M]."""

    def __init__(self, output):
        self.output = output.flatten(2).clone().requires_grad_()

    def __call__(self, obs, noise=None):
        return self.output


def test_the_next_action_is_the_frozen_networks_and_so_is_its_law():
    z = Constant(logits_of((0.1, 0.1, 0.1, 0.7), (0.7, 0.1, 0.1, 0.1)))  # action 0 is best
    frozen_z = Constant(logits_of((0.25, 0.25, 0.25, 0.25), (0.1, 0.1, 0.2, 0.6)))  # action 1 is best
    config = c51.Config(discount=1.0)
    loss = c51.descend(z, frozen_z, torch.optim.SGD([z.output], 0.0), one(0.0, 1.0, action=0), ATOMS, config)

    expected = -sum(m * math.log(p) for m, p in zip((0.1, 0.1, 0.2, 0.6), (0.1, 0.1, 0.1, 0.7), strict=True))
    assert loss.item() == pytest.approx(expected)
    assert frozen_z.output.grad is None


@pytest.mark.parametrize("bad", [(1.0, 1.0, 5), (2.0, 1.0, 5), (0.0, 1.0, 1)])
def test_a_support_without_width_is_refused(bad):
    with pytest.raises(ValueError, match="at least 2 atoms"):
        Support(*bad)


def test_returns_beyond_the_support_are_learned_as_its_edge():
    outcome = trained(c51, "probe-truncation", budget=400, support=Support(0.0, 5.0, 11))  # returns are 10

    torch.testing.assert_close(outcome.at(0), torch.full((1, 2), 5.0), atol=0.3, rtol=0)


# ---- QR-DQN's loss


def test_quantiles_are_midpoints():
    torch.testing.assert_close(qr_dqn.midpoints(4, "cpu"), torch.tensor([0.125, 0.375, 0.625, 0.875]))


def test_the_target_quantiles_are_those_of_the_action_best_by_their_mean():
    quantiles = torch.tensor([[[[0.0, 0.0, 9.0], [4.0, 4.0, 4.0]]]])  # the median says the same, the maximum not

    goal = qr_dqn.target(quantiles, one(reward=1.0, discount=1.0), discount=0.5)
    terminal = qr_dqn.target(quantiles, one(reward=1.0, discount=0.0), discount=0.5)

    assert goal.tolist() == [[[3.0, 3.0, 3.0]]]
    assert terminal.tolist() == [[[1.0, 1.0, 1.0]]]


def test_the_quantile_loss_is_summed_over_predictions_and_averaged_over_targets_as_in_sb3_contrib():
    utils = pytest.importorskip("sb3_contrib.common.utils")
    theta, goal = (3 * torch.randn(2, 5, 7) for _ in range(2))
    loss = qr_dqn.quantile_loss(theta, goal, threshold=1.0).mean(1)

    for seed in range(2):
        torch.testing.assert_close(loss[seed], utils.quantile_huber_loss(theta[seed], goal[seed]))


def test_descending_the_quantile_loss_finds_quantiles():
    goal = torch.linspace(-3, 3, 2001)[None, None]
    theta = torch.zeros(1, 1, 5, requires_grad=True)
    optimizer = torch.optim.Adam([theta], 0.02)
    for _ in range(400):
        optim.descend(optimizer, qr_dqn.quantile_loss(theta, goal, threshold=0.01).mean(1))

    expected = goal.quantile(qr_dqn.midpoints(5, "cpu"))
    torch.testing.assert_close(theta.detach()[0, 0], expected, atol=0.06, rtol=0)


# ---- Rainbow's parts


def projected_by_loops(law, reward, discount, support):
    """Algorithm 1 of C51 in Python floats."""
    low, high = float(support[0]), float(support[-1])
    width = float(support[1] - support[0])
    mass = [0.0] * len(support)
    for p, z in zip(law.tolist(), support.tolist(), strict=True):
        position = (min(max(reward + discount * z, low), high) - low) / width
        below = min(int(position), len(support) - 2)
        mass[below] += p * (below + 1 - position)
        mass[below + 1] += p * (position - below)
    return torch.tensor(mass)


def published_streams(network, seed, obs, noise):
    """Logits [A, M] of one observation, layer by layer, from the parameters of one seed."""
    outputs, at = [], 0
    for stream in (network.value, network.advantage):
        means, scales = stream.flat[seed].detach()
        x, first = obs, 0
        for i, (inputs, units) in enumerate(zip(stream.sizes, stream.sizes[1:], strict=False)):
            entering, leaving = noise[seed, at : at + inputs + units].split((inputs, units))
            at += inputs + units
            entering, leaving = (n.sign() * n.abs().sqrt() for n in (entering, leaving))
            epsilon = torch.cat([torch.outer(leaving, entering).flatten(), leaving])
            weights = means[first : first + len(epsilon)] + scales[first : first + len(epsilon)] * epsilon
            first += len(epsilon)
            x = weights[: inputs * units].view(units, inputs) @ x + weights[inputs * units :]
            x = x if i == len(stream.sizes) - 2 else x.clamp(min=0)
        outputs.append(x)
    value, advantages = outputs[0], outputs[1].view(-1, len(outputs[0]))
    return torch.stack([value + a - advantages.mean(0) for a in advantages])


class Draws:
    """A stream of given noises."""

    def __init__(self, *noises):
        self.noises = list(noises)

    def __call__(self):
        return self.noises.pop(0)


def random_rainbow(seeds=(0, 1), num_actions=3):
    config = rainbow.Config(support=Support(-2.0, 2.0, 5), hidden=(6,))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return rainbow.rainbow_network(gymnasium.spaces.Box(-1, 1, (4,)), config, num_actions, generators), config


def test_rainbows_loss_is_the_composition_of_its_parts_by_an_independent_implementation():
    z, config = random_rainbow()
    frozen_z, _ = random_rainbow(seeds=(8, 9))
    support, batch = config.support.on(torch.device("cpu")), batch_of(6)
    batch = batch._replace(discount=GAMMA**3 * batch.discount)
    next_noise, frozen_noise, noise = noises = [torch.randn(2, z.noise_size) for _ in range(3)]
    weight = torch.rand(2, 6)
    expected = torch.zeros(2, 6)
    for seed in range(2):
        for row in range(6):
            next_logits = published_streams(z, seed, batch.next_obs[seed, row], next_noise)
            values = [float(law @ support) for law in next_logits.softmax(1)]
            best = values.index(max(values))
            law = published_streams(frozen_z, seed, batch.next_obs[seed, row], frozen_noise)[best].softmax(0)
            target = projected_by_loops(law, float(batch.reward[seed, row]), float(batch.discount[seed, row]), support)
            logits = published_streams(z, seed, batch.obs[seed, row], noise)[batch.action[seed, row]]
            expected[seed, row] = torch.distributions.kl_divergence(
                torch.distributions.Categorical(target), torch.distributions.Categorical(logits=logits)
            )
    losses = []
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, rainbow.optim, "descend", lambda _, __, loss, *___: losses.append(loss.detach()))
        optimizer = optim.adam(z.parameters, 1e-3)
        error = rainbow.descend(z, frozen_z, optimizer, batch, weight, Draws(*noises), support, None)

    torch.testing.assert_close(error, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(losses[0], (weight * expected).mean(1), atol=1e-5, rtol=1e-4)


def test_in_rainbow_the_online_network_chooses_and_the_frozen_one_evaluates():
    online = logits_of((0.1, 0.1, 0.1, 0.7), (0.7, 0.1, 0.1, 0.1))  # action 0 is best
    frozen = logits_of((0.4, 0.2, 0.2, 0.2), (0.1, 0.1, 0.2, 0.6))  # action 1 is best

    error = rainbow.divergence(online, online, frozen, one(0.0, 1.0), ATOMS)

    pairs = zip((0.4, 0.2, 0.2, 0.2), (0.1, 0.1, 0.1, 0.7), strict=True)
    assert error.item() == pytest.approx(sum(m * math.log(m / p) for m, p in pairs), rel=1e-5)


def test_what_the_advantages_share_does_not_change_a_law_atom_by_atom():
    z, _ = random_rainbow()
    obs = torch.randn(2, 3, 4)
    before = z(obs)
    with torch.no_grad():
        bias = z.advantage.flat[:, 0, -15:].unflatten(1, (3, 5))  # of three actions and five atoms
        bias += torch.randn(5)

    torch.testing.assert_close(z(obs), before)
    torch.testing.assert_close(before.mean(2), z.value(obs))


def test_noise_is_drawn_anew_for_every_action_and_thrice_for_every_update():
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, rainbow.RainbowNetwork, "__call__", lambda _, __, ___, noise=None: seen.append(noise))
        trained(rainbow, budget=60)
    drawn = [noise for noise in seen if noise is not None]

    assert len(drawn) == 60 + 3 * 10  # an update after each of the last ten steps
    assert len({float(noise[0, 0]) for noise in drawn}) == len(drawn)
    assert any(noise is None for noise in seen)  # evaluation has none


def test_priorities_are_divergences_without_the_weights_of_the_loss():
    errors, given_back = [], []
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, rainbow, "descend", lambda error, *_: errors.append(error))
        watch(patch, rainbow.PrioritizedReplay, "update", lambda _, __, ___, e: given_back.append(e))
        trained(rainbow, budget=60)

    assert len(errors) == 10
    assert all(map(torch.equal, errors, given_back))


def test_some_transition_of_every_batch_takes_rainbows_whole_step():
    weights = []
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, rainbow.PrioritizedReplay, "sample", lambda result, *_: weights.append(result[1]))
        trained(rainbow, budget=60)

    assert torch.equal(torch.stack(weights).amax(2), torch.ones(10, 1))


def test_rainbows_transitions_span_n_steps():
    outcome = trained(rainbow, "probe-truncation", budget=30, steps=3)
    reward, discount = (x[:, 0, 0] for x in (outcome.transitions.reward, outcome.transitions.discount))

    assert len(reward) == 28
    spans = [3, 3, 3, 3, 3, 3, 3, 3, 2, 1] * 3  # a time limit after ten steps
    expected = torch.tensor(spans[:28], dtype=torch.float32)
    torch.testing.assert_close(discount, GAMMA**expected)
    torch.testing.assert_close(reward, (1 - GAMMA**expected) / (1 - GAMMA))


# ---- worlds of known value


@of_simple
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
def test_values_of_the_probes_are_learned_by_every_seed(algorithm, probe, known):
    outcome = trained(algorithm, probe, seeds=(0, 1, 2), budget=500)

    for number, expected in known.items():
        target = torch.tensor([expected] * 3, dtype=torch.float32)
        torch.testing.assert_close(outcome.at(number), target, atol=0.1, rtol=0)


@pytest.mark.parametrize(
    ("probe", "known"),
    [
        ("probe-1-constant", {0: 1}),
        ("probe-2-observation", {-1: -1, 1: 1}),
        ("probe-3-discounting", {0: GAMMA, 1: 1}),
        ("probe-4-action", {0: 1}),
        ("probe-5-both", {-1: 1, 1: 1}),
    ],
)
def test_values_of_the_best_actions_are_learned_by_rainbow(probe, known):
    outcome = trained(rainbow, probe, seeds=(0, 1), budget=350)

    for number, expected in known.items():
        torch.testing.assert_close(outcome.at(number).amax(1), torch.full((2,), float(expected)), atol=0.1, rtol=0)


@of_all
def test_a_time_limit_is_not_an_end_of_the_world(algorithm):
    wide = {} if algorithm is qr_dqn else {"support": Support(0.0, 12.0, 25)}
    changes = {"learning_rate": 1e-2, "target_every": 10, **wide}
    outcome = trained(algorithm, "probe-truncation", seeds=(0, 1), budget=600, **changes)

    best = outcome.at(0).amax(1)
    torch.testing.assert_close(best, torch.full((2,), 1 / (1 - GAMMA)), atol=0.2, rtol=0)


def cramer_distance(first, second):
    """∫ (F − G)² of two laws, each a pair of atoms and their probabilities (Bellemare et al., arXiv:1705.10743)."""
    grid = torch.linspace(-3, 3, 6001)
    cumulated = [((atoms <= grid[:, None]) * probabilities).sum(1) for atoms, probabilities in (first, second)]
    return float((cumulated[0] - cumulated[1]).square().sum() * (grid[1] - grid[0]))


@of_simple
def test_the_law_of_a_return_with_two_modes_is_learned_as_no_point_estimate_can(algorithm):
    changes = {
        c51: {"support": Support(-1.5, 2.5, 81), "batch_size": 128, "learning_rate": 1e-3},
        qr_dqn: {"quantiles": 16, "huber_threshold": 0.05},
    }[algorithm]
    outcome = trained(
        algorithm, "bimodal-chain", seeds=(0, 1), budget=2_000, epsilon=Linear(1.0, 0.1, until=0.3),
        replay_capacity=2_000, target_every=50, **changes,
    )  # fmt: skip
    start = torch.eye(5)[None, :1].expand(2, 1, 5)
    learned = outcome.laws(start)[:, 0, 1]  # [S, M]
    half = torch.tensor([0.5, 0.5])
    truth = GAMMA**4 * torch.tensor([-1.0, 2.0]), half
    points = [cramer_distance((torch.tensor([x]), torch.ones(1)), truth) for x in torch.linspace(-1, 2, 31)]

    assert min(points) > 0.4
    for law in learned:
        atoms = (
            (law, torch.full_like(law, 1 / len(law)))
            if algorithm is qr_dqn
            else (outcome.config.support.on(torch.device("cpu")), law)
        )
        assert cramer_distance(atoms, truth) < 0.05
    # The mean is that of what was paid, which luck keeps from being 1/2.
    paid = outcome.transitions.obs[..., 4].bool() & (outcome.transitions.action == 1)  # [T, S, 1]
    mean = (outcome.transitions.reward * paid).sum((0, 2)) / paid.sum((0, 2))
    torch.testing.assert_close(outcome.values(start)[:, 0, 1], GAMMA**4 * mean, atol=0.2, rtol=0)


# ---- training


@of_all
def test_a_seed_trains_as_it_would_alone(algorithm):
    together, alone = (trained(algorithm, seeds=seeds) for seeds in (range(3), (2,)))

    for many, one in zip(together.transitions, alone.transitions, strict=True):
        torch.testing.assert_close(many[:, 2:3], one, atol=1e-5, rtol=0)
    for many, one in zip(together.network.parameters, alone.network.parameters, strict=True):
        torch.testing.assert_close(many[2:3], one, atol=1e-4, rtol=0)


@of_all
def test_the_same_seed_trains_bit_for_bit_the_same_with_and_without_evaluation(algorithm):
    rarely, often = (trained(algorithm, points=points, budget=100) for points in (1, 10))

    assert len(often.trial.runs[0].evaluations) > len(rarely.trial.runs[0].evaluations)
    assert all(map(torch.equal, rarely.transitions, often.transitions))
    assert all(map(torch.equal, rarely.network.parameters, often.network.parameters))


@of_all
def test_seeds_differ_in_initial_weights_exploration_and_start(algorithm):
    outcome = trained(algorithm, seeds=(0, 1), budget=40)  # too short to learn

    assert not outcome.calls["descend"]
    assert all(not torch.equal(*parameter) for parameter in outcome.network.parameters)
    assert not torch.equal(*outcome.transitions.action.unbind(1))
    assert not torch.equal(*outcome.transitions.obs[0])


@of_all
def test_updates_and_copies_happen_when_the_configuration_says(algorithm):
    several = {} if algorithm is rainbow else {"updates": 3}
    calls = trained(algorithm, budget=110, train_every=20, target_every=50, **several).calls

    assert calls["descend"] == dict.fromkeys((60, 80, 100), several.get("updates", 1))
    assert calls["copy_"] == {50: 1, 100: 1}


@of_simple
def test_gradient_norms_are_limited_where_the_configuration_says(algorithm):
    free, limited, initial = (
        trained(algorithm, budget=budget, max_gradient_norm=norm).network.parameters
        for budget, norm in ((60, None), (60, 1e-12), (40, None))
    )

    assert all((new - old).abs().max() > 1e-3 for new, old in zip(free, initial, strict=True))
    assert all((new - old).abs().max() < 1e-3 for new, old in zip(limited, initial, strict=True))


@of_all
def test_a_memory_takes_no_more_room_than_the_budget_can_fill(algorithm):
    calls = trained(algorithm, budget=60, replay_capacity=10**13).calls

    assert sum(calls["descend"].values()) == 10


def test_rainbow_waits_for_its_first_transition_where_learning_starts_at_once():
    calls = trained(rainbow, budget=10, learning_starts=0, steps=3).calls

    assert calls["descend"] == dict.fromkeys(range(3, 11), 1)


@of_all
def test_frames_are_learned_from(algorithm):
    outcome = trained(algorithm, "pixel-catch", seeds=(0, 1), budget=54)

    assert outcome.transitions.obs.dtype == torch.uint8
    assert sum(outcome.calls["descend"].values()) == 4
    assert all(torch.isfinite(parameter).all() for parameter in outcome.network.parameters)
    assert len(outcome.network.parameters) == (3 if algorithm is rainbow else 2)


@of_all
def test_the_loss_of_every_seed_is_recorded(algorithm):
    trial = trained(algorithm, seeds=(0, 1), budget=60).trial
    first, second = ([value for _, name, value in run.diagnostics if name == "loss"] for run in trial.runs)

    assert len(first) == len(second) == 10
    assert first != second


@pytest.mark.parametrize(
    ("algorithm", "preset"), [(name, preset) for name in ("c51", "qr_dqn", "rainbow") for preset in SPECS[name].presets]
)
def test_presets_are_configurations(algorithm, preset):
    config_class = {"c51": c51, "qr_dqn": qr_dqn, "rainbow": rainbow}[algorithm].Config

    assert resolve_config(config_class, SPECS[algorithm].presets[preset]) != config_class()
