"""Installed distributions made of two small files, as pip would leave them, for tests of discovery."""

from collections.abc import Callable
from pathlib import Path

Install = Callable[..., Path]

ALGORITHM = """
from harness.api import AlgorithmSpec, hookimpl
API = 1
@hookimpl
def harness_algorithms():
    yield AlgorithmSpec("{name}", "{module}_code", "1")
"""


def write_distribution(
    folder: Path,
    name: str,
    code: str,
    *,
    distribution: str | None = None,
    version: str = "1.0",
    requires: tuple[str, ...] = (),
) -> Path:
    """Put a distribution into ``folder`` whose one entry point is ``name = fake_<distribution>``."""
    distribution = distribution or f"dist-{name}"
    module = "fake_" + distribution.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    dependencies = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n{dependencies}\n")
    (info / "entry_points.txt").write_text(f"[harness]\n{name} = {module}\n")
    return folder / f"{module}.py"
