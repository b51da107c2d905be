"""The checks behind ``harness check`` and `harness.testing`."""
