"""Independent numbers for statistics; `tests/data/statistics.json` says where each comes from."""

import json
from typing import Any

from support.paths import TESTS

CASES: dict[str, dict[str, Any]] = json.loads((TESTS / "data" / "statistics.json").read_text(encoding="utf-8"))["cases"]


def case(name: str) -> tuple[dict[str, Any], Any, float]:
    """Inputs, expected value and absolute tolerance."""
    found = CASES[name]
    return found["inputs"], found["expected"], found["abs_tol"]
