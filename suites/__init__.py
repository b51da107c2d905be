"""The standard suites, shipped as package data of `harness.suites`."""
