"""Hyper-parameters tuned for the classic control tasks, as presets ``zoo-<environment>``, and one of ours.

Source: ``hyperparams/*.yml`` of rl_zoo3 2.9.2 (https://github.com/DLR-RM/rl-baselines3-zoo). Names differ in three
places: ``copies`` is its ``n_envs``, ``anneal_*`` its schedules ``lin_*``, and ``policy_kwargs`` is flat. Budgets
(``n_timesteps``) belong to suites; schedules stretch to the suite's.
"""

from collections.abc import Mapping
from typing import Any

Values = Mapping[str, Any]

Q_CARTPOLE: Values = {
    "net_arch": [256, 256],
    "learning_rate": 2.3e-3,
    "batch_size": 64,
    "buffer_size": 100_000,
    "learning_starts": 1_000,
    "target_update_interval": 10,
    "train_freq": 256,
    "gradient_steps": 128,
    "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
}
Q_MOUNTAINCAR: Values = {
    "net_arch": [256, 256],
    "learning_rate": 4e-3,
    "batch_size": 128,
    "buffer_size": 10_000,
    "learning_starts": 1_000,
    "gamma": 0.98,
    "target_update_interval": 600,
    "train_freq": 16,
    "gradient_steps": 8,
    "exploration_fraction": 0.2,
    "exploration_final_eps": 0.07,
}
Q_ACROBOT: Values = {
    "net_arch": [256, 256],
    "learning_rate": 6.3e-4,
    "batch_size": 128,
    "buffer_size": 50_000,
    "learning_starts": 0,
    "target_update_interval": 250,
    "train_freq": 4,
    "gradient_steps": -1,
    "exploration_fraction": 0.12,
    "exploration_final_eps": 0.1,
}
DETERMINISTIC: Mapping[str, Values] = {  # DDPG and TD3
    "zoo-mountaincar-continuous": {"net_arch": [400, 300], "noise_type": "ornstein-uhlenbeck", "noise_std": 0.5},
    "zoo-pendulum": {
        "net_arch": [400, 300],
        "gamma": 0.98,
        "buffer_size": 200_000,
        "learning_starts": 10_000,
        "noise_type": "normal",
        "noise_std": 0.1,
    },
}

PRESETS: Mapping[str, Mapping[str, Values]] = {
    "dqn": {"zoo-cartpole": Q_CARTPOLE, "zoo-mountaincar": Q_MOUNTAINCAR, "zoo-acrobot": Q_ACROBOT},
    "qrdqn": {
        "zoo-cartpole": {**Q_CARTPOLE, "n_quantiles": 10},
        "zoo-mountaincar": {**Q_MOUNTAINCAR, "n_quantiles": 25},
        "zoo-acrobot": {**Q_ACROBOT, "n_quantiles": 25},
    },
    "a2c": {
        "zoo-cartpole": {"copies": 8},
        "zoo-mountaincar": {"copies": 16, "normalize": True},
        "zoo-acrobot": {"copies": 16, "normalize": True},
        "zoo-pendulum": {
            "copies": 8,
            "normalize": True,
            "ortho_init": False,
            "log_std_init": -2.0,
            "anneal_learning_rate": True,
            "n_steps": 8,
            "gamma": 0.9,
            "gae_lambda": 0.9,
            "vf_coef": 0.4,
            "use_sde": True,
        },
        "zoo-mountaincar-continuous": {
            "copies": 4,
            "normalize": True,
            "ortho_init": False,
            "n_steps": 100,
            "use_sde": True,
            "sde_sample_freq": 16,
        },
    },
    "ppo": {
        "zoo-cartpole": {
            "copies": 8,
            "learning_rate": 1e-3,
            "anneal_learning_rate": True,
            "n_steps": 32,
            "batch_size": 256,
            "n_epochs": 20,
            "gamma": 0.98,
            "gae_lambda": 0.8,
            "anneal_clip_range": True,
        },
        # Of `algorithms/ppo:cartpole`, value for value, and chosen together with it.
        "cartpole": {
            "gamma": 0.99,
            "gae_lambda": 0.95,
            "clip_range": 0.2,
            "anneal_clip_range": True,
            "copies": 8,
            "n_steps": 32,
            "n_epochs": 20,
            "batch_size": 256,
            "learning_rate": 2.5e-3,
            "anneal_learning_rate": True,
            "vf_coef": 0.5,
            "ent_coef": 0.0,
            "max_grad_norm": 0.5,
        },
        "zoo-mountaincar": {"copies": 16, "normalize": True, "n_steps": 16, "n_epochs": 4, "gae_lambda": 0.98},
        "zoo-acrobot": {"copies": 16, "normalize": True, "n_steps": 256, "n_epochs": 4, "gae_lambda": 0.94},
        "zoo-pendulum": {
            "copies": 4,
            "learning_rate": 1e-3,
            "n_steps": 1024,
            "gamma": 0.9,
            "use_sde": True,
            "sde_sample_freq": 4,
        },
        "zoo-mountaincar-continuous": {
            "normalize": True,
            "ortho_init": False,
            "log_std_init": -3.29,
            "learning_rate": 7.77e-5,
            "n_steps": 8,
            "batch_size": 256,
            "gamma": 0.9999,
            "gae_lambda": 0.9,
            "clip_range": 0.1,
            "ent_coef": 0.00429,
            "vf_coef": 0.19,
            "max_grad_norm": 5.0,
            "use_sde": True,
        },
    },
    "trpo": {
        "zoo-cartpole": {
            "copies": 2,
            "n_steps": 512,
            "batch_size": 512,
            "gae_lambda": 0.98,
            "cg_damping": 1e-3,
            "n_critic_updates": 20,
        },
        "zoo-mountaincar": {"copies": 2, "normalize": True, "n_steps": 1024, "n_critic_updates": 20},
        "zoo-acrobot": {"copies": 2, "normalize": True, "n_steps": 1024},
        "zoo-pendulum": {
            "copies": 2,
            "n_steps": 1024,
            "gamma": 0.9,
            "n_critic_updates": 15,
            "use_sde": True,
            "sde_sample_freq": 4,
        },
        "zoo-mountaincar-continuous": {"copies": 2, "normalize": True, "use_sde": True, "sde_sample_freq": 4},
    },
    "ddpg": DETERMINISTIC,
    "td3": DETERMINISTIC,
    "sac": {
        "zoo-pendulum": {"learning_rate": 1e-3},
        "zoo-mountaincar-continuous": {
            "net_arch": [64, 64],
            "log_std_init": -3.67,
            "use_expln": True,
            "buffer_size": 50_000,
            "learning_starts": 0,
            "batch_size": 512,
            "tau": 0.01,
            "gamma": 0.9999,
            "train_freq": 32,
            "gradient_steps": 32,
            "ent_coef": 0.1,
            "use_sde": True,
        },
    },
}
