"""A plugin-based benchmark harness for reinforcement learning."""
