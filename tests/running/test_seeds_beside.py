"""More seeds extend what is there: the runs of a suite do not depend on which of them were asked for first."""

import os
import subprocess
import sys

import harness

# Such widths that rows of neighbouring seeds lie otherwise in memory, which a library's products may go by.
SUITE = """
[suite]
name = "beside"
version = "1"
question = "Does a seed learn what it learns alone?"
environments = ["pendulum"]
algorithms = [
    "algorithms/ddpg[hidden=[64, 70], learning_starts=50, batch_size=24]",
    "algorithms/ppo[copies=2, rollout_length=60]",
]
seeds = 5

[budget]
steps = 240

[evaluation]
points = 2
episodes = 1
"""


def test_two_seeds_extended_to_five_are_the_five_that_train_at_once(tmp_path):
    (tmp_path / "beside.toml").write_text(SUITE)

    variables = {name: value for name, value in os.environ.items() if name != "MKL_CBWR"}  # a user's session has none

    def runs(out, *seeds):
        for some in seeds:
            line = [sys.executable, "-m", "harness", "run", "beside.toml", "--out", out, "--seeds", some]
            ended = subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True)
            assert ended.returncode == 0, ended.stderr
        found = harness.load(tmp_path / out / "beside").runs
        assert set(found["status"]) == {"done"}
        return found.set_index(["algorithm", "seed"])["fingerprint"].sort_index()

    extended, at_once = runs("extended", "1,3", "0-4"), runs("at-once", "0-4")
    assert len(at_once) == 10
    assert extended.equals(at_once)
