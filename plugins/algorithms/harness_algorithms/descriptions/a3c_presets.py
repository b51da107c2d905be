"""Settings of A3C. Importing this module imports nothing heavy, unlike the algorithms."""

# The paper's (arXiv:1602.01783, sections 4 and 8): 16 threads, an update per 5 steps, RMSProp with α = 0.99 shared by
# all, η annealed to 0, 256 hidden units. It draws η log-uniformly from [1e-4, 1e-2], fifty times, and shows the best
# ones; 7e-4 and the ε, which it does not state, are of PFRL's reproduction. Counts are steps of one worker: none needs
# to be divided for smaller tasks.
PAPER = {
    "workers": 16,
    "rollout_length": 5,
    "discount": 0.99,
    "hidden": (256,),
    "activation": "relu",
    "learning_rate": {"start": 7e-4, "end": 0.0},
    "rms_decay": 0.99,
    "rms_epsilon": 0.1,
    "entropy_weight": 0.01,
    "max_gradient_norm": None,
}

# Of M. Zhou's tutorial, script 10, for `pendulum-shifted` and 400,000 steps; it has as many workers as the machine has
# processors. Its critic has 100 units; here both have the actor's 200. The deviation of an action is a layer there,
# 0.69 at first.
TUTORIAL = {
    "workers": 4,
    "rollout_length": 10,
    "discount": 0.9,
    "hidden": (200,),
    "activation": "relu",
    "log_std": -0.37,
    "learning_rate": {"start": 1e-4, "end": 1e-4},
    "value_learning_rate": {"start": 1e-3, "end": 1e-3},
    "rms_decay": 0.9,
    "rms_epsilon": 1e-10,
    "entropy_weight": 0.01,
}
# Of its discrete form, for `cartpole-fall`, where the fall gives −20 and not the script's −5.
TUTORIAL_CARTPOLE = {
    **{name: value for name, value in TUTORIAL.items() if name != "log_std"},
    "learning_rate": {"start": 1e-3, "end": 1e-3},  # of both
    "value_learning_rate": None,
    "entropy_weight": 0.001,
}

# Chosen on seeds 100 to 109, for 200,000 steps of `cartpole`: all of them end at 500.
CARTPOLE = {"rollout_length": 20}

# Chosen on seeds 100 to 109, for 400,000 steps of `pendulum`: −218. With v at the rate of π −362, and with two layers
# of 64 units and tanh, which velocities of up to 8 saturate, no better than −650 at any rate tried.
PENDULUM = {
    "workers": 4,
    "rollout_length": 50,
    "discount": 0.9,
    "hidden": (256,),
    "activation": "relu",
    "learning_rate": {"start": 1e-3, "end": 0.0},
    "value_learning_rate": {"start": 5e-3, "end": 0.0},
}

# A long short-term memory for tasks that do not show their whole state. Chosen on seeds 100 to 109 of
# `cartpole-position`: 444 after 500,000 steps, eight of them at 500. Its inputs are small, and so are the gradients of
# their weights: with an ε of 1e-5, v at the rate of π and updates per 20 steps, 314 after 200,000 steps. Seeds 10 to
# 19, which chose nothing: 323, four of them at 475 or more, and 43 without a memory: it helps most, and not all.
RECURRENT = {
    "workers": 4,
    "rollout_length": 40,
    "memory_units": 32,
    "learning_rate": {"start": 1e-3, "end": 0.0},
    "value_learning_rate": {"start": 3e-3, "end": 0.0},
    "rms_epsilon": 1e-8,
}

A3C = {
    "paper": PAPER,
    "tutorial": TUTORIAL,
    "tutorial-cartpole": TUTORIAL_CARTPOLE,
    "tuned-cartpole": CARTPOLE,
    "tuned-pendulum": PENDULUM,
    "recurrent": RECURRENT,
}
