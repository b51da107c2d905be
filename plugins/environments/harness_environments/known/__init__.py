"""What a planner may know of an environment: `harness.api.EnvironmentSpec.known`.

Pure functions of tensors over any leading shape [...], on any device, for observations and actions as the Gymnasium
environment gives and takes them; floating results have the dtype of the observations. Written from the sources of
Gymnasium 1.4, on the array functions beside them.

``reward_fn(obs, action, next_obs)`` [...], ``termination_fn(obs, action, next_obs)`` bool [...],
``dynamics_fn(obs, action)`` the next observation, ``initial_fn(generator, shape)`` observations [*shape, D].
"""
