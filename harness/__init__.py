"""A plugin-based benchmark harness for reinforcement learning.

Importing the package is free: `load` is imported when it is first asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.analysis.results import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """Import `load` on first use (PEP 562)."""
    if name == "load":
        from harness.analysis.results import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
