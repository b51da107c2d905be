"""Settings of DPPO. Importing this module imports nothing heavy, unlike the algorithms."""

# The paper's form; its 64 workers are divided by 8. What it does not state for small tasks are our defaults.
PAPER = {
    "workers": 8,
    "dropped": 1,
    "lambda_": 1.0,
    "batch_size": 2048,
    "window": 64,
    "target_kl": 0.01,
    "standardised_advantages": True,
    "normalised_observations": True,
    "scaled_rewards": True,
    "max_gradient_norm": None,
}

# Chosen on seeds 100 to 109.
CARTPOLE = {  # for 50,176 steps
    "workers": 4,
    "discount": 0.99,
    "lambda_": 0.98,
    "batch_size": 256,
    "window": 64,
    "passes": 20,
    "target_kl": 0.01,
    "learning_rate": {"start": 2.5e-3, "end": 0.0},
}
PENDULUM = {  # for 100,352 steps
    "workers": 4,
    "discount": 0.9,
    "lambda_": 0.95,
    "batch_size": 2048,
    "window": 64,
    "passes": 40,
    "target_kl": 0.02,
    "learning_rate": {"start": 3e-3, "end": 0.0},
    "normalised_observations": False,
}

# Of Morvan Zhou's tutorial, script 12, for `pendulum-shifted` and 200,000 steps; see `PPO_TUTORIAL` for what differs.
TUTORIAL = {
    "workers": 4,
    "discount": 0.9,
    "lambda_": 1.0,
    "clip": {"start": 0.2, "end": 0.2},
    "batch_size": 64,
    "fragments": 4,
    "passes": 10,
    "minibatches": 1,
    "hidden": (100,),
    "activation": "relu",
    "log_std": -0.37,
    "learning_rate": {"start": 1e-4, "end": 1e-4},
    "standardised_advantages": False,
    "entropy_weight": 0.0,
    "max_gradient_norm": None,
}

DPPO = {"paper": PAPER, "tuned-cartpole": CARTPOLE, "tuned-pendulum": PENDULUM}
DPPO_DATA = {"tutorial": TUTORIAL}
