"""Suites: what a file may say, reading one, and the measures that it may name."""
