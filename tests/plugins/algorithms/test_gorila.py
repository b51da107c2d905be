"""Gorila: what its parameter server, filter and memories must do, and that one bundle of it is DQN."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import harness_algorithms
import harness_environments
from harness.discovery.config import resolve_config
from harness.measuring.training import run_training
from harness.testing import algorithm_checks
from harness_algorithms import dqn, gorila
from harness_algorithms.blocks import q_learning
from harness_algorithms.blocks.networks import flattened
from harness_algorithms.blocks.optim import adagrad_
from harness_algorithms.blocks.outliers import Usual
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.parallel import parameter_server
from harness_algorithms.parallel.cluster import Cluster
from harness_algorithms.parallel.parameter_server import Shard, Slope
from harness_algorithms.parallel.shared_replay import SharedReplay
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}
SMALL = gorila.Config(
    actors=2, hidden=(16,), batch_size=8, learning_starts=16, target_every=10, replay_capacity=400, epsilon_updates=200
)
BUDGET = 300


def trained(config, seeds=(0, 1), budget=BUDGET, task="cartpole", **told):
    """Train; returns the trial and the shards of the server."""
    made = []

    def shard(*given):
        made.append(Shard(*given))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gorila, "Shard", shard)
        trial = local_trial(ENVIRONMENTS[task], seeds, budget=budget, episodes=2, lockstep=True, **told)
        run_training(trial, gorila.train, config)
    return trial, made


def episodes(trial):
    return [[(episode[0], *episode[3:]) for episode in run.episodes] for run in trial.runs]


def logged(trial, name, run=0):
    return [value for _, what, value in trial.runs[run].diagnostics if what == name]


def slope(learner=0, version=0, gradient=1.0, usual=True, seconds=0.0, size=1):
    flat = torch.full((1, size), gradient)
    return Slope(learner, flat, torch.ones(1), torch.tensor([usual]), torch.tensor([version]), seconds)


def test_adagrad_is_that_of_torch():
    flat = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    ours, squares, theirs = flat.clone(), torch.zeros(3, 5), flat.clone().requires_grad_()
    optimizer = torch.optim.Adagrad([theirs], lr=0.3)
    for step in range(4):
        theirs.grad = torch.randn(3, 5, generator=torch.Generator().manual_seed(step))
        adagrad_(ours, squares, theirs.grad, 0.3)
        optimizer.step()
        torch.testing.assert_close(ours, theirs.detach())


def test_staleness_is_the_servers_version_now_less_the_one_that_was_pulled():
    shard = Shard(torch.zeros(1, 1), 2, 1.0, 100, max_staleness=1)
    for learner in (0, 1):
        shard.pushed(slope(learner, version=0))  # 0 and 1 updates old
    assert shard.updates.sum() == 2
    before = shard.flat.clone()
    shard.pushed(slope(0, version=0))  # 2 updates old
    assert torch.equal(shard.flat, before)
    assert (int(shard.updates.sum()), shard.stale.tolist()) == (2, [[1], [0]])
    shard.pushed(slope(0, version=2))
    assert shard.updates.sum() == 3


def test_a_gradient_can_be_too_old_by_the_clock_too():
    shard = Shard(torch.zeros(1, 1), 1, 1.0, 100, max_seconds=0.5)
    shard.pushed(slope(seconds=0.5))
    shard.pushed(slope(seconds=0.6, version=1))
    assert (int(shard.updates.sum()), int(shard.stale.sum())) == (1, 1)


def test_the_clock_of_a_learner_is_that_of_the_backend():
    config = replace(SMALL, cluster=Cluster(work_seconds=1.0, jitter=0.0), max_staleness=None)
    for limit, dropped in ((1.1, False), (0.9, True)):
        trial, _ = trained(replace(config, max_staleness_seconds=limit))
        assert (logged(trial, "stale")[-1] > 0) is dropped
        assert (logged(trial, "updates")[-1] == 0) is dropped


def test_the_filter_warms_up_is_one_sided_and_takes_in_nothing_that_it_rejects():
    usual = Usual(1, deviations=3.0, warm_up=50, window=1_000)
    random = np.random.default_rng(0)
    loss = lambda number: torch.tensor([number], dtype=torch.float64)  # noqa: E731
    assert bool(usual(loss(1e6)))  # whatever it is
    usual = Usual(1, deviations=3.0, warm_up=50, window=1_000)
    told = [number for number in random.normal(10.0, 1.0, 500) if bool(usual(loss(number)))]
    assert usual.mean.item() == pytest.approx(np.mean(told))
    assert usual.variance.sqrt().item() == pytest.approx(np.std(told), rel=1e-6)
    before = [statistic.clone() for statistic in (usual.mean, usual.variance, usual.count)]
    for number in (1e3, np.inf, np.nan):
        assert not bool(usual(loss(number)))
    assert all(map(torch.equal, before, (usual.mean, usual.variance, usual.count)))
    assert bool(usual(loss(-1e3)))  # small losses are welcome


def test_the_filter_forgets_what_is_long_ago():
    usual = Usual(1, deviations=5.0, warm_up=10_000, window=20)
    for number in [100.0] * 200 + [1.0] * 400:
        usual(torch.tensor([number], dtype=torch.float64))
    assert usual.mean.item() == pytest.approx(1.0, abs=1e-6)


def test_a_dropped_seed_does_not_hold_up_the_others():
    shard = Shard(torch.zeros(2, 3), 1, 1.0, 2)
    usual = torch.tensor([True, False])
    for _ in range(2):
        shard.pushed(Slope(0, torch.ones(2, 3), torch.ones(2), usual, shard.updates.sum(0), 0.0))
    assert shard.flat[0].lt(0).all() and shard.flat[1].eq(0).all() and shard.squares[1].eq(0).all()
    assert (shard.updates.sum(0).tolist(), shard.unusual.sum(0).tolist()) == ([2, 0], [0, 2])
    assert shard.frozen_number.tolist() == [1, 0]
    assert torch.equal(shard.frozen[0], shard.flat[0])


@given(st.integers(1, 30), st.integers(1, 7))
def test_shards_are_a_partition_of_all_parameters(size, count):
    flat = torch.arange(float(size)).repeat(2, 1)
    network = torch.nn.Linear(1, 1)  # stands for anything
    replica = parameter_server.Replica.__new__(parameter_server.Replica)
    replica.q, replica.shards = network, tuple(map(str, range(count)))
    parts = replica.partition(flat)
    assert len(parts) == count
    assert torch.equal(torch.cat(list(parts), 1), flat)


def test_three_shards_with_accumulators_of_their_own_learn_what_one_does_bit_for_bit():
    one, (whole,) = trained(SMALL)
    three, shards = trained(replace(SMALL, shards=3))
    assert whole.updates.sum() > 100
    assert episodes(one) == episodes(three)
    for name in ("flat", "squares", "frozen"):
        parts = [getattr(shard, name) for shard in shards]
        assert torch.equal(torch.cat(parts, 1), getattr(whole, name))
        assert len({part.data_ptr() for part in parts}) == 3


def test_the_frozen_parameters_are_those_of_the_server_after_every_nth_update():
    snapshots, pushed, n = {}, Shard.pushed, SMALL.target_every

    def watched(shard, message):
        pushed(shard, message)
        for seed, count in enumerate(shard.updates.sum(0).tolist()):
            if count % n == 0:
                snapshots.setdefault((seed, count // n), shard.flat[seed].clone())
            assert shard.frozen_number[seed] == count // n
            assert torch.equal(shard.frozen[seed], snapshots.get((seed, count // n), shard.frozen[seed]))

    fetched, pulled = [], Shard.pulled

    def answered(shard, asked):
        answer = pulled(shard, asked)
        if asked is not None and answer.frozen is not None:
            fetched.append((answer.frozen_number.tolist(), answer.frozen))
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shard, "pushed", watched)
        patch.setattr(Shard, "pulled", answered)
        trained(SMALL)
    assert len(snapshots) > 20 and len(fetched) > 10
    for numbers, frozen in fetched:
        assert all(torch.equal(snapshots[s, k], frozen[s]) for s, k in enumerate(numbers) if k > 0)


def test_the_gradient_is_that_of_dqns_loss_and_the_learner_does_not_step():
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    two = 2
    network = gorila.stacked_network(gymnasium.spaces.Box(-1, 1, (4,)), (16,), two, generators)
    replica = parameter_server.Replica(network, ("a",))
    for parameter in replica.frozen_q.parameters:
        parameter.data += 0.1
    random = torch.Generator().manual_seed(3)
    obs, further = (torch.randn(2, 6, 4, generator=random) for _ in "ab")
    action = torch.randint(two, (2, 6), generator=random)
    reward = torch.randn(2, 6, generator=random)
    discount = (torch.rand(2, 6, generator=random) > 0.3).float()
    batch = q_learning.Transition(obs, action, reward, discount, further)
    before = flattened(network.parameters)
    found, loss = gorila.slope_of(replica, batch, SMALL)
    assert torch.equal(before, flattened(network.parameters))
    with torch.enable_grad():
        copies = [p.detach().clone().requires_grad_() for p in network.parameters]
        value = network.at(copies, obs).gather(2, action[..., None]).squeeze(2)
        with torch.no_grad():
            y = reward + SMALL.discount * discount * replica.frozen_q(further).amax(2)
        error = y - value
        slopes = torch.autograd.grad((0.5 * error.square()).mean(1).sum(), copies)
    torch.testing.assert_close(found, flattened(slopes))
    torch.testing.assert_close(loss, error.detach().abs().mean(1))


class AdaGrad(torch.optim.Optimizer):
    """What a shard does, as an optimiser of DQN."""

    def __init__(self, parameters, learning_rate):
        super().__init__(parameters, {"lr": learning_rate})
        self.squares = [torch.zeros_like(p) for p in parameters]

    @torch.no_grad()
    def step(self, closure=None):
        for p, squares in zip(self.param_groups[0]["params"], self.squares, strict=True):
            adagrad_(p.data, squares, p.grad, self.param_groups[0]["lr"])


def test_one_bundle_that_drops_nothing_is_dqn_with_adagrad_bit_for_bit(monkeypatch):
    shared = {"hidden": (16,), "batch_size": 8, "learning_starts": 20, "target_every": 10, "replay_capacity": 150}
    shared |= {"learning_rate": 0.05}
    budget, kept = 320, []  # 300 updates
    mine = gorila.Config(
        actors=1, epsilon=Linear(0.3, 0.3), max_staleness=None, loss_deviations=None, epsilon_updates=1, **shared
    )
    trial, (shard,) = trained(mine, budget=budget)

    def optimizer(parameters, rate):
        kept.append(parameters)
        return AdaGrad(parameters, rate)

    monkeypatch.setattr(dqn, "adam", optimizer)
    other = local_trial(ENVIRONMENTS["cartpole"], (0, 1), budget=budget, episodes=2, lockstep=True)
    plain = type(other).generators
    named = lambda self, tag: plain(self, tag if tag == "initialisation" else f"{tag} of node 0")  # noqa: E731
    monkeypatch.setattr(type(other), "generators", named)
    run_training(other, dqn.train, dqn.Config(epsilon=Linear(0.3, 0.3), **shared))
    assert shard.updates.sum(0).tolist() == [300, 300]
    assert episodes(trial) == episodes(other)
    assert torch.equal(shard.flat, flattened(kept[0]))


def test_exploration_falls_with_the_servers_updates_and_not_with_steps():
    seen = []
    plain = q_learning.epsilon_greedy

    def watched(greedy, num_actions, epsilon, uniforms):
        seen.append(epsilon)
        return plain(greedy, num_actions, epsilon, uniforms)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gorila, "epsilon_greedy", watched)
        _, (shard,) = trained(replace(SMALL, epsilon=Linear(1.0, 0.0), loss_deviations=None))
    assert seen[: SMALL.learning_starts] == [1.0] * SMALL.learning_starts
    updates = int(shard.updates.sum(0)[0])
    assert float(seen[-1][0, 0]) == pytest.approx(max(0.0, 1 - updates / SMALL.epsilon_updates), abs=0.02)


def test_a_dead_learner_blocks_nobody():
    for shape in ({}, {"learners": 2}):
        dead = replace(SMALL, cluster=Cluster(deaths=((3 if shape else 1, 0.05),)), **shape)
        trial, (shard,) = trained(dead)
        assert trial.steps == BUDGET
        counts = shard.updates.sum(1).tolist()
        assert counts[1] < counts[0] / 2 and counts[0] > 50


def test_a_corrupted_learner_is_filtered_out_and_the_others_are_not():
    bad = Cluster(corrupted=((1, 1_000.0),), corrupted_from=0.15)
    config = replace(SMALL, cluster=bad, loss_warm_up=50, loss_window=50, batch_size=32, target_every=100)
    trial, (shard,) = trained(config, budget=1_000)
    assert shard.unusual[1].min() > 20 * shard.unusual[0].max() + 20
    assert max(logged(trial, "updates")) > 400


def test_actors_and_learners_may_be_as_many_as_one_likes():
    config = replace(SMALL, actors=3, learners=2)
    trial, (shard,) = trained(config)
    assert trial.steps == BUDGET
    assert shard.updates.shape == (2, 2) and shard.updates.min() > 0


@pytest.mark.parametrize("learners", [None, 2])
def test_a_global_memory_is_one_that_all_write_to(learners):
    made = []

    def memory(*given):
        made.append(gorila_memory(*given))
        return made[-1]

    gorila_memory = gorila.shared_replay
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gorila, "shared_replay", memory)
        trial, _ = trained(replace(SMALL, replay="global", learners=learners))
    (one,) = made
    assert one.added.sum() in (BUDGET - 1, BUDGET) and one.added.min() > 100  # the last may still be on its way
    assert trial.steps == BUDGET


def filled(writers, capacity, counts):
    example = q_learning.Transition(*(torch.zeros(1, 1) for _ in range(5)))
    memory = SharedReplay(example, capacity, writers)
    for writer, count in enumerate(counts):
        for number in range(count):
            row = torch.full((1, 1), float(1_000 * writer + number))
            memory.pushed((writer, q_learning.Transition(row, row, row, row, row)))
    return memory


@settings(max_examples=50)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=4).filter(any), st.integers(1, 6))
def test_a_memory_gives_each_of_the_latest_transitions_of_every_writer_alike(counts, capacity):
    memory = filled(len(counts), capacity, counts)
    latest = [1_000.0 * w + n for w, c in enumerate(counts) for n in range(max(0, c - capacity), c)]
    every = (torch.arange(len(latest), dtype=torch.float64)[None] + 0.5) / len(latest)
    assert sorted(memory.pulled(every).obs[0].tolist()) == latest


def test_a_memory_gives_nothing_before_there_is_enough():
    example = q_learning.Transition(*(torch.zeros(1, 1) for _ in range(5)))
    memory = SharedReplay(example, 10, 1, least=2)
    answers = []
    for _ in range(4):
        answers.append(memory.pulled(torch.zeros(1, 1, dtype=torch.float64)) is not None)
        memory.pushed((0, example))
    assert answers == [False, False, False, True]


def test_processes_keep_the_budget_and_learn(tmp_path):
    for more in ({}, {"replay": "global"}, {"learners": 1}):
        config = replace(SMALL, backend="processes", **more)
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        place.mkdir()
        trial = local_trial(ENVIRONMENTS["cartpole"], (0,), budget=2_000, episodes=2, lockstep=False, shared=place)
        run_training(trial, gorila.train, config)
        assert trial.steps == 2_000
        assert logged(trial, "updates")[-1] > 10  # of a lone learner as many as the machine lets it


def test_a_memory_smaller_than_its_actors_is_refused():
    with pytest.raises(ValueError, match="replay_capacity is 3: fewer transitions than actors"):
        gorila.Config(actors=4, replay_capacity=3)


(SPEC,) = [spec for spec in harness_algorithms.harness_algorithms() if spec.name == "gorila"]


@pytest.mark.parametrize("preset", SPEC.presets)
def test_presets_are_configurations(preset):
    assert resolve_config(gorila.Config, SPEC.presets[preset]) != gorila.Config()


def test_the_papers_counts_are_all_divided_by_one_factor():
    paper = resolve_config(gorila.Config, SPEC.presets["paper"])
    assert (100 / paper.actors, 60_000 / paper.target_every, 10**6 / paper.epsilon_updates) == (20, 20, 20)
    assert 10**6 / (paper.replay_capacity / paper.actors) == 20  # of each bundle
    assert paper.shards == 2 and paper.replay == "local" and paper.learners is None


def test_what_is_true_of_real_asynchrony_holds_for_gorila_in_processes():
    wanted = {"spends_the_budget_exactly", "leaves_nothing_running"}
    checks = [check for check in algorithm_checks('algorithms/gorila[backend="processes"]') if check.name in wanted]

    found = {check.name: check.outcome() for check in checks}

    assert {name: result.status for name, result in found.items()} == dict.fromkeys(wanted, "pass"), found
