import random
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch

from harness.contract.trial import ContractBroken
from harness.measuring import environments, seeding
from harness.measuring.evaluation import evaluate, stacked, unbatched
from support.measuring import LADDER, Ladder, act, act_lockstep, train_lockstep, train_single, trained
from support.trial import local_trial

CPU = torch.device("cpu")
PER_STEP = replace(LADDER, kwargs={"longest": 30, "per_step": True})


def make(spec=LADDER):
    return lambda: environments.make(spec)


def reserved(seed, index, episode):
    return seeding.integer(seed, seeding.EVALUATION, index, episode)


def played(spec, seed):
    """One episode of `act`, counted by hand."""
    env = gymnasium.make(spec.id, **spec.kwargs)
    obs, _ = env.reset(seed=seed)
    value, length, over = 0.0, 0, False
    while not over:
        obs, reward, terminated, truncated, _ = env.step(act(obs))
        value, length, over = value + float(reward), length + 1, terminated or truncated
    return seed, value, length, terminated, truncated


def test_every_episode_is_the_one_of_its_reserved_seed():
    (outcomes,) = evaluate(make(), act, (3,), 2, 20, CPU, lockstep=False)
    assert outcomes == [played(LADDER, reserved(3, 2, k)) for k in range(20)]


def test_short_episodes_are_not_over_represented():
    (outcomes,) = evaluate(make(PER_STEP), act, (0,), 0, 50, CPU, lockstep=False)
    exact = [played(PER_STEP, reserved(0, 0, k))[1] for k in range(50)]
    assert np.mean([outcome.value for outcome in outcomes]) == np.mean(exact)
    assert len({outcome.length for outcome in outcomes}) > 10


def test_lockstep_evaluates_every_run_as_it_would_alone():
    seeds = (0, 4, 6)
    together = evaluate(make(), act_lockstep, seeds, 1, 7, CPU, lockstep=True)
    assert together == [evaluate(make(), act, (seed,), 1, 7, CPU, lockstep=False)[0] for seed in seeds]


class Open(gymnasium.Wrapper):
    """Counts how many of its kind are open."""

    now = most = 0

    def __init__(self, env):
        super().__init__(env)
        Open.now += 1
        Open.most = max(Open.most, Open.now)

    def close(self):
        Open.now -= 1
        super().close()


def test_never_more_than_20_environments_of_a_run_are_open_nor_256_in_all_and_in_the_end_none():
    def most_open(seeds, episodes):
        Open.now = Open.most = 0
        evaluate(lambda: Open(environments.make(LADDER)), act_lockstep, range(seeds), 0, episodes, CPU, lockstep=True)
        assert Open.now == 0
        return Open.most

    assert [most_open(2, 30), most_open(30, 25), most_open(300, 2)] == [40, 240, 256]

    def fails(obs):
        raise ValueError

    with pytest.raises(ValueError):
        evaluate(lambda: Open(environments.make(LADDER)), fails, range(3), 0, 10, CPU, lockstep=True)
    assert Open.now == 0


@pytest.mark.parametrize(("seeds", "episodes"), [(1, 50), (10, 10), (12, 20), (40, 10)])
def test_the_policy_acts_on_one_shape_of_which_little_is_not_needed(seeds, episodes):
    shapes = []
    policy = lambda obs: (shapes.append(tuple(obs.shape[:2])), act_lockstep(obs))[1]  # noqa: E731
    played = evaluate(make(PER_STEP), policy, range(seeds), 0, episodes, CPU, lockstep=True)

    needed = sum(episode.length for run in played for episode in run)
    assert set(shapes) == {(seeds, min(episodes, 20))}
    assert len(shapes) * seeds * min(episodes, 20) < 4 * needed


def network(seeds):
    """A policy of real numbers, whose last bits depend on the shape of what it is asked."""
    weights = torch.randn(seeds, 2, 3, generator=torch.Generator().manual_seed(0))
    return lambda obs: torch.bmm(torch.tanh(obs * 0.1), weights).argmax(2)


class Remembering:
    """Acts on what it has seen in this episode alone."""

    def reset(self, mask):
        self.seen = torch.where(mask, 0.0, getattr(self, "seen", torch.zeros(mask.shape)))

    def act(self, obs):
        self.seen = self.seen + obs.sum(-1)
        return self.seen.long() % 3


@pytest.mark.parametrize("most", [1, 60])
@pytest.mark.parametrize("policy", [lambda seeds: act_lockstep, network, lambda seeds: Remembering()])
def test_episodes_are_the_same_to_the_last_bit_however_many_are_open(monkeypatch, most, policy):
    asked = (policy(10), range(10), 1, 25, CPU, True)
    every = evaluate(make(PER_STEP), *asked)
    monkeypatch.setattr("harness.measuring.evaluation.MOST_OPEN", most)

    assert evaluate(make(PER_STEP), *asked) == every


@pytest.mark.parametrize("length", [1, 7])
def test_a_policy_with_memory_forgets_the_episode_that_began_and_no_other(monkeypatch, length):
    every = evaluate(make(PER_STEP), Remembering(), range(3), 0, 9, CPU, lockstep=True)
    monkeypatch.setattr("harness.measuring.evaluation.MOST_OF_A_RUN", length)

    assert evaluate(make(PER_STEP), Remembering(), range(3), 0, 9, CPU, lockstep=True) == every


def train_at_random(late=False):
    """Trains with a policy that draws, as training does, from a stream per seed; late, one it asks for then."""

    def train(trial, config):
        env, explores = trial.make_lockstep_env(), trial.generators("policy")
        evaluated = None if late else trial.generators("evaluated")

        def draw(generators, number):
            return torch.stack([torch.randint(3, (number,), generator=generator) for generator in generators])

        trial.policy = lambda obs: draw(evaluated or trial.generators("evaluated"), obs.shape[1])
        env.reset()
        while trial.within_budget:
            env.step(draw(explores, 1))
            if trial.progress == 0.5:
                trial.policy = lambda obs: draw(explores, obs.shape[1])

    return train


@pytest.mark.parametrize("late", [False, True])
def test_a_policy_at_random_does_the_same_whatever_seeds_are_beside_and_however_many_are_open(monkeypatch, late):
    told = {"budget": 40, "points": 4, "episodes": 25, "lockstep": True}
    together = trained(train_at_random(late), seeds=tuple(range(14)), **told).runs  # in two groups
    for seed in (0, 9, 13):
        (alone,) = trained(train_at_random(late), seeds=(seed,), **told).runs
        assert untimed(together[seed]) == untimed(alone)
    monkeypatch.setattr("harness.measuring.evaluation.MOST_OPEN", 1)
    few = trained(train_at_random(late), seeds=tuple(range(14)), **told).runs
    assert [untimed(run) for run in few] == [untimed(run) for run in together]


def untimed(run):
    """What a run did, without seconds."""
    return [episode._replace(train_seconds=0) for episode in (*run.evaluations, *run.episodes)]


def test_a_policy_at_random_draws_anew_in_every_evaluation_and_leaves_the_streams_of_training_alone():
    told = {"budget": 40, "episodes": 6, "lockstep": True, "seeds": (0, 1)}
    rarely, often = (trained(train_at_random(), points=points, **told).runs for points in (1, 8))
    for one, other in zip(rarely, often, strict=True):
        assert [e[3:] for e in one.episodes] == [e[3:] for e in other.episodes]
    drawn = []

    def train(trial, config):
        env, (generator,) = trial.make_lockstep_env(), trial.generators()
        trial.policy = lambda obs: (drawn.append(torch.rand((), generator=generator)), act_lockstep(obs))[1]
        env.reset()
        while trial.within_budget:
            env.step(torch.zeros(1, 1, dtype=torch.long))

    trained(train, lockstep=True, budget=10, points=4)
    assert len({float(number) for number in drawn}) == len(drawn)


@pytest.mark.parametrize(("train", "lockstep"), [(train_single, False), (train_lockstep(2), True)])
def test_evaluations_fall_at_0_at_every_mark_and_at_the_budget(train, lockstep):
    evaluations = trained(train, budget=40, points=4, episodes=3, lockstep=lockstep).runs[0].evaluations
    assert [(e.evaluation, e.step, e.episode) for e in evaluations] == [
        (index, step, episode) for index, step in enumerate((0, 10, 20, 30, 40)) for episode in range(3)
    ]


def test_the_last_evaluation_sees_the_policy_that_training_left():
    def train(trial, config):
        learned = np.zeros(1, int)
        env = trial.make_env()
        trial.policy = lambda obs: np.broadcast_to(learned, len(obs))
        try:
            while True:
                env.reset()
                while not any(env.step(0)[2:4]):
                    pass
        finally:
            learned += 2  # an update on the last data

    last = [e for e in trained(train, budget=10, episodes=4).runs[0].evaluations if e.step == 10]
    for episode in last:
        env = gymnasium.make(LADDER.id)
        env.reset(seed=episode.seed)
        assert episode.value == sum(float(env.step(2)[1]) for _ in range(episode.length))


class Careless(Ladder):
    """Draws from every global generator when it is made and reset."""

    def __init__(self):
        super().__init__()
        draws()

    def reset(self, **options):
        draws()
        return super().reset(**options)


gymnasium.register("measuring/Careless-v0", Careless, max_episode_steps=50)


def draws():
    return random.random(), float(np.random.random()), float(torch.rand(()))  # noqa: NPY002, to disturb it


@pytest.mark.parametrize("lockstep", [False, True])
def test_training_is_the_same_however_often_it_is_evaluated(lockstep):
    streams = []
    for points in (1, 10):
        seen = []

        def train(trial, config, seen=seen):
            random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002, as above
            env = trial.make_lockstep_env() if lockstep else trial.make_env()

            def careless(obs):
                draws()
                return act_lockstep(obs) if lockstep else act(obs)

            trial.policy = careless
            env.reset()
            while trial.within_budget:
                seen.append((draws(), trial.rng.random(), float(torch.rand((), generator=trial.generators()[0]))))
                if lockstep:
                    env.step(torch.randint(3, (1, 1)))
                elif any(env.step(env.action_space.sample())[2:4]):
                    env.reset()
            assert trial.seed("later") == seeding.integer(seeding.of_environment(0, LADDER.name), "later")

        trial = trained(
            train, replace(LADDER, id="measuring/Careless-v0"), budget=200, points=points, lockstep=lockstep
        )
        streams.append((seen, [(e.step, e.value) for e in trial.runs[0].episodes]))
    assert streams[0] == streams[1]
    assert len(streams[0][0]) == 200


def test_the_training_environments_are_left_alone():
    trial = local_trial(LADDER, budget=50)
    env = trial.make_env()
    env.reset()
    before = env.unwrapped.np_random.bit_generator.state, env.unwrapped.taken
    trial.policy = act
    assert (env.unwrapped.np_random.bit_generator.state, env.unwrapped.taken) == before


def train_last_action(trial, config):
    """Another algorithm: it acts otherwise and needs other streams."""
    env = trial.make_vector_env(3)
    trial.policy = lambda obs: np.full(len(obs), 2)
    env.reset()
    while trial.within_budget:
        env.step(trial.rng.integers(3, size=3))


def test_evaluation_seeds_are_the_same_for_every_algorithm():
    first, second = (
        trained(train, budget=60, points=3, episodes=5).runs[0].evaluations
        for train in (train_single, train_last_action)
    )
    assert [(e.evaluation, e.episode, e.seed) for e in first] == [(e.evaluation, e.episode, e.seed) for e in second]
    assert [e.value for e in first] != [e.value for e in second]


def test_evaluation_never_plays_a_training_seed(monkeypatch):
    seen = []
    reset = Ladder.reset
    monkeypatch.setattr(
        Ladder, "reset", lambda self, *, seed=None, options=None: (seen.append(seed), reset(self, seed=seed))[1]
    )
    trial = trained(train_lockstep(4), seeds=tuple(range(10)), budget=40, points=5, episodes=4)
    evaluation = {e.seed for run in trial.runs for e in run.evaluations}
    used = [seed for seed in seen if seed is not None]
    assert len(evaluation) == 10 * 6 * 4
    assert len(set(used) - evaluation) == 10 * 4
    assert len(used) == len(set(used))


def test_policies_act_without_gradients_and_may_return_tensors():
    weight = torch.ones(2, requires_grad=True)

    def policy(obs):
        scores = torch.as_tensor(obs) @ weight
        assert not scores.requires_grad
        return scores.long() % 3

    tensors = evaluate(make(), policy, (0,), 0, 5, CPU, lockstep=False)
    assert tensors == evaluate(make(), act, (0,), 0, 5, CPU, lockstep=False)


class Counting:
    """A policy with memory: how many actions each copy has been asked for."""

    def __init__(self):
        self.count, self.resets = np.full(4, 99), []

    def reset(self, mask):
        self.resets.append(mask.copy())
        self.count[mask] = 0

    def act(self, obs):
        self.count += 1
        assert (self.count >= obs[:, 1] + 1).all()
        return act(obs)


def test_a_policy_with_memory_is_told_of_fresh_copies_once():
    policy = Counting()
    outcomes = evaluate(make(), policy, (0,), 0, 4, CPU, lockstep=False)
    assert outcomes == evaluate(make(), act, (0,), 0, 4, CPU, lockstep=False)
    assert [mask.tolist() for mask in policy.resets] == [[True] * 4]


@pytest.mark.parametrize(
    ("policy", "lockstep"),
    [
        (lambda obs: 0, False),
        (lambda obs: act(obs)[:1], False),
        (lambda obs: act_lockstep(obs)[0], True),
        (lambda obs: act_lockstep(obs).reshape(-1), True),
    ],
)
def test_actions_of_the_wrong_shape_break_the_contract(policy, lockstep):
    with pytest.raises(ContractBroken, match="act on whole batches"):
        evaluate(make(), policy, (0,), 0, 4, CPU, lockstep=lockstep)


@pytest.mark.parametrize("kind", ["Dict", "Tuple"])
def test_nested_observations_are_stacked_leaf_by_leaf(kind):
    class Nested(gymnasium.ObservationWrapper):
        def __init__(self, env):
            super().__init__(env)
            parts = {"ladder": env.observation_space, "zero": gymnasium.spaces.Discrete(3)}
            self.observation_space = (
                gymnasium.spaces.Dict(parts) if kind == "Dict" else gymnasium.spaces.Tuple(parts.values())
            )

        def observation(self, obs):
            return {"ladder": obs, "zero": 0} if kind == "Dict" else (obs, 0)

    def policy(obs):
        ladder, zero = (obs["ladder"], obs["zero"]) if kind == "Dict" else obs
        assert zero.tolist() == [0] * 4
        return act(ladder)

    outcomes = evaluate(lambda: Nested(make()()), policy, (0,), 0, 4, CPU, lockstep=False)
    assert outcomes == evaluate(make(), act, (0,), 0, 4, CPU, lockstep=False)


class AsDouble(gymnasium.ObservationWrapper):
    """Observes float64, as NumPy makes it, whatever the space says."""

    def observation(self, obs):
        return obs.astype(np.float64)


def test_a_policy_is_handed_the_dtype_of_the_space_whatever_the_environment_makes():
    seen = []

    def policy(obs):
        seen.append(obs.dtype)
        return act(obs)

    (outcomes,) = evaluate(lambda: AsDouble(environments.make(LADDER)), policy, (0,), 0, 3, CPU, lockstep=False)

    assert set(seen) == {np.dtype(np.float32)}
    assert [outcomes] == evaluate(make(), act, (0,), 0, 3, CPU, lockstep=False)


def test_observations_that_their_space_cannot_hold_are_refused_not_cut():
    whole = gymnasium.spaces.Box(0, 9, (2,), np.uint8)
    assert stacked(whole, [[1.0, 2.0]]).dtype == np.uint8
    with pytest.raises(environments.EnvironmentError_, match="observes fractions"):
        stacked(whole, [[0.5, 2.0]])


PARTS = {"gear": gymnasium.spaces.Discrete(3), "throttle": gymnasium.spaces.Box(0, 1, (1,), np.float32)}
NESTED = {
    "Tuple": gymnasium.spaces.Tuple(PARTS.values()),
    "Dict": gymnasium.spaces.Dict(PARTS),
    "both": gymnasium.spaces.Dict({"a": gymnasium.spaces.Tuple(PARTS.values()), "b": gymnasium.spaces.Discrete(2)}),
}


class Driving(gymnasium.ActionWrapper):
    """Takes actions of a nested space alone, and writes them down."""

    taken: list = []  # noqa: RUF012, since each environment of an evaluation is another

    def __init__(self, env, space):
        super().__init__(env)
        self.action_space = space

    def action(self, action):
        assert action in self.action_space
        Driving.taken.append(action)
        return 0


def batches(space, form):
    """A policy of sampled actions, given in one of the forms that are allowed."""
    wide = gymnasium.vector.utils.batch_space(space, 4)
    wide.seed(0), space.seed(0)

    def tensors(batch):
        if isinstance(batch, dict):
            return {name: tensors(part) for name, part in batch.items()}
        return tuple(map(tensors, batch)) if isinstance(batch, tuple) else torch.as_tensor(batch)

    return {
        "batch": lambda obs: wide.sample(),
        "tensors": lambda obs: tensors(wide.sample()),
        "list": lambda obs: [space.sample() for _ in obs],
    }[form]


@pytest.mark.parametrize("form", ["batch", "tensors", "list"])
@pytest.mark.parametrize("space", NESTED.values(), ids=NESTED)
def test_nested_actions_are_gymnasiums_batch_or_a_list_of_actions(space, form):
    Driving.taken = []

    evaluate(lambda: Driving(environments.make(LADDER), space), batches(space, form), (0,), 0, 4, CPU, lockstep=False)

    assert len(Driving.taken) >= 4


def test_each_copy_is_given_its_own_part_of_a_batch():
    batch = {"gear": np.array([0, 2]), "throttle": torch.tensor([[0.25], [0.75]])}

    first, second = unbatched(NESTED["Dict"], batch, (2,))
    assert (first["gear"], first["throttle"], second["gear"]) == (0, [0.25], 2)
    assert unbatched(NESTED["Tuple"], tuple(batch.values()), (2,))[1] == (2, [0.75])


@pytest.mark.parametrize(
    ("space", "chosen"),
    [
        ("Tuple", (np.zeros(3, int), np.zeros((4, 1)))),
        ("Tuple", (np.zeros(4, int),)),
        ("Tuple", [(0, [0.5])] * 3),
        ("Dict", {"gear": np.zeros(4, int)}),
        ("Dict", {"gear": 0, "throttle": [0.5]}),
        ("Dict", None),
    ],
)
def test_nested_actions_that_are_not_of_the_whole_batch_break_the_contract(space, chosen):
    with pytest.raises(ContractBroken, match="act on whole batches"):
        unbatched(NESTED[space], chosen, (4,))
