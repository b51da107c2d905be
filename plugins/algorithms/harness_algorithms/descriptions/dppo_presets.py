"""Settings of DPPO. Importing this module imports nothing heavy, unlike the algorithms."""

# The paper's form: returns of windows without λ, all is normalised, no limit of gradients; the factor 1.5 of β and the
# bounds of d, 2 and 4 targets, are built in. `batch_size` counts steps of all workers, `window` steps of one, `passes`
# gradients of the whole batch. No copy of the paper was at hand to check its counts: these are those of a small task.
PAPER = {
    "workers": 8,
    "dropped": 1,
    "lambda_": 1.0,
    "batch_size": 2048,
    "window": 64,
    "passes": 20,
    "target_kl": 0.01,
    "standardised_advantages": True,
    "normalised_observations": True,
    "scaled_rewards": True,
    "max_gradient_norm": None,
}

# Chosen on seeds 100 to 129, all of which end at 500. Once every episode lasts to its limit, advantages are little but
# noise: standardised they are as steep as ever, and seen by running means π drifts until the cart does. Ends of seeds
# 110 to 129: 452 (110 to 119) with both, 473 with unstandardised advantages only.
CARTPOLE = {  # for 100,352 steps
    "workers": 4,
    "discount": 0.99,
    "lambda_": 0.98,
    "batch_size": 1024,
    "window": 64,
    "passes": 20,
    "target_kl": 0.01,
    "learning_rate": {"start": 2.5e-3, "end": 0.0},
    "standardised_advantages": False,
    "normalised_observations": False,
}
# Chosen on seeds 100 to 109.
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

# Of Morvan Zhou's tutorial, script 12 (DPPO), for `pendulum-shifted` and 200,000 steps, 1,000 episodes. A batch is 64
# steps of all workers together, on all of which 10 gradients follow. See `PPO_TUTORIAL` for what differs; and v has 200
# units, as π has, not 100.
TUTORIAL = {
    "workers": 4,
    "discount": 0.9,
    "lambda_": 1.0,
    "clip": {"start": 0.2, "end": 0.2},
    "batch_size": 64,
    "fragments": 4,
    "passes": 10,
    "minibatches": 1,
    "hidden": (200,),
    "activation": "relu",
    "log_std": -0.37,
    "learning_rate": {"start": 1e-4, "end": 1e-4},
    "standardised_advantages": False,
    "entropy_weight": 0.0,
    "max_gradient_norm": None,
}

# Its discrete script, for `cartpole-fall-only`: 15 gradients, and one rate for π and v as here.
TUTORIAL_CARTPOLE = {**TUTORIAL, "passes": 15}

DPPO = {"paper": PAPER, "tuned-cartpole": CARTPOLE, "tuned-pendulum": PENDULUM}
# No paper sends data to where gradients are made, so there is no "paper" of this one, and no "tutorial" of the other.
DPPO_DATA = {"tutorial": TUTORIAL, "tutorial-cartpole": TUTORIAL_CARTPOLE}
