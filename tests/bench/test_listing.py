"""How long ``harness list algorithms`` takes, from start to end of its process. Bar: 0.35 s."""

import subprocess
import sys


def test_list_algorithms_of_every_installed_plugin(benchmark):
    command = [sys.executable, "-m", "harness", "list", "algorithms"]
    output = benchmark.pedantic(
        subprocess.check_output, args=(command,), kwargs={"text": True}, rounds=10, warmup_rounds=1
    )
    assert output.startswith("ID ")
