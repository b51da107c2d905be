"""The scripts that print what parallel algorithms reach; here only that they run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import parallel_processes
import parallel_virtual


def test_the_script_of_processes_runs(capsys):
    parallel_processes.main(steps=256, rounds=1)
    assert "a3c" in (printed := capsys.readouterr().out)
    assert "dppo" in printed


def test_the_script_of_virtual_time_runs(capsys):
    parallel_virtual.main(steps=80, rounds=1)
    assert "A3C, 10 seeds" in capsys.readouterr().out
