"""Deep Q-networks: worlds of known value, traps that such networks fall into, and what lockstep must not change."""

import dataclasses
from collections import Counter
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch

import harness_algorithms
import harness_environments
from harness.discovery.config import resolve_config
from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from harness_algorithms import double_dqn, dqn, dueling_dqn, per_dqn
from harness_algorithms.blocks import optim
from harness_algorithms.blocks.q_learning import Transition
from harness_algorithms.blocks.schedules import Linear
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
FAMILY = (dqn, double_dqn, per_dqn, dueling_dqn)
GAMMA = 0.9
QUICK = {
    "discount": GAMMA,
    "epsilon": Linear(1.0, 0.5),
    "learning_rate": 3e-3,
    "batch_size": 32,
    "replay_capacity": 500,
    "learning_starts": 50,
    "target_every": 20,
}

every_algorithm = pytest.mark.parametrize("algorithm", FAMILY, ids=lambda module: module.__name__.rpartition(".")[2])


def quick(algorithm, **changes):
    """A configuration that learns small worlds in a second."""
    sizes = {"shared": (32,), "stream": ()} if algorithm is dueling_dqn else {"hidden": (32,)}
    return algorithm.Config(**{**QUICK, **sizes, **changes})


class Outcome(NamedTuple):
    """What one call of train did."""

    q: Any
    transitions: Transition  # fields [T, S, 1, ...]
    calls: dict[str, Counter]  # calls of the blocks, by the step they came after
    trial: LocalTrial


def watch(patch, owner, name, see):
    """Show every call of a function to ``see(result, *args)``."""
    original = getattr(owner, name)

    def watched(*args, **kwargs):
        result = original(*args, **kwargs)
        see(result, *args)
        return result

    patch.setattr(owner, name, watched)


def replay_of(algorithm: ModuleType) -> type:
    """The class of its memory."""
    return algorithm.PrioritizedReplay if algorithm is per_dqn else algorithm.Replay


def trained(algorithm, environment="cartpole", seeds=(0,), budget=200, points=1, episodes=2, **changes):
    """Train and watch."""
    trial = local_trial(ENVIRONMENTS[environment], seeds, budget, points, episodes, lockstep=True)
    networks, transitions = [], []
    calls = {name: Counter() for name in ("descend", "copy_")}
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, algorithm, "frozen_copy", lambda _, network: networks.append(network))
        watch(patch, replay_of(algorithm), "add", lambda _, __, record: transitions.append(record))
        for name, count in calls.items():
            watch(patch, algorithm, name, lambda *_, count=count: count.update([trial.steps]))
        run_training(trial, algorithm.train, quick(algorithm, **changes))
    columns = (torch.stack(column) for column in zip(*transitions, strict=True))
    return Outcome(networks[0], Transition(*columns), calls, trial)


def values(q, number):
    """Q(number, ·) of a probe, [S, A]."""
    num_seeds = q.parameters[0].shape[0]
    with torch.no_grad():
        return q(torch.full((num_seeds, 1, 1), float(number)))[:, 0]


# Worlds of known value


@every_algorithm
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
    q = trained(algorithm, probe, seeds=(0, 1, 2), budget=450).q

    for number, expected in known.items():
        target = torch.tensor([expected] * 3, dtype=torch.float32)
        torch.testing.assert_close(values(q, number), target, atol=0.1, rtol=0)


@every_algorithm
def test_a_time_limit_is_not_an_end_of_the_world(algorithm):
    q = trained(algorithm, "probe-truncation", seeds=(0, 1, 2), budget=800, learning_rate=1e-2, target_every=10).q

    torch.testing.assert_close(values(q, 0), torch.full((3, 2), 1 / (1 - GAMMA)), atol=0.3, rtol=0)


def test_images_are_learned_by_every_seed():
    changes = {"epsilon": Linear(1.0, 0.1, 0.5), "learning_rate": 2e-3, "target_every": 50}
    trial = trained(dqn, "pixel-catch", (0, 1), 1_200, episodes=20, replay_capacity=1_200, **changes).trial

    for run in trial.runs:
        first, last = ([e.value for e in run.evaluations if e.evaluation == i] for i in (0, 1))
        assert sum(first) / 20 < 0.5 < 0.9 <= sum(last) / 20


@every_algorithm
def test_frames_are_stored_as_bytes_and_train_every_layer(algorithm):
    outcome = trained(algorithm, "pixel-motion", (0, 1), budget=70)
    initial = trained(algorithm, "pixel-motion", (0, 1), budget=40).q

    assert outcome.transitions.obs.dtype == outcome.transitions.next_obs.dtype == torch.uint8
    for new, old in zip(outcome.q.parameters, initial.parameters, strict=True):
        assert (new != old).any(1).all()


@every_algorithm
def test_frames_with_channels_last_are_stored_as_they_are_and_learned_from_as_with_channels_first(algorithm):
    first = trained(algorithm, "pixel-catch", (0, 1), budget=70)
    turned = dataclasses.replace(ENVIRONMENTS["pixel-catch"], wrappers=("support.images:ChannelsLast",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENVIRONMENTS, "pixel-catch", turned)
        last = trained(algorithm, "pixel-catch", (0, 1), budget=70)

    assert torch.equal(last.transitions.obs, first.transitions.obs.movedim(3, 5))
    assert all(torch.equal(a, b) for a, b in zip(last.q.parameters, first.q.parameters, strict=True))


# Transitions


@every_algorithm
def test_the_transition_at_an_end_keeps_its_true_successor_and_its_discount(algorithm):
    assert (trained(algorithm, "probe-truncation", budget=30).transitions.discount == 1).all()

    steps = trained(algorithm).transitions
    ended = steps.discount[:-1, 0, 0] == 0
    assert ended.any()
    follows = (steps.next_obs[:-1, 0, 0] == steps.obs[1:, 0, 0]).all(1)
    assert torch.equal(follows, ~ended)  # the successor at an end is not the next episode's start


@every_algorithm
def test_nothing_is_sampled_before_it_is_stored(algorithm):
    seen = []

    def see(result, *_):
        seen.append(result[2] if algorithm is per_dqn else result)

    with pytest.MonkeyPatch.context() as patch:
        watch(patch, replay_of(algorithm), "sample", see)
        stored = trained(algorithm, budget=20, learning_starts=0).transitions.obs[:, 0, 0]  # [T, O]

    for added, batch in enumerate(seen, 1):
        distance = (batch.obs[0, :, None] - stored[None, :added]).abs().amax(2)  # [B, added]
        assert (distance.amin(1) == 0).all()
    assert len(seen) == 20


@every_algorithm
def test_a_memory_takes_no_more_room_than_the_budget_can_fill(algorithm):
    outcome = trained(algorithm, budget=60, replay_capacity=10**13)

    assert len(outcome.transitions.obs) == 60


# Lockstep


@every_algorithm
def test_a_seed_trains_as_it_would_alone_its_gradient_limited_alone(algorithm):
    together = trained(algorithm, seeds=range(5), budget=150, max_gradient_norm=0.05)
    alone = trained(algorithm, seeds=(2,), budget=150, max_gradient_norm=0.05)

    for many, one in zip(together.transitions, alone.transitions, strict=True):
        torch.testing.assert_close(many[:, 2:3], one, atol=1e-5, rtol=0)
    for many, one in zip(together.q.parameters, alone.q.parameters, strict=True):
        torch.testing.assert_close(many[2:3], one, atol=1e-5, rtol=0)
    assert [e.value for e in together.trial.runs[2].episodes] == [e.value for e in alone.trial.runs[0].episodes]


@every_algorithm
def test_seeds_differ_in_initial_weights_exploration_and_start(algorithm):
    outcome = trained(algorithm, seeds=(0, 1), budget=40)  # too short to learn

    assert not outcome.calls["descend"]
    assert all(not torch.equal(*parameter) for parameter in outcome.q.parameters)
    assert not torch.equal(*outcome.transitions.action.unbind(1))
    assert not torch.equal(*outcome.transitions.obs[0])


@every_algorithm
def test_the_same_seed_trains_bit_for_bit_the_same_with_and_without_evaluation(algorithm):
    rarely, often = trained(algorithm, points=1), trained(algorithm, points=20)

    assert len(often.trial.runs[0].evaluations) > len(rarely.trial.runs[0].evaluations)
    assert all(map(torch.equal, rarely.transitions, often.transitions))
    assert all(map(torch.equal, rarely.q.parameters, often.q.parameters))


@every_algorithm
def test_the_loss_of_every_seed_is_recorded(algorithm):
    trial = trained(algorithm, seeds=(0, 1)).trial
    first, second = ([value for _, name, value in run.diagnostics if name == "loss"] for run in trial.runs)

    assert len(first) == len(second) == 150
    assert first != second


# Schedules


@every_algorithm
def test_learning_and_the_targets_period_are_counted_in_steps_and_not_in_updates(algorithm):
    calls = trained(algorithm, budget=150, train_every=20, updates=3, target_every=70).calls

    assert calls["descend"] == {60: 3, 80: 3, 100: 3, 120: 3, 140: 3}
    assert calls["copy_"] == {70: 1, 140: 1}


@every_algorithm
def test_epsilon_falls_with_steps_and_not_with_updates(algorithm):
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, algorithm, "epsilon_greedy", lambda *call: seen.append(call[3]))
        trained(algorithm, budget=200, train_every=50, epsilon=Linear(1.0, 0.0, 0.5))

    assert seen == pytest.approx([1.0] * 50 + [1 - step / 100 for step in range(50, 100)] + [0.0] * 100)


@every_algorithm
def test_actions_are_uniform_until_learning_starts(algorithm):
    changes = {"epsilon": Linear(0.0, 0.0), "learning_starts": 400}
    actions = trained(algorithm, budget=401, **changes).transitions.action.flatten()

    assert abs(actions[:400].float().mean() - 0.5) < 5 * 0.5 / 400**0.5


@every_algorithm
def test_gradient_norms_are_limited_where_the_configuration_says(algorithm):
    free = trained(algorithm, budget=60, max_gradient_norm=None).q.parameters
    limited = trained(algorithm, budget=60, max_gradient_norm=1e-12).q.parameters
    initial = trained(algorithm, budget=40).q.parameters

    assert all((new - old).abs().max().item() > 1e-3 for new, old in zip(free, initial, strict=True))
    assert all((new - old).abs().max().item() < 1e-3 for new, old in zip(limited, initial, strict=True))


# Double


class Counted:
    """A network that counts how often it is evaluated."""

    def __init__(self, network):
        self.network = network
        self.seen = []

    def __getattr__(self, name):
        return getattr(self.network, name)

    def __call__(self, x):
        self.seen.append(x)
        return self.network(x)

    def record(self, x):
        self.seen.append(x)
        return self.network.record(x)


def learner(algorithm, size=6):
    """What descend of ``algorithm`` takes but its batch's weights: Q, Q⁻, optimiser, batch, configuration."""
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
    config = quick(algorithm)
    box = local_trial(ENVIRONMENTS["cartpole"], (0,), 10, lockstep=True).make_lockstep_env().single_observation_space
    if algorithm is dueling_dqn:
        q = dueling_dqn.dueling_network(box, config, 2, generators)
    else:
        q = algorithm.stacked_network(box, config.hidden, 2, generators)
    shape = (2, size)
    batch = Transition(
        torch.randn(*shape, 4), torch.randint(2, shape), torch.randn(shape), torch.ones(shape), torch.randn(*shape, 4)
    )
    return q, algorithm.frozen_copy(q), optim.adam(q.parameters, 1e-3), batch, config


def test_double_needs_one_evaluation_more_than_dqn_and_it_is_of_the_next_observations():
    for algorithm, names in ((dqn, ["obs"]), (double_dqn, ["obs", "next_obs"])):
        q, frozen_q, optimizer, batch, config = learner(algorithm)
        q, frozen_q = Counted(q), Counted(frozen_q)
        algorithm.descend(q, frozen_q, optimizer, batch, config)

        assert all(map(torch.equal, q.seen, (getattr(batch, name) for name in names)))
        assert len(q.seen) == len(names)
        assert all(map(torch.equal, frozen_q.seen, [batch.next_obs]))


@pytest.mark.parametrize("algorithm", [per_dqn, dueling_dqn], ids=["per_dqn", "dueling_dqn"])
def test_targets_are_those_of_double_dqn_or_of_dqn(algorithm):
    q, frozen_q, _, batch, config = learner(algorithm)
    for parameter in frozen_q.parameters:
        parameter += torch.randn_like(parameter)  # so that it prefers other actions
    values, ours, theirs = (
        network(x).detach() for network, x in ((q, batch.obs), (q, batch.next_obs), (frozen_q, batch.next_obs))
    )
    chosen = {True: theirs.gather(2, ours.argmax(2, keepdim=True)).squeeze(2), False: theirs.max(2).values}
    weight = (torch.ones(2, 6),) if algorithm is per_dqn else ()
    for double, following in chosen.items():
        fresh = q.copy()
        for parameter in fresh.parameters:
            parameter.requires_grad_()
        optimizer = optim.adam(fresh.parameters, 0.0)
        error = algorithm.descend(
            fresh, frozen_q, optimizer, batch, *weight, dataclasses.replace(config, double=double)
        )
        taken = values.gather(2, batch.action.unsqueeze(2)).squeeze(2)
        torch.testing.assert_close(error, batch.reward + config.discount * following - taken)
    assert not torch.equal(chosen[True], chosen[False])


# Prioritized replay


def test_weights_multiply_the_loss_and_never_the_errors_that_priorities_come_from():
    q, frozen_q, _, batch, config = learner(per_dqn)
    errors, gradients = [], []
    for weight in (torch.ones(2, 6), torch.full((2, 6), 0.25)):
        fresh = q.copy()
        fresh.flat.requires_grad_()
        errors.append(per_dqn.descend(fresh, frozen_q, optim.adam(fresh.parameters, 0.0), batch, weight, config))
        gradients.append(fresh.flat.grad)

    torch.testing.assert_close(errors[0], errors[1])
    torch.testing.assert_close(gradients[0] / 4, gradients[1])


def test_every_sampled_transition_gets_the_priority_of_its_new_error():
    samples, updates, errors = [], [], []
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, per_dqn.PrioritizedReplay, "sample", lambda result, *_: samples.append(result))
        watch(patch, per_dqn.PrioritizedReplay, "update", lambda _, __, *args: updates.append(args))
        watch(patch, per_dqn, "descend", lambda error, *_: errors.append(error))
        trained(per_dqn, budget=60, updates=2)

    assert len(samples) == len(updates) == len(errors) == 20
    for (sampled, weight, _), (index, given), error in zip(samples, updates, errors, strict=True):
        assert torch.equal(index, sampled) and torch.equal(given, error)
        assert weight.isfinite().all() and (weight <= 1).all()  # long before the memory is full


def test_beta_reaches_its_end_at_the_budget_counted_from_the_first_sample():
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, per_dqn.PrioritizedReplay, "sample", lambda _, __, beta: seen.append(beta))
        trained(per_dqn, budget=150, beta=Linear(0.4, 1.0))

    assert seen == pytest.approx([0.4 + 0.6 * (step - 50) / 100 for step in range(50, 151)][1:], abs=0.01)


@pytest.mark.parametrize("scale", ["memory", "batch"])
def test_the_largest_weight_is_1_in_the_memory_or_in_the_batch(scale):
    weights = []
    with pytest.MonkeyPatch.context() as patch:
        watch(patch, per_dqn.PrioritizedReplay, "sample", lambda result, *_: weights.append(result[1]))
        trained(per_dqn, budget=200, weight_scale=scale, batch_size=4)

    largest = torch.stack(weights).amax(2)
    assert (largest <= 1).all()
    assert (largest == 1).all() == (scale == "batch")


# Dueling


def test_the_value_stream_does_not_act():
    q, *_, batch, _ = learner(dueling_dqn)
    before, q.value.flat.data = q.advantages(batch.obs), q.value.flat.data + 1

    assert torch.equal(q.advantages(batch.obs), before)
    assert torch.equal(q(batch.obs).argmax(2), before.argmax(2))


def test_the_gradient_into_the_features_is_that_of_both_streams_over_the_root_of_2():
    q, *_, batch, _ = learner(dueling_dqn)
    features = q.torso(batch.obs).relu()
    plain = dueling_dqn.dueling_values(q.value(features), q.advantage(features))
    weight = torch.randn_like(plain)
    expected = torch.autograd.grad((plain * weight).sum(), q.parameters)
    found = torch.autograd.grad((q(batch.obs) * weight).sum(), q.parameters)

    torch.testing.assert_close(q(batch.obs), plain)
    torch.testing.assert_close(found[0], expected[0] / 2**0.5)
    torch.testing.assert_close(found[1:], expected[1:])


def test_a_dueling_network_without_a_shared_layer_is_refused():
    with pytest.raises(ValueError, match="shared"):
        dueling_dqn.Config(shared=())


# Presets


def presets():
    specs = {spec.name: spec for spec in harness_algorithms.harness_algorithms()}
    for algorithm in FAMILY:
        for name, preset in specs[algorithm.__name__.rpartition(".")[2]].presets.items():
            yield pytest.param(algorithm, preset, id=f"{algorithm.__name__.rpartition('.')[2]}:{name}")


@pytest.mark.parametrize(("algorithm", "preset"), list(presets()))
def test_presets_are_configurations(algorithm, preset):
    config = dataclasses.asdict(resolve_config(algorithm.Config, preset))

    assert config != dataclasses.asdict(algorithm.Config())


PRESETS = {spec.name: spec.presets for spec in harness_algorithms.harness_algorithms()}


@pytest.mark.parametrize(
    ("name", "preset", "budget", "first", "last"),  # steps at which the script learns first, and at which its ε is 0.1
    [
        ("dqn", "tutorial-cartpole", 20_000, 1_000, 1_900),  # 900 updates of 0.001
        ("dqn", "tutorial-mountaincar", 20_000, 1_000, 5_500),  # 4,500 of 0.0002
        ("double_dqn", "tutorial", 23_000, 3_000, 3_900),
        ("per_dqn", "tutorial", 70_000, 10_000, 28_000),  # 18,000 of 0.00005
        ("dueling_dqn", "tutorial", 18_000, 3_000, 3_900),
    ],
)
def test_the_tutorials_epsilon_falls_from_1_to_a_tenth_between_the_steps_of_its_script(
    name, preset, budget, first, last
):
    module = {"dqn": dqn, "double_dqn": double_dqn, "per_dqn": per_dqn, "dueling_dqn": dueling_dqn}[name]
    config = resolve_config(module.Config, PRESETS[name][preset])

    assert config.learning_starts == first
    middle = (first + last) / 2
    found = [config.epsilon(step / budget) for step in (first, middle, last, budget)]
    assert found == pytest.approx([1.0, 0.55, 0.1, 0.1])


@pytest.mark.parametrize("name", ["dqn", "double_dqn", "per_dqn", "dueling_dqn", "c51", "qr_dqn", "rainbow"])
def test_paper_presets_have_natures_layer_and_one_factor_between_their_counts_and_the_papers(name):
    preset = PRESETS[name]["paper"]
    target = {"per_dqn": 30_000, "rainbow": 8_000}.get(name, 10_000)  # steps of the agent, each of 4 frames
    starts = 20_000 if name == "rainbow" else 50_000

    assert preset.get("hidden", preset.get("stream")) == (512,)
    factors = {
        1_000_000 / preset["replay_capacity"],
        starts / preset["learning_starts"],
        target / preset["target_every"],
    }
    assert factors == {20}
    assert preset["train_every"] == 4


def test_what_the_tutorial_compares_with_differs_in_nothing_but_the_improvement():
    pairs = {
        "tutorial-pendulum-11": ("double_dqn", set()),
        "tutorial-mountaincar-plus10": (
            "per_dqn",
            {"double", "alpha", "beta", "priority_epsilon", "largest_error", "weight_scale"},
        ),
        "tutorial-pendulum-25": ("dueling_dqn", {"double", "hidden", "shared", "stream"}),
    }
    for plain, (name, improvement) in pairs.items():
        ours, theirs = PRESETS["dqn"][plain], PRESETS[name]["tutorial"]
        differing = {key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)}
        assert differing == improvement
