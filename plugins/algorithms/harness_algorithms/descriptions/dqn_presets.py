"""Settings of DQN from elsewhere. Importing this module imports nothing heavy, unlike `dqn`."""

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

PRESETS = {
    "paper": PAPER,
    "tutorial": TUTORIAL,
    "zoo-cartpole": ZOO_CARTPOLE,
    "zoo-mountaincar": ZOO_MOUNTAINCAR,
    "zoo-acrobot": ZOO_ACROBOT,
}
