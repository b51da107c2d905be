"""What both sides of a gate are asked to train, in words that another process understands."""

import contextlib
import hashlib
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.discovery.registry import Registry
from harness.suite.reading import find_suite, suite_text


@dataclass(frozen=True)
class Question:
    """What both sides are asked to train."""

    suite: Path  # file of the suite, which is the head's for both
    algorithms: Sequence[str] = ()  # contestants in place of the suite's; none for those
    environments: Sequence[str] = ()  # of the suite; none for all
    devices: Sequence[str] = ()  # in place of the suite's; none for those
    blocked: Sequence[str] = ()  # plugins or distributions to leave out
    only: Sequence[str] | None = None  # the only ones to import; None for all

    def as_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "suite": str(self.suite)}

    @property
    def name(self) -> str:
        """Eight hexadecimal digits that stand for everything asked."""
        asked = {**self.as_json(), "suite": self.suite.read_text(encoding="utf-8")}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]

    def arguments(self, command: str, seeds: Sequence[int] = (), out: Path | None = None) -> list[str]:
        """Arguments of a command line: these seeds, and into a folder of results, if either is given."""
        options = [("-a", self.algorithms), ("-e", self.environments), ("--device", self.devices)]
        chosen = [word for option, values in options for value in values for word in (option, value)]
        left_out = [word for name in self.blocked for word in ("-p", f"no:{name}")]
        if seeds:
            chosen += ["--seeds", ",".join(map(str, seeds))]
        if out is not None:
            chosen += ["--out", str(out)]
        return [*left_out, command, str(self.suite), *chosen]

    def variables(self) -> dict[str, str]:
        """Environment variables that say the rest."""
        return {} if self.only is None else {"HARNESS_PLUGINS": ",".join(self.only)}


def suite_file(argument: str, registry: Registry, folder: Path) -> Path:
    """A file of the suite in ``folder``, without its claims: they are about one side, and each would judge them.

    Raises:
        SuiteError: it cannot be read or used.
    """
    suite = find_suite(argument, registry)  # refuses what is wrong before anything is checked out
    spec = None if argument.endswith(".toml") else registry.resolve("suite", argument).spec
    text = suite_text(spec) if spec else Path(argument).read_text(encoding="utf-8")
    asked = _without_claims(text).encode()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder.resolve() / f"{suite.name}-{hashlib.sha256(asked).hexdigest()[:8]}.toml"
    file.write_bytes(asked)
    return file


def _without_claims(text: str) -> str:
    """A suite without its tables ``[[claims]]``; the same text where they are not written as such."""
    shorter = re.sub(r"^[ \t]*\[\[[ \t]*claims[ \t]*\]\].*?(?=^[ \t]*\[|\Z)", "", text, flags=re.DOTALL | re.MULTILINE)
    with contextlib.suppress(tomllib.TOMLDecodeError):
        if tomllib.loads(shorter) == {name: table for name, table in tomllib.loads(text).items() if name != "claims"}:
            return shorter
    return text
