"""Strings hash the same in every process of ours: what follows the order of a set is the same in every session."""

import subprocess

import harness
from support.hostile import command, write_suite


def test_an_environment_that_follows_the_order_of_a_set_gives_one_fingerprint_in_all_sessions(tmp_path):
    suite = write_suite(tmp_path, ["hostile/steady"], ["hostile/set-order"])
    fingerprints = set()
    for hash_seed in ("1", "2"):
        line, variables = command("run", suite, "--out", hash_seed)
        ended = subprocess.run(line, cwd=tmp_path, env={**variables, "PYTHONHASHSEED": hash_seed}, capture_output=True)
        assert ended.returncode == 0, ended.stderr
        fingerprints |= set(harness.load(tmp_path / hash_seed).runs["fingerprint"])
    assert len(fingerprints) == 1
