import importlib.metadata
import sys

import pytest

from harness.discovery.requirements import install_command, is_met

NUMPY = importlib.metadata.version("numpy")


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        ("numpy", True),
        ("NumPy>=1", True),
        (f"numpy=={NUMPY}", True),
        (f"numpy!={NUMPY}", False),
        ("numpy>=999", False),
        ("a-distribution-nobody-has", False),
        ("a-distribution-nobody-has; python_version < '3'", True),
        ("a-distribution-nobody-has; extra == 'docs'", True),
        ("what is this >> 2", False),
        ("", False),
    ],
)
def test_a_requirement_is_met_as_pip_would_say(requirement: str, met: bool):
    assert is_met(requirement) == met


def test_the_install_command_names_this_python_and_survives_a_shell():
    assert install_command(["a>=1", "b"]) == f"{sys.executable} -m pip install 'a>=1' b"
