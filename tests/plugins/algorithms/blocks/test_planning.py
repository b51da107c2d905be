"""Planning: every course beside a slow loop, the traps of MPC by name, and optimisers whose answer is known."""

import itertools

import gymnasium
import numpy as np
import pytest
import torch

from harness_algorithms.blocks.dynamics import make_dynamics
from harness_algorithms.blocks.planning import (
    CEM,
    MPPI,
    TRUNCATION,
    WORST,
    Draw,
    Planner,
    Shooting,
    Task,
    actions_of,
    returns,
    shifted,
    taken,
    trajectory_sampling,
)

CPU = torch.device("cpu")
BOX = actions_of(gymnasium.spaces.Box(np.float32([-2, 0]), np.float32([2, 1]), dtype=np.float32), CPU)
TWO = actions_of(gymnasium.spaces.Discrete(2), CPU)
HORIZON, SEEDS, BATCH, CANDIDATES = 4, 2, 3, 5


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds or range(SEEDS)]


def draw(candidates=CANDIDATES, seeds=()):
    return Draw(generators(*seeds), candidates)


def never(s, a, s2):
    return torch.zeros(s.shape[:2], dtype=torch.bool)


def linear(**changes):
    """s′ = s + a, and rewards that tell s, a and s′ apart."""
    return Task(
        **{
            "model": lambda s, a: s + a,
            "reward_fn": lambda s, a, s2: s.sum(2) + 10 * a.sum(2) - 3 * s2[..., 0],
            "termination_fn": never,
            "actions": BOX,
            **changes,
        }
    )


def candidates(seed=0):
    return 2 * torch.rand(HORIZON, SEEDS, BATCH, 2, CANDIDATES, generator=torch.Generator().manual_seed(seed)) - 1


def start(seed=1):
    return torch.randn(SEEDS, BATCH, 2, generator=torch.Generator().manual_seed(seed))


def slow_return(task, s, numbers):
    """One candidate [H, A] from one state [D], step by step."""
    total = 0.0
    for each in numbers:
        s, a = s.reshape(1, 1, -1), task.actions.scaled(each.reshape(1, 1, -1))
        s2 = task.model(s, a)
        total += float(task.reward_fn(s, a, s2))
        if bool(task.termination_fn(s, a, s2)):
            break
        s = s2
    return total


@pytest.mark.parametrize(
    "task",
    [
        linear(),
        linear(termination_fn=lambda s, a, s2: s2[..., 0] > 0.5),
        linear(actions=TWO, model=lambda s, a: s + a.unsqueeze(2), reward_fn=lambda s, a, s2: s[..., 1] * (2 * a - 1)),
    ],
    ids=["box", "stops summing after a predicted termination", "discrete"],
)
def test_returns_are_those_of_a_slow_loop(task):
    found = returns(task, start(), candidates())

    for seed, copy, number in itertools.product(range(SEEDS), range(BATCH), range(CANDIDATES)):
        expected = slow_return(task, start()[seed, copy], candidates()[:, seed, copy, :, number])
        assert float(found[seed, copy, number]) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_a_model_is_asked_for_all_candidates_of_a_step_at_once():
    asked = []

    def model(s, a):
        asked.append((tuple(s.shape), tuple(a.shape)))
        return s + a

    returns(linear(model=model), start(), candidates())
    assert asked == [((SEEDS, BATCH * CANDIDATES, 2), (SEEDS, BATCH * CANDIDATES, 2))] * HORIZON


def test_rewards_after_an_end_count_for_nothing_even_where_the_model_breaks_down_there():
    task = linear(
        model=lambda s, a: torch.full_like(s, torch.inf).where(s[..., :1] > 0, s + 1.0),
        termination_fn=lambda s, a, s2: s2[..., 0] > 0,
        reward_fn=lambda s, a, s2: torch.ones(s.shape[:2]).where(s[..., 0].isfinite(), torch.nan),
    )
    assert returns(task, torch.full((1, 1, 2), -1.5), candidates()[:, :1, :1]).eq(2.0).all()


def test_a_candidate_that_leads_to_no_number_is_never_the_best():
    broken = linear(model=lambda s, a: (s + a).where(a[..., :1] < 0, torch.nan))
    numbers = candidates()
    value = returns(broken, start(), numbers)

    lost = (numbers[:, :, :, 0] >= 0).any(0)
    assert lost.any() and not lost.all()
    assert value[lost].eq(WORST).all()
    assert value[~lost].gt(WORST).all()


def test_the_mean_over_particles_counts():
    shift = torch.tensor([0.0, 1.0, 2.0]).repeat_interleave(BATCH * CANDIDATES).view(1, -1, 1)
    task = linear(model=lambda s, a: s + shift, reward_fn=lambda s, a, s2: s2[..., 0], particles=3)
    one = start()[:, :, :1]

    value = returns(task, start(), candidates())
    expected = sum(one + 1.0 * (step + 1) for step in range(HORIZON))  # a particle moves by 1 a step on average
    torch.testing.assert_close(value, expected.expand_as(value))


def test_every_member_moves_its_own_particles_all_the_way():
    dynamics = make_dynamics(2, 2, (4,), generators(), members=3)
    model = trajectory_sampling(dynamics, BOX, generators())
    obs, action = torch.randn(SEEDS, 6 * 5, 2), torch.randn(SEEDS, 6 * 5, 2)

    by_member = dynamics.predict(obs.unflatten(1, (3, -1)), action.unflatten(1, (3, -1)))
    assert torch.equal(model(obs, action), by_member.flatten(1, 2))


class TinyWorld:
    """States on a line from 0 to 5. To the right costs 1 a step and pays 10 at the end; to the left pays 1 at once."""

    LAST = 5

    @staticmethod
    def model(s, a):
        return (s + (2 * a - 1).unsqueeze(2)).clamp(0, TinyWorld.LAST)

    @staticmethod
    def reward(s, a, s2):
        arrived = (s2[..., 0] == TinyWorld.LAST) & (s[..., 0] < TinyWorld.LAST)
        return torch.where(a == 1, -1.0, 1.0) + 10.0 * arrived

    task = Task(model, reward, never, TWO)

    @classmethod
    def best(cls, state, horizon):
        """Dynamic programming: the greatest return, and the first actions that reach it."""
        if horizon == 0:
            return 0.0, {0, 1}
        values = {}
        for action in (0, 1):
            s, a = torch.tensor([[[float(state)]]]), torch.tensor([[action]])
            s2 = cls.model(s, a)
            values[action] = float(cls.reward(s, a, s2)) + cls.best(int(s2), horizon - 1)[0]
        greatest = max(values.values())
        return greatest, {action for action, value in values.items() if value == greatest}


@pytest.mark.parametrize("horizon", [1, 2, 4])
@pytest.mark.parametrize("optimiser", [Shooting(400), CEM(400, 4, 0.1, 0.1, 1.0), MPPI(400, 4, 1.0, 0.1)], ids=repr)
def test_planning_in_the_true_model_finds_what_dynamic_programming_finds(optimiser, horizon):
    states = torch.arange(TinyWorld.LAST + 1.0).view(1, -1, 1)
    plan = torch.zeros(horizon, 1, states.shape[1], 2)
    plan = optimiser(lambda numbers: returns(TinyWorld.task, states, numbers), plan, draw(400, (0,)))

    value = returns(TinyWorld.task, states, plan.unsqueeze(4))[0, :, 0]
    for state in range(TinyWorld.LAST + 1):
        greatest, actions = TinyWorld.best(state, horizon)
        assert int(TWO.scaled(plan[0, 0, state])) in actions
        assert float(value[state]) == greatest


def test_shooting_takes_the_best_of_its_candidates_and_all_are_within_the_bounds():
    kept = []

    def value(numbers):
        kept.append(numbers)
        return numbers[0, :, :, 0]

    plan = Shooting(CANDIDATES)(value, torch.zeros(HORIZON, SEEDS, BATCH, 2), draw())
    (numbers,) = kept
    best = numbers[0, :, :, 0].argmax(2)
    for seed, copy in itertools.product(range(SEEDS), range(BATCH)):
        assert torch.equal(plan[:, seed, copy], numbers[:, seed, copy, :, best[seed, copy]])
    assert numbers.abs().max() <= 1


def test_cem_moves_mean_and_variance_to_its_elite_with_momentum():
    seen, plan = [], torch.full((1, 1, 1, 1), 0.2)

    def value(numbers):
        seen.append(numbers.flatten())
        return -(numbers[0, :, :, 0] - 0.5).square()

    found = CEM(50, 2, 0.1, 0.25, 0.3)(value, plan, draw(50, (3,)))
    mean, variance = 0.2, 0.3**2
    for numbers in seen:
        deviation = min(variance**0.5, (1 - abs(mean)) / TRUNCATION)
        assert (numbers - mean).abs().max() <= TRUNCATION * deviation + 1e-6  # so actions need no clipping
        elite = numbers[(numbers - 0.5).abs().argsort()[:5]]
        mean = 0.25 * mean + 0.75 * float(elite.mean())
        variance = 0.25 * variance + 0.75 * float(elite.var())
    assert float(found) == pytest.approx(mean, abs=1e-6)


def test_cem_finds_the_top_of_a_hill_in_many_numbers():
    top = torch.tensor([0.6, -0.4]).view(1, 1, 1, 2, 1)
    plan = torch.zeros(HORIZON, SEEDS, BATCH, 2)
    found = CEM(350, 20, 0.1, 0.1)(lambda numbers: -(numbers - top).square().sum((0, 3)), plan, draw(350))
    torch.testing.assert_close(found, top[..., 0].expand_as(found), atol=0.05, rtol=0)


def test_mppi_weighs_candidates_by_the_exponential_of_what_they_earn():
    seen = []

    def value(numbers):
        seen.append(numbers)
        return numbers.sum((0, 3))

    plan = torch.zeros(HORIZON, SEEDS, BATCH, 2)
    found = MPPI(CANDIDATES, 1, 0.5, 0.7)(value, plan, draw())
    (numbers,) = seen
    weight = torch.softmax(numbers.sum((0, 3)).double() / 0.7, 2)
    torch.testing.assert_close(found.double(), (numbers.double() * weight.unsqueeze(2)).sum(4))
    assert numbers.abs().max() <= 1


def test_truncated_normals_are_normal_within_two_deviations():
    numbers = Draw(generators(0), 200_000).truncated_normal(torch.zeros(1, 1, 1, 1)).flatten()
    assert numbers.abs().max() <= TRUNCATION
    assert float(numbers.mean()) == pytest.approx(0, abs=0.01)
    assert float(numbers.var()) == pytest.approx(0.7737, abs=0.01)  # 1 − 4 φ(2) / (2 Φ(2) − 1)


def test_a_plan_is_shifted_by_the_action_that_was_taken():
    plan = torch.arange(3.0).view(3, 1, 1, 1)
    assert shifted(plan).flatten().tolist() == [1.0, 2.0, 0.0]


def test_candidates_are_taken_whole():
    which = torch.tensor([4, 0]).expand(SEEDS, BATCH, 2)
    assert torch.equal(taken(candidates(), which), candidates()[..., [4, 0]])


class Account:
    """What a planner tells a trial."""

    def __init__(self):
        self.device, self.count, self.inside = CPU, 0, 0

    def planning(self):
        return self

    def __enter__(self):
        self.inside += 1

    def __exit__(self, *_):
        self.inside -= 1

    def simulated(self, steps):
        assert self.inside == 1
        self.count += steps


def planner(optimiser, task, account=None, horizon=HORIZON, seeds=()):
    return Planner(account or Account(), task, optimiser, horizon, draw(optimiser.candidates, seeds))


def test_a_warm_start_goes_on_with_the_plan_before_and_is_forgotten_with_the_episode():
    begun = []

    def follow(value, plan, noise):
        begun.append(plan.clone())
        return plan + 0.1

    class Follow:
        candidates = tried = 1
        __call__ = staticmethod(follow)

    made = planner(Follow(), linear(), horizon=2)
    made.reset(torch.ones(SEEDS, BATCH, dtype=torch.bool))
    made.act(start())
    made.act(start())
    made.reset(torch.tensor([[True, False, False]] * SEEDS))
    made.act(start())

    assert begun[0].eq(0).all()
    torch.testing.assert_close(begun[1][:, 0, 0, 0], torch.tensor([0.1, 0.0]))
    torch.testing.assert_close(begun[2][:, 0, 0, 0], torch.tensor([0.0, 0.0]))
    torch.testing.assert_close(begun[2][:, 0, 1, 0], torch.tensor([0.1, 0.0]))


def test_actions_are_the_environments_and_within_its_bounds():
    made = planner(Shooting(CANDIDATES), linear())
    made.reset(torch.ones(SEEDS, BATCH, dtype=torch.bool))
    action = made.act(start())
    assert action.shape == (SEEDS, BATCH, 2)
    assert (action[..., 0].abs() <= 2).all() and (action[..., 1] >= 0).all() and (action[..., 1] <= 1).all()


@pytest.mark.parametrize(
    ("optimiser", "particles", "steps"),
    [
        (Shooting(7), 1, 7 * HORIZON),
        (CEM(7, 3, 0.5, 0.1), 1, 3 * 7 * HORIZON),
        (MPPI(7, 2, 0.5, 1.0), 2, 4 * 7 * HORIZON),
    ],
)
def test_every_simulated_step_is_told_while_planning_is_billed(optimiser, particles, steps):
    account = Account()
    made = planner(optimiser, linear(particles=particles), account)
    made.reset(torch.ones(SEEDS, BATCH, dtype=torch.bool))
    made.act(start())
    assert account.count == BATCH * steps


@pytest.mark.parametrize("optimiser", [Shooting(7), CEM(7, 3, 0.5, 0.1), MPPI(7, 2, 0.5, 1.0)], ids=repr)
def test_a_seed_plans_the_same_whichever_seeds_plan_beside_it(optimiser):
    together, alone = planner(optimiser, linear(), seeds=(4, 9)), planner(optimiser, linear(), seeds=(9,))
    for made, rows in ((together, SEEDS), (alone, 1)):
        made.reset(torch.ones(rows, BATCH, dtype=torch.bool))
    for number in range(3):
        obs = start(number)
        assert torch.equal(together.act(obs)[1:], alone.act(obs[1:]))


def test_copies_in_parts_plan_as_if_together_but_for_chance(monkeypatch):
    monkeypatch.setattr("harness_algorithms.blocks.planning.AT_ONCE", 1)
    parts = []
    task = linear(model=lambda s, a: parts.append(s.shape[1]) or s + a)
    made = planner(Shooting(CANDIDATES), task)
    made.reset(torch.ones(SEEDS, BATCH, dtype=torch.bool))
    assert made.act(start()).shape == (SEEDS, BATCH, 2)
    assert parts == [CANDIDATES] * HORIZON * BATCH
