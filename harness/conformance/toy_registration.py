"""Importing this registers the toy environments: what ``imports`` of their descriptions needs, in every process."""

from itertools import product

from gymnasium import register

from harness.conformance.toy_environments import ACTIONS, LONGEST, NIM, OBSERVATIONS, STONES, Nim, Ring, ring

register(NIM.id, f"{Nim.__module__}:Nim", max_episode_steps=STONES)
for observation, action in product(OBSERVATIONS, ACTIONS):
    kinds = {"observation": observation, "action": action}
    register(ring(observation, action).id, f"{Ring.__module__}:Ring", kwargs=kinds, max_episode_steps=LONGEST)
