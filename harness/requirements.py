"""Which required distributions are missing, found in their metadata without importing anything."""

import importlib.metadata
import shlex
import sys
from collections.abc import Iterable


def missing(requirements: Iterable[str]) -> list[str]:
    """The requirements that this Python does not meet, each as written.

    Args:
        requirements: as in ``"sb3-contrib>=2.4"``. One whose marker does not apply here is met; one that
            cannot be read counts as missing, since nothing could meet it.
    """
    return [requirement for requirement in dict.fromkeys(requirements) if not _is_met(requirement)]


def install_command(requirements: Iterable[str]) -> str:
    """The command that installs requirements for the Python that is running."""
    return shlex.join([sys.executable, "-m", "pip", "install", *requirements])


def _is_met(text: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            return True
        installed = importlib.metadata.version(requirement.name)
    except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
        return False
    return requirement.specifier.contains(installed, prereleases=True)
