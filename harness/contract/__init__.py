"""What plugins are given and hand over: the trial, descriptions, hooks, executors. `harness.api` is its face."""

API = 1  # raised when a plugin of before no longer works
