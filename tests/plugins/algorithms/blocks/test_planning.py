"""Planning: against exhaustive search on a tiny MDP, and every known trap by name."""

import contextlib
import itertools

import gymnasium
import numpy as np
import pytest
import torch

from harness_algorithms.blocks.dynamics import make_dynamics
from harness_algorithms.blocks.planning import (
    CEM,
    MPPI,
    WORST,
    BoxActions,
    DiscreteActions,
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
PLACES, MOVES = 7, 3
REWARDS = torch.tensor([0.0, 2.0, -1.0, 0.0, -3.0, 1.0, 9.0])
LINE = gymnasium.spaces.Box(-2.0, 2.0, (1,), np.float32)


class Counter:
    """What a planner asks of a trial."""

    device = CPU

    def __init__(self):
        self.steps, self.planned = 0, 0

    def simulated(self, steps):
        assert self.planned
        self.steps += steps

    @contextlib.contextmanager
    def planning(self):
        self.planned += 1
        yield


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def walk(obs, action):
    """A ring of places: one back, stay, or two on."""
    return (obs + torch.tensor([-1.0, 0.0, 2.0])[action].unsqueeze(-1)) % PLACES


def paid(obs, action, next_obs):
    return REWARDS[next_obs[..., 0].long()] - 0.1 * action


def at_nine(obs, action, next_obs):
    return next_obs[..., 0] == 6


RING = Task(walk, paid, at_nine, DiscreteActions(MOVES))


def oracle(place, horizon):
    """The largest return of the ring in so many steps, by dynamic programming."""
    if horizon == 0:
        return 0.0
    values = []
    for action in range(MOVES):
        after = (place + (-1, 0, 2)[action]) % PLACES
        values.append(REWARDS[after].item() - 0.1 * action + (0.0 if after == 6 else oracle(after, horizon - 1)))
    return max(values)


def every_sequence(horizon, batch):
    """All sequences of moves as candidates [H, 1, B, A, P]."""
    rows = torch.tensor(list(itertools.product(range(MOVES), repeat=horizon)))
    numbers = 2 * torch.nn.functional.one_hot(rows, MOVES).float() - 1  # [P, H, A]
    return numbers.permute(1, 2, 0)[:, None, None].expand(-1, 1, batch, -1, -1)


def test_the_best_of_all_sequences_earns_what_dynamic_programming_says():
    obs = torch.arange(PLACES - 1.0).view(1, -1, 1)
    best = returns(RING, obs, every_sequence(4, PLACES - 1)).amax(2)
    assert best[0].tolist() == pytest.approx([oracle(place, 4) for place in range(PLACES - 1)])


@pytest.mark.parametrize(
    "optimiser", [Shooting(1_000), CEM(3_000, 4, 0.01, 0.1), MPPI(3_000, 8, 0.8, 0.02)], ids=["shooting", "cem", "mppi"]
)
def test_planning_in_the_true_model_equals_the_oracle(optimiser):
    draw = Draw(generators(0), optimiser.candidates)
    obs = torch.tensor([0.0, 1.0, 3.0, 4.0]).view(1, 4, 1)
    plan = optimiser(lambda x: returns(RING, obs, x), torch.zeros(4, 1, 4, MOVES), draw)
    earned = returns(RING, obs, plan.unsqueeze(4)).squeeze(2)
    assert earned[0].tolist() == pytest.approx([oracle(place, 4) for place in (0, 1, 3, 4)])


def test_rewards_after_predicted_termination_do_not_count_even_if_they_are_no_numbers():
    task = Task(
        lambda s, a: s + 1,
        lambda s, a, n: torch.where(n[..., 0] > 2, torch.nan, 1.0),
        lambda s, a, n: n[..., 0] == 2,
        DiscreteActions(2),
    )
    assert returns(task, torch.zeros(1, 1, 1), torch.zeros(6, 1, 1, 2, 3)).tolist() == [[[2.0] * 3]]


def test_the_reward_is_of_the_state_acted_in_the_action_and_the_predicted_one():
    seen = []

    def reward(obs, action, next_obs):
        seen.append((obs.item(), action.item(), next_obs.item()))
        return obs[..., 0]

    task = Task(lambda s, a: s * 10 + a, reward, lambda s, a, n: torch.zeros(1, 1).bool(), BoxActions(LINE, CPU))
    numbers = torch.tensor([0.5, -1.0]).view(2, 1, 1, 1, 1)
    assert returns(task, torch.ones(1, 1, 1), numbers).item() == 12.0
    assert seen == [(1.0, 1.0, 11.0), (11.0, -2.0, 108.0)]


def test_a_model_that_comes_to_no_number_is_worth_least_unless_the_mdp_ended_before():
    def model(s, a):
        return torch.where((s == 3) | s.isnan(), torch.nan, s + 1)

    numbers = torch.zeros(6, 1, 1, 2, 1)
    lives = Task(model, lambda s, a, n: torch.ones_like(s[..., 0]), lambda s, a, n: n[..., 0] > 9, DiscreteActions(2))
    assert returns(lives, torch.zeros(1, 1, 1), numbers).item() == WORST
    ends = lives._replace(termination_fn=lambda s, a, n: n[..., 0] == 2)
    assert returns(ends, torch.zeros(1, 1, 1), numbers).item() == 2.0


@pytest.mark.parametrize("optimiser", [Shooting(64), CEM(64, 4, 0.1, 0.1), MPPI(64, 4, 2.0, 1.0)])
def test_actions_are_clipped(optimiser):
    tried = []

    def value(numbers):
        tried.append(numbers)
        return numbers.sum((0, 3))  # the farther the better

    plan = optimiser(value, torch.full((5, 1, 2, 1), 0.9), Draw(generators(0), 64))
    assert all(numbers.abs().max() <= 1 for numbers in tried)
    assert plan.abs().max() <= 1
    assert len(tried) * 64 == optimiser.tried


def test_cem_moves_its_distribution_to_its_elite_by_one_less_momentum():
    noise = []

    def value(numbers):
        noise.append(numbers)
        return -(numbers[0, :, :, 0] - 0.25).abs()

    plan = CEM(50, 1, 0.1, 0.1)(value, torch.zeros(1, 1, 1, 1), Draw(generators(0), 50))
    nearest = (noise[0].flatten() - 0.25).abs().topk(5, largest=False).indices
    assert plan.item() == pytest.approx(0.9 * noise[0].flatten()[nearest].mean().item(), abs=1e-6)


def test_mppi_averages_with_exponential_weights():
    kept = []

    def value(numbers):
        kept.append(numbers)
        return 3 * numbers[0, :, :, 0]

    plan = MPPI(40, 1, 0.3, 2.0)(value, torch.zeros(1, 1, 1, 1), Draw(generators(0), 40))
    tried = kept[0].flatten().double()
    weights = (3 * tried / 2.0).softmax(0)
    assert plan.item() == pytest.approx((weights * tried).sum().item(), abs=1e-5)


def test_mppi_gives_a_plan_where_no_candidate_leads_to_numbers():
    plan = MPPI(10, 2, 0.3, 1.0)(
        lambda x: torch.full((1, 1, 10), WORST), torch.zeros(2, 1, 1, 1), Draw(generators(0), 10)
    )
    assert plan.isfinite().all()


def test_a_warm_start_is_the_plan_before_without_its_first_action():
    plan = torch.arange(1.0, 7).view(3, 1, 2, 1)
    assert shifted(plan).flatten().tolist() == [3, 4, 5, 6, 0, 0]


def planner(optimiser, trial, draws=(0,), task=None):
    line = BoxActions(LINE, CPU)
    task = task or Task(
        lambda s, a: s + a,
        lambda s, a, n: -n[..., 0].square(),
        lambda s, a, n: torch.zeros_like(s[..., 0]).bool(),
        line,
    )
    return Planner(trial, task, optimiser, 3, Draw(generators(*draws), optimiser.candidates))


def test_a_planner_begins_where_its_last_plan_ended_until_it_is_told_to_forget():
    seen = []

    class Kept:
        candidates, tried = 1, 1

        def __call__(self, value, plan, draw):
            seen.append(plan[:, 0, :, 0].T.tolist())
            return torch.full_like(plan, 0.5) if len(seen) == 1 else plan

    one = planner(Kept(), Counter())
    one.reset(torch.ones(1, 2, dtype=torch.bool))
    one.act(torch.zeros(1, 2, 1))
    one.reset(torch.tensor([[False, True]]))
    one.act(torch.zeros(1, 2, 1))
    assert seen == [[[0, 0, 0], [0, 0, 0]], [[0.5, 0.5, 0], [0, 0, 0]]]


@pytest.mark.parametrize("optimiser", [Shooting(10), CEM(10, 4, 0.2, 0.1), MPPI(10, 4, 0.5, 1.0)])
def test_every_simulated_step_is_counted_while_planning(optimiser):
    trial, asked = Counter(), []
    line = BoxActions(LINE, CPU)

    def model(s, a):
        asked.append(s.shape[1])
        return s + a

    never = lambda s, a, n: torch.zeros_like(s[..., 0]).bool()  # noqa: E731, a test's own
    one = planner(optimiser, trial, task=Task(model, lambda s, a, n: n[..., 0], never, line))
    one.reset(torch.ones(1, 2, dtype=torch.bool))
    one.act(torch.zeros(1, 2, 1))
    assert trial.steps == sum(asked) == optimiser.tried * 3 * 2


def test_the_model_is_asked_once_a_step_for_all_candidates_at_once():
    asked = []

    def model(s, a):
        asked.append(s.shape)
        return s

    task = RING._replace(model=model)
    returns(task, torch.zeros(2, 3, 1), torch.zeros(5, 2, 3, MOVES, 100))
    assert asked == [(2, 300, 1)] * 5


@pytest.mark.parametrize("optimiser", [Shooting(30), CEM(30, 3, 0.2, 0.1), MPPI(30, 3, 0.5, 1.0)])
def test_a_seed_plans_bit_for_bit_as_if_alone(optimiser):
    def planned(seeds):
        one = planner(optimiser, Counter(), seeds)
        one.reset(torch.ones(len(seeds), 2, dtype=torch.bool))
        obs = torch.stack([torch.randn(2, 1, generator=g) for g in generators(*seeds)])
        return [one.act(obs)[seeds.index(7)].tolist() for _ in range(3)]

    assert planned((7,)) == planned((3, 5, 7)) == planned((7, 1, 2, 4, 6))


def test_truncated_normals_are_normal_within_two_deviations():
    numbers = Draw(generators(0), 20_000).truncated_normal(torch.zeros(1, 1, 1, 1)).flatten()
    assert numbers.abs().max() <= 2
    assert numbers.std().item() == pytest.approx(0.8796, abs=0.01)  # of N(0, 1) cut off at 2
    assert numbers.mean().item() == pytest.approx(0, abs=0.02)


def test_discrete_actions_are_the_largest_number_and_are_drawn_evenly():
    actions = actions_of(gymnasium.spaces.Discrete(3), CPU)
    numbers = Draw(generators(0), 9_000).uniform(torch.zeros(1, 1, 1, 3))
    counts = actions.scaled(numbers.mT).flatten().bincount()
    assert counts.tolist() == pytest.approx([3_000] * 3, rel=0.05)
    assert actions.features(torch.tensor([[2, 0]])).tolist() == [[[0, 0, 1], [1, 0, 0]]]


def test_candidates_are_taken_whole():
    numbers = torch.randn(3, 2, 2, 1, 5)
    which = torch.tensor([[[4, 0]] * 2, [[1, 1]] * 2])
    for s, b, e in itertools.product(range(2), repeat=3):
        assert torch.equal(taken(numbers, which)[:, s, b, :, e], numbers[:, s, b, :, which[s, b, e]])


def test_each_particle_stays_with_its_member_and_their_mean_counts():
    dynamics = make_dynamics(1, 1, (4,), generators(0), members=2)
    line = BoxActions(LINE, CPU)
    never = lambda s, a, n: torch.zeros_like(s[..., 0]).bool()  # noqa: E731, a test's own
    task = Task(trajectory_sampling(dynamics, line, generators(1)), lambda s, a, n: n[..., 0], never, line, particles=4)
    obs, numbers = torch.randn(1, 2, 1), torch.rand(3, 1, 2, 1, 5) * 2 - 1
    expected = 0
    for member in range(2):
        state = obs.view(1, 1, 2, 1, 1).expand(-1, 2, -1, 5, -1).reshape(1, 2, 10, 1)
        for t in range(3):
            action = (2 * numbers[t].mT).reshape(1, 1, 10, 1).expand(-1, 2, -1, -1)
            state = dynamics.predict(state, action)
            expected = expected + state[:, member].view(1, 2, 5) / 2
    torch.testing.assert_close(returns(task, obs, numbers), expected)
