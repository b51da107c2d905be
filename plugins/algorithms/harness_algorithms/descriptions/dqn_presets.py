"""Settings of deep Q-networks, from elsewhere and our own. Importing this module imports nothing heavy."""

# Nature's table of hyper-parameters, counted in steps of the agent, each of 4 frames: a step of learning every 4 steps,
# ε annealed over 10⁶, replay of 10⁶ transitions, learning from 5 · 10⁴ on, a target copied every 10⁴ (DQN Zoo's 4 · 10⁴
# frames; the paper's table counts updates, which would be 4 times as many). The last four are divided by 20, for
# budgets of some 5 · 10⁵ steps. Rates are per update and stay, as do the convolutions with 512 units after them.
SHRINK = 20
PAPER = {
    "hidden": (512,),
    "learning_rate": 2.5e-4,
    "batch_size": 32,
    "train_every": 4,
    "epsilon": {"start": 1.0, "end": 0.1, "until": 0.1},
    "replay_capacity": 1_000_000 // SHRINK,
    "learning_starts": 50_000 // SHRINK,
    "target_every": 10_000 // SHRINK,
    "huber_threshold": 1.0,
}

# Of Morvan Zhou's tutorial, number for number. Ours differs from all of its scripts in that RMSProp is Adam here, that
# the squared error is averaged over the transitions and not over their actions too, that weights do not start from
# N(0, 0.3²), and that terminal states are worth 0: the scripts store no end of an episode. Their ε falls per update,
# from the first on; a line that is above 1 at step 0 is at 1 when learning starts, before which actions are random.
TUTORIAL_BATCH = {"discount": 0.9, "batch_size": 32}

# Script 5, for `maze-features`; its target is copied every 200 updates.
TUTORIAL = {
    **TUTORIAL_BATCH,
    "hidden": (10,),
    "learning_rate": 0.01,
    "train_every": 5,
    "epsilon": {"start": 0.1, "end": 0.1},
    "replay_capacity": 2_000,
    "learning_starts": 200,
    "target_every": 1_000,
}
# Script 6, for `cartpole-shaped` and a budget of 20,000 steps: ε falls by 0.001 per step, from step 1,000 on.
TUTORIAL_CARTPOLE = {
    **TUTORIAL_BATCH,
    "hidden": (10,),
    "learning_rate": 0.01,
    "epsilon": {"start": 2.0, "end": 0.1, "until": 1_900 / 20_000},
    "replay_capacity": 2_000,
    "learning_starts": 1_000,
    "target_every": 100,
}
# Script 6, for `mountaincar-distance` and a budget of 20,000 steps: ε falls by 0.0002 per step, from step 1,000 on.
TUTORIAL_MOUNTAINCAR = {
    **TUTORIAL_BATCH,
    "hidden": (10,),
    "learning_rate": 0.001,
    "epsilon": {"start": 1.2, "end": 0.1, "until": 5_500 / 20_000},
    "replay_capacity": 3_000,
    "learning_starts": 1_000,
    "target_every": 300,
}

# Script 5.1, Double DQN, for `pendulum-11-tenth` and a budget of 23,000 steps: learning starts when the memory is full,
# and ε falls by 0.001 per step from there.
DOUBLE_TUTORIAL = {
    **TUTORIAL_BATCH,
    "hidden": (20,),
    "learning_rate": 0.005,
    "epsilon": {"start": 4.0, "end": 0.1, "until": 3_900 / 23_000},
    "replay_capacity": 3_000,
    "learning_starts": 3_000,
    "target_every": 200,
}
# Script 5.2, prioritized replay, for `mountaincar-plus10` and a budget of 70,000 steps: ε falls by 5 · 10⁻⁵ per step
# from step 10,000 on; β rises by 0.001 per sample (600 of 60,000). Targets are plain maxima.
TUTORIAL_MOUNTAINCAR_PLUS10 = {
    **TUTORIAL_BATCH,
    "hidden": (20,),
    "learning_rate": 0.005,
    "epsilon": {"start": 1.5, "end": 0.1, "until": 28_000 / 70_000},
    "replay_capacity": 10_000,
    "learning_starts": 10_000,
    "target_every": 500,
}
PER_TUTORIAL = {
    **TUTORIAL_MOUNTAINCAR_PLUS10,
    "double": False,
    "alpha": 0.6,
    "beta": {"start": 0.4, "end": 1.0, "until": 600 / 60_000},
    "priority_epsilon": 0.01,
    "largest_error": 1.0,
    "weight_scale": "memory",
}
# Script 5.3, dueling networks, for `pendulum-25-tenth` and a budget of 18,000 steps: streams of one layer,
# plain maxima as targets; ε as for Double DQN. Its gradient into what the streams share is not divided by √2.
TUTORIAL_PENDULUM_25 = {
    **TUTORIAL_BATCH,
    "learning_rate": 0.001,
    "epsilon": {"start": 4.0, "end": 0.1, "until": 3_900 / 18_000},
    "replay_capacity": 3_000,
    "learning_starts": 3_000,
    "target_every": 200,
    "max_gradient_norm": None,
}
DUELING_TUTORIAL = {**TUTORIAL_PENDULUM_25, "shared": (20,), "stream": (), "double": False}

# Of rl_zoo3 2.9.2 (https://github.com/DLR-RM/rl-baselines3-zoo), hyperparams/dqn.yml, and its library's clipping.
ZOO = {"hidden": (256, 256), "huber_threshold": 1.0, "max_gradient_norm": 10.0}
ZOO_CARTPOLE = {
    **ZOO,
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "train_every": 256,
    "updates": 128,
    "epsilon": {"start": 1.0, "end": 0.04, "until": 0.16},
    "replay_capacity": 100_000,
    "learning_starts": 1_000,
    "target_every": 10,
}
ZOO_MOUNTAINCAR = {
    **ZOO,
    "discount": 0.98,
    "learning_rate": 4e-3,
    "batch_size": 128,
    "train_every": 16,
    "updates": 8,
    "epsilon": {"start": 1.0, "end": 0.07, "until": 0.2},
    "replay_capacity": 10_000,
    "learning_starts": 1_000,
    "target_every": 600,
}
ZOO_ACROBOT = {
    **ZOO,
    "learning_rate": 6.3e-4,
    "batch_size": 128,
    "train_every": 4,
    "updates": 4,
    "epsilon": {"start": 1.0, "end": 0.1, "until": 0.12},
    "replay_capacity": 50_000,
    "learning_starts": 0,
    "target_every": 250,
}

# Of CleanRL (https://github.com/vwxyzjn/cleanrl), dqn.py, for a budget of 500,000 steps: 488.7 on CartPole there, and
# 499.2 by `double_dqn` here (10 seeds, the worst 492).
CLEANRL_CLASSIC = {
    "hidden": (120, 84),
    "learning_rate": 2.5e-4,
    "batch_size": 128,
    "train_every": 10,
    "epsilon": {"start": 1.0, "end": 0.05, "until": 0.5},
    "replay_capacity": 10_000,
    "learning_starts": 10_000,
    "target_every": 500,
}

# Enough for small tasks: what the claims about action values are tried with, the same for all.
SMALL = {
    "hidden": (64,),
    "learning_rate": 1e-3,
    "batch_size": 32,
    "train_every": 2,
    "epsilon": {"start": 1.0, "end": 0.1, "until": 0.2},
    "replay_capacity": 20_000,
    "learning_starts": 1_000,
    "target_every": 100,
}

ZOO_PRESETS = {"zoo-cartpole": ZOO_CARTPOLE, "zoo-mountaincar": ZOO_MOUNTAINCAR, "zoo-acrobot": ZOO_ACROBOT}

DQN = {
    "paper": PAPER,
    "tutorial": TUTORIAL,
    "tutorial-cartpole": TUTORIAL_CARTPOLE,
    "tutorial-mountaincar": TUTORIAL_MOUNTAINCAR,
    # what scripts 5.1 to 5.3 compare their improvements with: the same settings without them
    "tutorial-pendulum-11": DOUBLE_TUTORIAL,
    "tutorial-mountaincar-plus10": TUTORIAL_MOUNTAINCAR_PLUS10,
    "tutorial-pendulum-25": {**TUTORIAL_PENDULUM_25, "hidden": (20,)},
    "small": SMALL,
    "cleanrl-classic": CLEANRL_CLASSIC,
    **ZOO_PRESETS,
}

# The paper keeps DQN's settings.
DOUBLE_DQN = {
    "paper": PAPER,
    "tutorial": DOUBLE_TUTORIAL,
    "small": SMALL,
    "cleanrl-classic": CLEANRL_CLASSIC,
    **ZOO_PRESETS,
}

# The proportional variant's α, β and quarter of DQN's learning rate, on the tuned Double DQN: ε to 0.01 and a target
# copied every 3 · 10⁴ steps; all else as DQN's, divided as there. Errors are clipped to 1 for priorities too.
PER_PAPER = {
    **PAPER,
    "learning_rate": 2.5e-4 / 4,
    "epsilon": {"start": 1.0, "end": 0.01, "until": 0.1},
    "target_every": 30_000 // SHRINK,
    "alpha": 0.6,
    "beta": {"start": 0.4, "end": 1.0},
    "priority_epsilon": 1e-6,
    "largest_error": 1.0,
    "weight_scale": "batch",
}

PER_DQN = {"paper": PER_PAPER, "tutorial": PER_TUTORIAL, "small": SMALL, **ZOO_PRESETS}

# Streams of 512 units after the convolutions, a smaller learning rate and clipping; all else as DQN's.
DUELING_PAPER = {
    **{name: value for name, value in PAPER.items() if name != "hidden"},
    "stream": (512,),
    "learning_rate": 6.25e-5,
    "max_gradient_norm": 10.0,
}


def dueling(preset: dict[str, object]) -> dict[str, object]:
    """Settings of DQN for a dueling network: its last hidden layer is that of both streams."""
    *shared, last = preset["hidden"]
    rest = {name: value for name, value in preset.items() if name != "hidden"}
    return {**rest, "shared": tuple(shared), "stream": (last,)}


DUELING_DQN = {
    "paper": DUELING_PAPER,
    "tutorial": DUELING_TUTORIAL,
    "small": {**dueling({**SMALL, "hidden": (64, 32)}), "max_gradient_norm": None},
    **{name: dueling(preset) for name, preset in ZOO_PRESETS.items()},
}
