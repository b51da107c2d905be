"""Independent numbers for statistics; `tests/data/statistics.json` says where each comes from."""

import json
from pathlib import Path
from typing import Any

CASES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "statistics.json").read_text(encoding="utf-8")
)["cases"]


def case(name: str) -> tuple[dict[str, Any], Any, float]:
    """Inputs, expected value and absolute tolerance."""
    found = CASES[name]
    return found["inputs"], found["expected"], found["abs_tol"]
