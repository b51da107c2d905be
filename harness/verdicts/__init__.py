"""Deciding between results: two sides compared, a commit gated, a suite's claims judged."""
