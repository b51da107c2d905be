"""A3C: every trap of an asynchronous actor-critic, and a second implementation of its gradient."""

from dataclasses import replace
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch

from harness.contract.trial import Step
from harness.measuring.training import run_training
from harness_algorithms import a3c
from harness_algorithms.blocks.agents import StoredPolicy, agent_of
from harness_algorithms.blocks.rollouts import Rollout
from harness_algorithms.blocks.schedules import Linear
from harness_algorithms.parallel.cluster import Cluster
from harness_algorithms.parallel.operations import Begin, Node, Pull, Push, TakeStep, Work
from support.policy_gradient import ENVIRONMENTS, VALUES
from support.trial import local_trial

SEEDS, LENGTH, OBSERVED = 2, 6, 3
BOX = gymnasium.spaces.Box(-1.0, 1.0, (OBSERVED,), np.float32)
SPACES = {"discrete": gymnasium.spaces.Discrete(3), "box": gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)}
SMALL = a3c.Config(discount=0.9, rollout_length=LENGTH, hidden=(8,), value_weight=0.7, entropy_weight=0.05)


def generators(num_seeds=SEEDS, first=0):
    return [torch.Generator().manual_seed(first + seed) for seed in range(num_seeds)]


def agent(kind="discrete", memory_units=None):
    spaces = SimpleNamespace(observation_space=BOX, action_space=SPACES[kind])
    return agent_of(spaces, SMALL, generators(), memory_units)


@torch.no_grad()
def random_rollout(made):
    """One copy: random observations and rewards, and every kind of end."""
    random = torch.Generator().manual_seed(7)
    shape = (LENGTH, SEEDS, 1)
    obs, next_obs = torch.randn(2, *shape, OBSERVED, generator=random)
    terminated, truncated = torch.zeros(2, *shape, dtype=torch.bool)
    terminated[1, 0], truncated[3, 1] = True, True
    action = torch.randn(*shape, 2, generator=random)
    if not hasattr(made.policy, "log_std"):
        action = torch.randint(0, 3, shape, generator=random)
    reward = torch.randn(shape, generator=random)
    return Rollout(obs, action, reward, 1.0 - terminated.float(), terminated | truncated, next_obs)


def loss_of_one_seed(made, rollout, seed, parameters):
    """The loss of the paper, written a second time: plain loops, in double precision, at these parameters."""
    *of_policy, of_value = [p.double()[seed : seed + 1] for p in parameters]
    head = made.policy.at([torch.cat([p] * SEEDS) for p in of_policy], rollout.obs.transpose(0, 1).flatten(2, 3))
    value_at = lambda x: made.v.at([torch.cat([of_value] * SEEDS)], x.transpose(0, 1))[seed, :, 0]  # noqa: E731
    value, next_value = value_at(rollout.obs.flatten(2, 3)), value_at(rollout.next_obs.flatten(2, 3)).detach()
    log_prob = head.log_prob(rollout.action.transpose(0, 1).flatten(1, 2))[seed]
    entropy = head.entropy()[seed]
    loss, target = 0.0, None
    for t in reversed(range(LENGTH)):
        last = t == LENGTH - 1 or bool(rollout.ended[t, seed, 0])
        following = next_value[t] if last else target
        target = rollout.reward[t, seed, 0].double() + SMALL.discount * rollout.discount[t, seed, 0] * following
        target = target.detach()
        advantage = (target - value[t]).detach()
        loss = loss - log_prob[t] * advantage + SMALL.value_weight * (target - value[t]) ** 2
        loss = loss - SMALL.entropy_weight * entropy[t]
    return loss


@pytest.mark.parametrize("kind", SPACES)
def test_the_gradient_is_that_of_the_paper_s_loss_written_a_second_time(kind):
    made = agent(kind)
    rollout = random_rollout(made)
    found = a3c.gradient(made, rollout, None, SMALL)
    for seed in range(SEEDS):
        leaves = [p.detach().clone().requires_grad_() for p in made.parameters]
        loss = loss_of_one_seed(made, rollout, seed, leaves)
        slopes = torch.autograd.grad(loss, leaves)
        expected = torch.cat([slope[seed].flatten() for slope in slopes]).float()
        torch.testing.assert_close(found[seed], expected, atol=2e-5, rtol=1e-4)


def test_the_gradient_through_a_memory_agrees_with_finite_differences():
    made = agent(memory_units=4)
    rollout = random_rollout(made)
    state = tuple(torch.randn(SEEDS, 1, 4, generator=torch.Generator().manual_seed(2)) for _ in range(2))
    flat = made.flat()
    direction = torch.randn(flat.shape, generator=torch.Generator().manual_seed(5)) / 30
    slope = (a3c.gradient(made, rollout, state, SMALL) * direction).sum(1)
    with torch.no_grad():  # targets are constants of the loss, hence held fixed
        _, seen_next = made.see_all(rollout, state)
        bootstrap = made.v(seen_next).squeeze(2)
        target = torch.zeros(SEEDS, LENGTH)
        for seed in range(SEEDS):
            for t in reversed(range(LENGTH)):
                last = t == LENGTH - 1 or bool(rollout.ended[t, seed, 0])
                following = bootstrap[seed, t] if last else target[seed, t + 1]
                target[seed, t] = rollout.reward[t, seed, 0] + 0.9 * rollout.discount[t, seed, 0] * following
        advantage = target - made.v(made.see_all(rollout, state)[0]).squeeze(2)

        def loss(step):
            made.load_(flat + step * direction)
            seen, _ = made.see_all(rollout, state)
            head, value = made.policy(seen), made.v(seen).squeeze(2)
            action = rollout.action.transpose(0, 1).flatten(1, 2)
            parts = -head.log_prob(action) * advantage + 0.7 * (target - value) ** 2 - 0.05 * head.entropy()
            return parts.sum(1)

        difference = (loss(1e-2) - loss(-1e-2)) / 2e-2
    torch.testing.assert_close(slope, difference, atol=1e-3, rtol=1e-2)


def test_a_time_limit_bootstraps_and_a_termination_does_not():
    made = agent()
    base = random_rollout(made)
    only = lambda discount, ended: base._replace(  # noqa: E731
        discount=torch.full_like(base.discount, discount), ended=torch.full_like(base.ended, ended)
    )
    further = base.next_obs + 1.0
    slopes = [
        a3c.gradient(made, only(d, True)._replace(next_obs=n), None, SMALL)
        for d in (0, 1)
        for n in (base.next_obs, further)
    ]
    assert torch.equal(slopes[0], slopes[1])  # what follows a termination does not matter
    assert not torch.equal(slopes[2], slopes[3])  # what follows a time limit does


def stepped(course, node_seeds, answers):
    """Play a worker by hand: every operation it asks for, with answers to its pulls in order."""
    answers, asked, result = list(answers), [], None
    random = torch.Generator().manual_seed(1)
    while True:
        operation = course.send(result)
        asked.append(operation)
        result = None
        if isinstance(operation, Pull):
            if not answers:
                return asked
            result = answers.pop(0)
        elif isinstance(operation, Begin):
            result = torch.zeros(node_seeds, 1, OBSERVED)
        elif isinstance(operation, TakeStep):
            operation.chosen()
            obs = torch.randn(node_seeds, 1, OBSERVED, generator=random)
            one = torch.ones(node_seeds, 1)
            result = Step(obs, one, one, one > 1, obs)
        elif isinstance(operation, Work):
            result = operation.function()


def test_the_policy_that_acted_is_the_one_that_is_differentiated_and_the_pull_comes_after_the_push(monkeypatch):
    node = Node(0, BOX, SPACES["discrete"], lambda tag: generators(first=11))
    config = replace(SMALL, rollout_length=3)
    first, second = (agent().flat() + shift for shift in (0.0, 0.5))
    slopes, gradient = [], a3c.gradient

    def kept(made, rollout, state, config):
        slopes.append((made.flat(), rollout, state, gradient(made, rollout, state, config)))
        return slopes[-1][-1]

    monkeypatch.setattr(a3c, "gradient", kept)
    asked = stepped(a3c.worker(node, config, a3c.Crew(lambda rows: agent(), 1)), SEEDS, [(first, 0), (second, 7)])
    kinds = [type(operation).__name__ for operation in asked]
    assert kinds == ["Begin", *["Pull", *["TakeStep"] * 3, "Work", "Push"] * 2, "Pull"]
    pushes = [operation.message for operation in asked if isinstance(operation, Push)]
    assert [message.version for message in pushes] == [0, 7]
    for message, flat, (differentiated, *_, slope) in zip(pushes, (first, second), slopes, strict=True):
        assert torch.equal(differentiated, flat)
        assert torch.equal(message.gradient, slope)


@pytest.mark.parametrize(("task", "memory_units"), [("cartpole", None), ("pendulum", None), ("cartpole-position", 5)])
def test_workers_side_by_side_get_what_each_gets_alone_bit_for_bit(task, memory_units, monkeypatch):
    config = replace(SMALL, workers=4, rollout_length=5, memory_units=memory_units)
    kept, sizes, joined = [], [], a3c.Crew._joined
    monkeypatch.setattr(a3c, "StoredPolicy", lambda made, flat: kept.append(flat) or StoredPolicy(made, flat))
    monkeypatch.setattr(a3c.Crew, "_joined", lambda crew, agents: sizes.append(len(agents)) or joined(crew, agents))
    runs = []
    for most in (2**20, 1):
        monkeypatch.setattr(a3c, "MOST", most)
        runs.append(trained(task, config, budget=600).runs)
        assert (max(sizes) == 1) == (most == 1)
        sizes.clear()
    assert torch.equal(*kept)
    assert len({repr([episode[3:] for run in each for episode in run.episodes]) for each in runs}) == 1


def test_statistics_of_rmsprop_are_shared_by_all_workers_and_the_root_holds_epsilon():
    flat = torch.tensor([[1.0, -2.0]])
    config = replace(SMALL, learning_rate=Linear(0.1, 0.1), rms_decay=0.9, rms_epsilon=0.5, workers=2)
    shared = a3c.SharedParameters(flat.clone(), 100, config)
    squares, expected = torch.zeros(1, 2), flat.clone()
    for worker, gradient in ((0, torch.tensor([[1.0, 3.0]])), (1, torch.tensor([[-2.0, 0.5]]))):
        shared.pushed(a3c.Slope(worker, gradient.clone(), 5, 0))
        squares = 0.9 * squares + 0.1 * gradient**2
        expected -= 0.1 * gradient / (squares + 0.5).sqrt()
        torch.testing.assert_close(shared.flat, expected)
    assert shared.steps.tolist() == [5, 5]
    assert int(shared.staleness) == 1  # the second gradient was taken before the first arrived


def test_the_learning_rate_falls_with_the_steps_of_all_workers():
    config = replace(SMALL, learning_rate=Linear(1.0, 0.0), rms_decay=0.0, rms_epsilon=0.0, workers=2)
    shared = a3c.SharedParameters(torch.zeros(1, 1), 100, config)
    sizes = []
    for worker in (0, 1, 0):
        before = shared.flat.clone()
        shared.pushed(a3c.Slope(worker, torch.ones(1, 1), 25, 0))
        sizes.append(float(before - shared.flat))
    assert sizes == pytest.approx([0.75, 0.5, 0.25])


@pytest.mark.parametrize(("still", "memory_units"), [("v", None), ("v", 4), ("π", None)])
def test_the_value_function_may_learn_at_a_rate_of_its_own(still, memory_units, monkeypatch):
    none, some = Linear(0.0, 0.0), Linear(1e-2, 1e-2)
    rates = {"learning_rate": some, "value_learning_rate": none}
    if still == "π":
        rates = {"learning_rate": none, "value_learning_rate": some}
    kept = []
    monkeypatch.setattr(a3c, "StoredPolicy", lambda made, flat: kept.append((made, flat)) or StoredPolicy(made, flat))
    config = replace(SMALL, workers=2, memory_units=memory_units, **rates)
    trial = local_trial(ENVIRONMENTS["cartpole"], (0,), budget=60, episodes=1, lockstep=True)
    first = []
    monkeypatch.setattr(a3c, "SharedParameters", recording(a3c.SharedParameters, first))
    run_training(trial, a3c.train, config)

    made, flat = kept[0]
    moved = dict.fromkeys(("π", "v", "memory"), False)
    made.load_(first[0] - flat)
    for name, of in {"π": made.policy, "v": made.v, "memory": made.memory}.items():
        moved[name] = of is not None and any(bool(x.any()) for x in of.parameters)
    assert moved == {"π": still != "π", "v": still != "v", "memory": memory_units is not None}


def recording(kind, first):
    """A class whose objects' θ at the beginning are kept."""

    def made(flat, *args):
        first.append(flat.clone())
        return kind(flat, *args)

    return made


def test_what_is_pulled_does_not_change_any_more():
    shared = a3c.SharedParameters(torch.zeros(1, 3), 100, SMALL)
    pulled, _ = shared.pulled(None)
    shared.pushed(a3c.Slope(0, torch.ones(1, 3), 5, 0))
    assert pulled.eq(0).all()


def trained(task, config, seeds=(0, 1, 2), budget=4_000, **told):
    trial = local_trial(ENVIRONMENTS[task], seeds, budget=budget, episodes=2, lockstep=True, **told)
    run_training(trial, a3c.train, config)
    return trial


@pytest.mark.parametrize("task", VALUES)
def test_values_of_the_probes_are_learned(task, monkeypatch):
    config = a3c.Config(discount=0.9, workers=4, hidden=(16,), learning_rate=Linear(5e-3, 0.0), entropy_weight=0.0)
    kept = []
    monkeypatch.setattr(a3c, "StoredPolicy", lambda made, flat: kept.append((made, flat)) or StoredPolicy(made, flat))
    trained(task, config, budget=3_000)
    made, flat = kept[0]
    made.load_(flat)
    with torch.no_grad():
        for number, value in VALUES[task].items():
            found = made.v(torch.full((3, 1, 1), float(number))).flatten()
            torch.testing.assert_close(found, torch.full((3,), float(value)), atol=0.12, rtol=0)


def test_one_seed_gives_one_result():
    config = replace(SMALL, workers=4, rollout_length=5)
    one, other = (
        [[episode[3:] for episode in run.episodes] for run in trained("cartpole", config, budget=1_500).runs]
        for _ in "ab"
    )
    assert one == other
    assert one[0] != one[1]


@pytest.mark.parametrize("workers", [1, 4])
def test_a_gradient_is_as_old_as_what_the_other_workers_pushed_meanwhile(workers):
    config = replace(SMALL, workers=workers, rollout_length=5)
    (run,) = trained("cartpole", config, seeds=(0,), budget=1_500).runs
    staleness = np.mean([value for _, name, value in run.diagnostics if name == "staleness"])
    assert staleness == pytest.approx(workers - 1, abs=0.2)


def test_eight_workers_need_an_eighth_of_the_virtual_time_where_a_server_costs_nothing():
    seconds = {}
    for workers in (1, 8):
        config = replace(SMALL, workers=workers, cluster=Cluster(hop_seconds=0.0, serve_seconds=0.0))
        diagnostics = trained("cartpole", config, seeds=(0,)).runs[0].diagnostics
        seconds[workers] = max(value for _, name, value in diagnostics if name == "virtual_seconds")
    assert 7.5 < seconds[1] / seconds[8] < 8.5


def test_a_policy_with_memory_acts_as_it_did_in_training_and_forgets_between_episodes():
    made = agent(memory_units=4)
    policy = StoredPolicy(agent(memory_units=4), made.flat())
    policy.take_over()
    rows = torch.randn(5, SEEDS, 3, OBSERVED, generator=torch.Generator().manual_seed(3))
    every = torch.ones(SEEDS, 3, dtype=torch.bool)
    policy.reset(every)
    first = [policy.act(x) for x in rows]
    hidden, _, _ = made.memory.unroll(rows, made.initial(3), torch.zeros(5, SEEDS, 3, dtype=torch.bool))
    assert torch.equal(torch.stack(first), torch.stack([made.policy(h).mode for h in hidden]))
    policy.reset(every)
    assert all(torch.equal(a, policy.act(x)) for a, x in zip(first, rows, strict=True))


def test_the_cluster_is_of_the_virtual_backend_and_has_the_nodes_that_are_named():
    with pytest.raises(ValueError, match=r"cluster\.slow: there is no node 8; there are 8"):
        a3c.Config(cluster=Cluster(slow=((8, 2.0),)))
    with pytest.raises(ValueError, match="cluster is of the virtual backend; backend is 'processes'"):
        a3c.Config(backend="processes", cluster=Cluster(jitter=0.0))
