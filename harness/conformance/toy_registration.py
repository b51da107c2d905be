"""Importing this registers the toy environments: what ``imports`` of their descriptions needs, in every process."""

from harness.conformance.toy_environments import register

register()
