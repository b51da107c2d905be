"""Some damaged folders through every command; ``python -m support.mutations 2000`` tries more."""

import os
import subprocess
import sys

import pytest

from support.paths import TESTS


@pytest.mark.slow
def test_no_folder_of_results_hangs_ends_or_leads_astray_any_command():
    line = [sys.executable, "-m", "support.mutations", "20"]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
    tried = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=280)
    assert tried.stdout.endswith("0 findings\n"), tried.stdout + tried.stderr
