"""Settings of deep Q-networks, from elsewhere and our own. Importing this module imports nothing heavy."""

# Nature's table of hyper-parameters, with its four largest counts shrunk for tasks of some 10⁵ steps: replay of 10⁶
# transitions, 5 % of that before learning starts (kept), a target copied every 10⁴ steps, and ε annealed over 10⁶
# of 5 · 10⁷ frames.
PAPER = {
    "learning_rate": 2.5e-4,
    "batch_size": 32,
    "train_every": 4,
    "epsilon": {"start": 1.0, "end": 0.1, "until": 0.1},
    "replay_capacity": 50_000,
    "learning_starts": 2_500,
    "target_every": 1_000,
}

# Of Morvan Zhou's tutorial, for `maze-features`; its target is copied every 200 updates. Its RMSProp is Adam here.
TUTORIAL = {
    "hidden": (10,),
    "discount": 0.9,
    "learning_rate": 0.01,
    "batch_size": 32,
    "train_every": 5,
    "epsilon": {"start": 0.1, "end": 0.1},
    "replay_capacity": 2_000,
    "learning_starts": 200,
    "target_every": 1_000,
}

# Of rl_zoo3 2.9.2 (https://github.com/DLR-RM/rl-baselines3-zoo), hyperparams/dqn.yml, and its library's clipping.
ZOO = {"hidden": (256, 256), "max_gradient_norm": 10.0}
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
# 499.2 by `double_dqn` here (10 seeds, the worst 492). Its loss is the squared error: with errors clipped to 1, where
# returns reach 100, values diverge while ε is large (docs/decisions/0007).
CLEANRL_CLASSIC = {
    "huber_threshold": 1e6,
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
    "target_every": 500,
}

# For `acrobot` and a budget of 500,000 steps: little exploration, so that the memory holds mostly swings that end.
# Evaluated as the paper evaluates, with ε = 0.05: a greedy policy hangs in the same swing for ever now and then. The
# loss is the squared error, as in CleanRL. Mean final return of seeds 0 to 9, by which it was chosen: −94.5.
ACROBOT = {
    "evaluation_epsilon": 0.05,
    "huber_threshold": 1e6,
    "hidden": (64,),
    "learning_rate": 1e-3,
    "batch_size": 128,
    "train_every": 4,
    "epsilon": {"start": 1.0, "end": 0.05, "until": 0.1},
    "replay_capacity": 100_000,
    "learning_starts": 1_000,
    "target_every": 500,
}

ZOO_PRESETS = {"zoo-cartpole": ZOO_CARTPOLE, "zoo-mountaincar": ZOO_MOUNTAINCAR, "zoo-acrobot": ZOO_ACROBOT}

DQN = {
    "paper": PAPER,
    "tutorial": TUTORIAL,
    "small": SMALL,
    "cleanrl-classic": CLEANRL_CLASSIC,
    "acrobot": ACROBOT,
    **ZOO_PRESETS,
}

# The paper keeps DQN's settings. Morvan Zhou's, for `pendulum-11-tenth` and a budget of 23,000 steps: learning starts
# when the memory is full, and ε falls by 0.001 per update from there; here from the start of training.
DOUBLE_TUTORIAL = {
    "hidden": (20,),
    "discount": 0.9,
    "learning_rate": 0.005,
    "batch_size": 32,
    "epsilon": {"start": 1.0, "end": 0.1, "until": 0.17},
    "replay_capacity": 3_000,
    "learning_starts": 3_000,
    "target_every": 200,
}
DOUBLE_DQN = {
    "paper": PAPER,
    "tutorial": DOUBLE_TUTORIAL,
    "small": SMALL,
    "cleanrl-classic": CLEANRL_CLASSIC,
    **ZOO_PRESETS,
}

# The proportional variant's α, β and quarter of DQN's learning rate; all else as DQN's, shrunk as there. Errors are
# clipped to 1 for priorities too.
PER_PAPER = {
    **PAPER,
    "learning_rate": 2.5e-4 / 4,
    "alpha": 0.6,
    "beta": {"start": 0.4, "end": 1.0},
    "priority_epsilon": 1e-6,
    "largest_error": 1.0,
    "weight_scale": "batch",
}

# Morvan Zhou's, for `mountaincar-plus10` and a budget of 70,000 steps: β rises by 0.001 per sample (600 of 60,000),
# ε falls by 5 · 10⁻⁵ per update (18,000 after the first 10,000 steps; here from the start of training). Its RMSProp is
# Adam here, and its squared error Huber's.
PER_TUTORIAL = {
    "hidden": (20,),
    "discount": 0.9,
    "learning_rate": 0.005,
    "batch_size": 32,
    "epsilon": {"start": 1.0, "end": 0.1, "until": 0.4},
    "replay_capacity": 10_000,
    "learning_starts": 10_000,
    "target_every": 500,
    "alpha": 0.6,
    "beta": {"start": 0.4, "end": 1.0, "until": 0.01},
    "priority_epsilon": 0.01,
    "largest_error": 1.0,
    "weight_scale": "memory",
}
PER_DQN = {"paper": PER_PAPER, "tutorial": PER_TUTORIAL, "small": SMALL, **ZOO_PRESETS}

# Streams of 512 units after the convolutions, a smaller learning rate and clipping; all else as DQN's, shrunk as there.
DUELING_PAPER = {**PAPER, "stream": (512,), "learning_rate": 6.25e-5, "max_gradient_norm": 10.0}

# Morvan Zhou's, for `pendulum-25-tenth` and a budget of 18,000 steps: streams of one layer; ε as for Double DQN.
DUELING_TUTORIAL = {
    "shared": (20,),
    "stream": (),
    "discount": 0.9,
    "learning_rate": 0.001,
    "batch_size": 32,
    "epsilon": {"start": 1.0, "end": 0.1, "until": 0.21},
    "replay_capacity": 3_000,
    "learning_starts": 3_000,
    "target_every": 200,
    "max_gradient_norm": None,
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
