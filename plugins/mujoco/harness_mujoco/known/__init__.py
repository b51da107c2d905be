"""What a planner may know of MuJoCo tasks: rewards and ends as Gymnasium's documentation gives them, no dynamics.

Pure functions of tensors over any leading shape [...], as `harness.api.EnvironmentSpec.known` wants them.
"""
