"""I2A: rollouts and codes in their order, the distillation, equal sizes, what is counted, and a model that learns."""

import gymnasium
import numpy as np
import pytest
import torch

import harness_algorithms
import harness_environments
from harness.api import Step
from harness.discovery.config import resolve_config
from harness.measuring.training import run_training
from harness_algorithms import i2a
from harness_algorithms.blocks.distributions import Categorical
from harness_algorithms.blocks.environment_model import FrameModel, Sight, VectorModel, environment_model, fit
from harness_algorithms.blocks.imagination_core import (
    Agent,
    CopyModel,
    CorruptedModel,
    Encoder,
    Imagined,
    as_wide,
    imagine,
    planned,
)
from harness_algorithms.blocks.networks import stacked_mlp
from harness_algorithms.blocks.optim import adam
from harness_algorithms.blocks.streams import Uniforms
from harness_environments.arrays import push_box
from support.trial import local_trial

SPECS = {spec.name: spec for spec in harness_environments.SPECS}
PLANES = gymnasium.spaces.Box(0, 1, (4, 7, 7), np.bool_)
VECTOR = gymnasium.spaces.Box(-1, 1, (3,), np.float32)
PRESETS = next(spec.presets for spec in harness_algorithms.harness_algorithms() if spec.name == "i2a")


def generators(seeds=2):
    return [torch.Generator().manual_seed(s) for s in range(seeds)]


class Counting:
    """x is how far a rollout has come, digit by digit: 10 x + action + 1; paid is the action."""

    def predict(self, x, action):
        return 10 * x + action.unsqueeze(2) + 1, action.float()


def last_action(actions):
    """A rollout policy that is sure to take the last action."""
    return lambda x: torch.full((*x.shape[:2], actions), -1e9).index_fill(2, torch.tensor(actions - 1), 0.0)


def test_the_first_action_is_forced_and_the_others_are_the_rollout_policys():
    x = torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]], dtype=torch.float64)  # [S, B, D]
    imagined = imagine(Counting(), last_action(3), x, 3, None, 3)
    assert imagined.seen.shape == (2, 2, 3, 3, 1)
    for s, b, start in ((0, 0, 1), (0, 1, 2), (1, 0, 3), (1, 1, 4)):
        for a in range(3):
            told = [int(f"{start}{a + 1}"), int(f"{start}{a + 1}3"), int(f"{start}{a + 1}33")]
            assert imagined.seen[s, b, a, :, 0].tolist() == told
            assert imagined.reward[s, b, a].tolist() == [a, 2, 2]


def test_each_rollout_draws_by_its_own_noise():
    """Noise [τ − 1, S, B, A]: 0 is the first action, nearly 1 the last."""
    noise = torch.zeros(1, 1, 2, 2, dtype=torch.float64)
    noise[0, 0, 1, 0] = 0.999
    x = torch.zeros(1, 2, 1, dtype=torch.float64)
    even = lambda x: torch.zeros(*x.shape[:2], 2)  # noqa: E731, because it is one
    seen = imagine(Counting(), even, x, 2, noise, 2).seen[0, :, :, 1, 0]
    assert seen.tolist() == [[11, 21], [12, 21]]


def test_pairs_of_state_and_action_are_not_mixed_and_codes_lie_with_their_observation():
    """One observation at a time gives what all give together: the popular port tiles one way and reads the other."""
    encoder, sight = Encoder(4, 5, generators()), Sight(gymnasium.spaces.Box(-1, 1, (4,), np.float32))
    model = environment_model(sight, 3, 8, generators())
    x = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(3))
    whole = encoder(imagine(model, last_action(3), x, 3, None, 4))
    assert whole.shape == (2, 6, 15)
    for b in range(6):
        alone = encoder(imagine(model, last_action(3), x[:, b : b + 1], 3, None, 4))
        torch.testing.assert_close(whole[:, b : b + 1], alone)
    for a in range(3):
        first = model.predict(x, torch.full((2, 6), a))[0]
        torch.testing.assert_close(imagine(model, last_action(3), x, 3, None, 4).seen[:, :, a, 0], first)


def test_the_encoder_reads_from_the_end_to_the_beginning():
    encoder = Encoder(2, 4, generators(1))
    seen, reward = torch.randn(1, 1, 1, 3, 2), torch.randn(1, 1, 1, 3)
    state = encoder.memory.initial(1)
    for t in (2, 1, 0):
        step = torch.cat([torch.relu(encoder.frame(seen[:, :, 0, t])), reward[:, :, 0, t, None]], 2)
        state = encoder.memory(step, state)
    torch.testing.assert_close(encoder(Imagined(seen, reward)), state[0])


def rollout(space, config, actions, seed=0):
    chance = torch.Generator().manual_seed(seed)
    batch = config.copies * config.rollout_length
    obs = torch.rand(2, batch, *space.shape, generator=chance) < 0.3
    zeros = torch.zeros(2, batch)
    x = Sight(space)(obs)
    imagined = imagine(CopyModel(), last_action(actions), x, actions, None, 2)
    action = torch.randint(actions, (2, batch), generator=chance)
    reward = torch.randn(2, batch, generator=chance)
    return i2a.Rollout(obs, imagined, action, reward, zeros + 1, zeros.bool(), obs, zeros)


SMALL = i2a.Config(copies=4, rollout_length=3, features=8, code_units=6, head_units=16)


def test_distillation_moves_the_rollout_policy_towards_the_policy_and_leaves_the_policy_alone():
    agent = Agent(PLANES, 196, 4, 8, 6, 16, generators())
    seen = rollout(PLANES, SMALL, 4)
    told = torch.randn(2, 12, 4, requires_grad=True)
    parts = i2a.terms(agent, seen, told, SMALL)
    gradient, *others = torch.autograd.grad(
        parts.distillation.sum(), [told, *agent.parameters], allow_unused=True, retain_graph=True
    )
    assert all(other is None for other in others)
    with torch.no_grad():
        policy, _ = agent(seen.obs, seen.imagined)
        nearer = policy.kl(Categorical(told - 10 * gradient)).mean(1)
    assert (nearer < parts.distillation).all()
    torch.testing.assert_close(parts.distillation, policy.kl(Categorical(told)).mean(1))


def test_no_other_part_of_the_loss_reaches_the_rollout_policy():
    agent = Agent(PLANES, 196, 4, 8, 6, 16, generators())
    told = torch.randn(2, 12, 4, requires_grad=True)
    parts = i2a.terms(agent, rollout(PLANES, SMALL, 4), told, SMALL)
    others = (parts.policy + parts.value + parts.entropy).sum()
    assert torch.autograd.grad(others, told, allow_unused=True) == (None,)


def test_an_update_moves_the_rollout_policy_as_well_as_the_agent():
    """The popular port computes the gradient of the distillation, but steps another optimiser."""
    agent, rollout_policy = Agent(PLANES, 196, 4, 8, 6, 16, generators()), stacked_mlp((196, 8, 4), generators())
    seen, sight = rollout(PLANES, SMALL, 4), Sight(PLANES)
    optimizer = adam([*agent.parameters, *rollout_policy.parameters], 1e-3)
    before = [parameter.detach().clone() for parameter in (*agent.parameters, *rollout_policy.parameters)]
    with torch.no_grad():
        policy, _ = agent(seen.obs, seen.imagined)
    first = i2a.update(agent, rollout_policy(sight(seen.obs)), optimizer, seen, SMALL).distillation
    after = [*agent.parameters, *rollout_policy.parameters]
    assert all((old != new).any(1).all() for old, new in zip(before, after, strict=True))
    assert (policy.kl(Categorical(rollout_policy(sight(seen.obs)))).mean(1) < first).all()


@pytest.mark.parametrize(("space", "size"), [(PLANES, 196), (VECTOR, 3)])
@pytest.mark.parametrize(("features", "codes", "hidden"), [(64, 64, 128), (16, 8, 300)])
def test_an_agent_without_imagination_has_as_many_parameters(space, size, features, codes, hidden):
    def count(codes, hidden):
        agent = Agent(space, size, 4, features, codes, hidden, generators(1))
        return sum(parameter.numel() for parameter in agent.parameters)

    imagining = count(codes, hidden)
    plain = count(0, as_wide(size, 4, features, codes, hidden))
    assert abs(plain - imagining) <= (features + 6) / 2  # half of what a unit costs
    assert abs(plain - imagining) < 0.01 * imagining


def test_a_copy_model_changes_nothing_and_pays_nothing():
    x = torch.randn(1, 2, 3)
    imagined = imagine(CopyModel(), last_action(2), x, 2, None, 3)
    assert (imagined.seen == x[:, :, None, None]).all()
    assert not imagined.reward.any()


def test_a_corrupted_model_is_wrong_in_its_share_of_the_pixels():
    x = (torch.rand(2, 500, 196) < 0.5).float()
    seen, _ = CorruptedModel(CopyModel(), 0.1, True, generators()).predict(x, torch.zeros(2, 500, dtype=torch.int64))
    assert set(seen.unique().tolist()) == {0, 1}
    assert (seen != x).float().mean().item() == pytest.approx(0.1, abs=0.005)


class Levers:
    """Only action 2 leads to where the last action pays 5."""

    def predict(self, x, action):
        pays = (x[..., 0] == 1) & (action == 3)
        return (action == 2).to(x.dtype).unsqueeze(2), 5.0 * pays


def test_planning_takes_the_action_of_the_best_mean_return():
    noise = torch.rand(3, 1, 5, 8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert (planned(Levers(), last_action(4), torch.zeros(1, 5, 1), 4, noise, 0.9) == 2).all()


class Still:
    """An environment where nothing happens."""

    def step(self, action):
        zeros = torch.zeros(action.shape)
        obs = torch.zeros(*action.shape, 3)
        return Step(obs, zeros, zeros + 1, zeros.bool(), obs)


@pytest.mark.parametrize("codes", [0, 4])
def test_an_update_shows_in_the_very_next_action(codes):
    """What is imagined may stay, but the first action after an update is the new policy's, as learning takes it."""
    agent, x = Agent(VECTOR, 3, 4, 8, codes, 8, generators()), torch.zeros(2, 6, 3)

    def core(obs):
        return imagine(CopyModel(), last_action(4), obs, 4, None, 2) if codes else None

    player = i2a.Player(Still(), agent, core, Uniforms(generators(), 6), x)
    for wanted in (2, 1):
        *_, bias = agent.head.biases
        bias.zero_()[:, wanted] = 1e4
        assert (player.play(3).action == wanted).all()


def test_the_first_updates_leave_the_policy_nearly_even():
    """RMSProp, whose average of squares begins at 0, had moved logits of so wide a network by 17 after 4."""
    trial = local_trial(SPECS["push-box"], (3, 4), budget=10 * 80, lockstep=True)
    run_training(trial, i2a.train, i2a.Config(imagination="none"))
    for run in trial.runs:
        entropy = [value for _, name, value in run.diagnostics if name == "entropy"]
        assert len(entropy) == 10
        assert min(entropy) > 1.25  # log 4 is 1.39


def transitions(count, seed):
    """Of random actions on push-box, for two seeds; after 20 steps other levels follow."""
    chance, rows = torch.Generator().manual_seed(seed), []
    state = push_box.initial(chance, (2, 40))
    for time in range(count // 40):
        action = torch.randint(4, (2, 40), generator=chance)
        successor, reward, _ = push_box.step(state, action)
        rows.append((push_box.observe(state), action, push_box.observe(successor), reward.float()))
        state = push_box.initial(chance, (2, 40)) if time % 20 == 19 else successor
    return [torch.cat(column, 1) for column in zip(*rows, strict=True)]


@pytest.mark.slow
def test_the_model_of_frames_learns_the_rules_of_push_box():
    """On transitions that it has not seen. What a push onto a goal earns is rare, and takes longer to learn."""
    sight = Sight(PLANES)
    model = environment_model(sight, 4, 32, generators())
    assert isinstance(model, FrameModel)
    fit(model, sight, transitions(8_000, 5), Uniforms(generators(), 64), 1_000, 4e-3)
    obs, action, next_obs, _ = transitions(4_000, 6)
    seen, _ = model.predict(sight(obs), action)
    right = (seen == sight(next_obs)).all(2)
    pushed = (obs[:, :, 2] != next_obs[:, :, 2]).flatten(2).any(2)
    assert pushed.float().mean() > 0.02
    assert right.float().mean() > 0.95
    assert right[pushed].float().mean() > 0.8  # 0.88 to 0.94 with four sets of transitions and two step sizes


def test_the_model_of_vectors_learns_a_linear_world():
    sight = Sight(VECTOR)
    model = environment_model(sight, 2, 32, generators())
    assert isinstance(model, VectorModel)
    obs = torch.rand(2, 2_000, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    action = (torch.rand(2, 2_000, generator=torch.Generator().manual_seed(2)) < 0.5).long()
    next_obs = obs * 0.9 + action.unsqueeze(2) * 0.1
    loss = fit(model, sight, [obs, action, next_obs, obs[..., 0]], Uniforms(generators(), 64), 300, 3e-3)
    assert (loss < 0.02).all()


def trained(task, budget, **settings):
    small = dict(copies=4, rollout_length=4, features=8, code_units=4, head_units=8, model_updates=5, model_units=4)
    trial = local_trial(SPECS[task], (3, 4), budget=budget, episodes=1, points=2, lockstep=True)
    run_training(trial, i2a.train, resolve_config(i2a.Config, {**small, **settings}))
    return trial


def test_steps_that_the_model_is_trained_on_are_taken_from_the_budget():
    """Of 400, a quarter is seen by the plain agent; what follows is imagined from, two observations a step and copy."""
    trial = trained("push-box", 400, model_share=0.25, depth=3)
    assert trial.steps == 400
    first = 112  # the plain agent's: rollouts of 16 steps until there are 100
    looks = (400 - first) // 4 + 1
    assert trial.runs[0].simulated == looks * 8 * 4 * 3


def test_a_model_is_trained_on_one_rollout_at_least():
    assert trained("push-box", 64, model_share=0.0).runs[0].simulated == (64 - 16) // 4 * 96 + 96


@pytest.mark.parametrize("imagination", ["copy", "none"])
def test_baselines_simulate_nothing(imagination):
    assert trained("push-box", 100, imagination=imagination).runs[0].simulated == 0


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("task", ["push-box", "cartpole", "pixel-motion"])
def test_every_preset_trains_on_frames_and_on_vectors(task, preset):
    settings = {"planned_rollouts": 2, "planned_depth": 2, **PRESETS[preset]}
    trial = trained(task, 64, model_share=0.5, **settings)
    assert trial.steps == 64
    assert all(run.evaluations for run in trial.runs)


class Rules:
    """Push-box itself, told as a model."""

    def predict(self, x, action):
        planes = x.unflatten(2, (4, 49)).double()
        masks = (planes[:, :, :3] * 2.0 ** torch.arange(49, dtype=torch.float64)).sum(3).long()
        state = torch.cat([masks, planes[:, :, 3].argmax(2, keepdim=True)], 2)
        successor, reward, _ = push_box.step(state, action)
        return push_box.observe(successor).flatten(2).float(), reward.float()


def solved(model, levels=20):
    """The share of levels that planning solves, with uniformly random rollouts."""
    chance = torch.Generator().manual_seed(1)
    state, over = push_box.initial(chance, (1, levels)), torch.zeros(1, levels, dtype=torch.bool)
    for _ in range(50):
        noise = torch.rand(9, 1, levels, 8, 4, generator=chance, dtype=torch.float64)
        x = push_box.observe(state).flatten(2).float()
        action = planned(model, lambda x: torch.zeros(*x.shape[:2], 4), x, 4, noise, 0.99)
        successor, _, ended = push_box.step(state, action)
        over |= ended
        state = torch.where(over.unsqueeze(2), state, successor)
    return over.float().mean()


@pytest.mark.slow
def test_planning_in_the_rules_solves_levels_and_collapses_where_the_model_is_corrupted():
    assert solved(Rules()) > 0.5
    assert solved(CorruptedModel(Rules(), 0.1, True, generators(1))) < 0.3
