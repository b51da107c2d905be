"""Settings of Gorila. Importing this module imports nothing heavy, unlike the algorithms."""

from harness_algorithms.descriptions.dqn_presets import SHRINK

# The paper's: 100 bundles with a memory of 10⁶ transitions each, 31 shards, θ⁻ every 60,000 updates of the server, ε
# annealed over 10⁶ of them. All these counts are divided by one factor, as those of DQN's are. What the paper does not
# state, the rate of AdaGrad and both limits among it, is our default; batches, units and clipping are DQN's.
PAPER = {
    "actors": 100 // SHRINK,
    "shards": round(31 / SHRINK),
    "hidden": (512,),
    "batch_size": 32,
    "replay_capacity": 100 * 1_000_000 // SHRINK**2,
    "learning_starts": 50_000 // SHRINK,
    "target_every": 60_000 // SHRINK,
    "epsilon": {"start": 1.0, "end": 0.1},
    "epsilon_updates": 1_000_000 // SHRINK,
    "huber_threshold": 1.0,
}

# The form that the lecture notes describe: as many actors as learners, on nodes of their own, one memory for all, and
# gradients that are too old by the clock. Their 100 of each are divided by 25; sizes for a small task are our defaults.
TUTORIAL = {"actors": 4, "learners": 4, "replay": "global", "max_staleness": None, "max_staleness_seconds": 0.05}

# Chosen on seeds 100 to 109 for `cartpole`, where AdaGrad, whose steps become ever smaller, comes to about 400 of 500.
CARTPOLE = {
    "actors": 4,
    "hidden": (64,),
    "batch_size": 32,
    "replay_capacity": 80_000,
    "epsilon_updates": 5_000,
    "learning_rate": 0.03,
    "max_staleness": 10,
}

GORILA = {"paper": PAPER, "tutorial": TUTORIAL, "tuned-cartpole": CARTPOLE}
