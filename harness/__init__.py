"""A plugin-based benchmark harness for reinforcement learning.

Importing the package is free: `load` and `Results` are imported when they are first asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.analysis.results import Results, load

__all__ = ["Results", "load"]


def __getattr__(name: str) -> Any:
    """Import `load` and `Results` on first use (PEP 562)."""
    if name in __all__:
        from harness.analysis import results

        return getattr(results, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
