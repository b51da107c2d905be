"""Which required distributions are here, found in their metadata without importing anything."""

import importlib.metadata
import shlex
import sys
from collections.abc import Iterable


def is_met(text: str) -> bool:
    """Whether this Python has what a requirement such as ``"sb3-contrib>=2.4"`` asks for.

    One whose marker does not apply here is met; one that cannot be read is not, since nothing could meet it.
    """
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            return True
        installed = importlib.metadata.version(requirement.name)
    except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
        return False
    return requirement.specifier.contains(installed, prereleases=True)


def install_command(requirements: Iterable[str]) -> str:
    """The command that installs requirements for the Python that is running."""
    return shlex.join([sys.executable, "-m", "pip", "install", *requirements])
