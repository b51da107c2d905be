"""Suite files: a declared question as TOML, read into a validated, immutable `Suite`.

Everything that can be wrong with a file is found before anything runs, and reported at once.
"""

import difflib
import importlib.resources
import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from harness.contract.errors import UsageError
from harness.contract.specs import SuiteSpec
from harness.discovery.guests import described, guest
from harness.discovery.registry import Registry
from harness.suite import schema
from harness.suite.measures import MEASURES, named
from harness.suite.schema import Claim, Suite, SuiteFile, TaskSettings

__all__ = ["Mistake", "Suite", "SuiteError", "TaskSettings", "find_suite", "load_suite", "suite_text"]

MOST_BYTES = 1 << 20
OTHERS = ("than", "at_least", "at_most")  # one of which a claim has
TABLES: dict[str, type[BaseModel]] = {
    "suite": schema.Header,
    "budget": schema.Budget,
    "evaluation": schema.Evaluation,
    "limits": schema.Limits,
    "environment": schema.Override,
    "gate": schema.Gate,
    "claims": Claim,
}


class Mistake(NamedTuple):
    """One thing wrong with a suite."""

    key: str  # where, such as ``budget.steps`` or ``claims[0].margin``; "" for the whole file
    message: str  # what is wrong and how to put it right


class SuiteError(UsageError):
    """A suite that cannot be used; the message lists every problem.

    Attributes:
        origin: the file, or the plugin resource.
        problems: what is wrong.
    """

    def __init__(self, origin: str, problems: Sequence[Mistake]) -> None:
        self.origin = origin
        self.problems = tuple(problems)
        lines = [f"  {key}: {message}" if key else f"  {message}" for key, message in problems]
        super().__init__("\n".join([f"{origin}: this suite cannot be used", *lines]))


def load_suite(source: Path | str, origin: str | None = None) -> Suite:
    """Read a suite from a file (a `Path`) or from TOML text; messages call it ``origin``, or by its path, or "text".

    Raises:
        SuiteError: the file cannot be read, is no TOML, or says something that cannot be run.
    """
    origin = origin or (str(source) if isinstance(source, Path) else "text")
    text = _file_text(source, origin) if isinstance(source, Path) else source
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SuiteError(origin, [Mistake("", f"this is not TOML: {error}")]) from None
    try:
        file = SuiteFile.model_validate(data)
    except ValidationError as error:
        raise SuiteError(origin, _problems(error)) from None
    suite = Suite(**dict(file.suite), **{name: getattr(file, name) for name in TABLES if name != "suite"})
    if problems := list(_contradictions(suite)):
        raise SuiteError(origin, problems)
    return suite


def suite_text(spec: SuiteSpec) -> str:
    """The text of a suite that travels inside a package.

    Raises:
        SuiteError: the package or the file in it is missing.
    """
    package, _, path = spec.resource.partition(":")
    try:
        with guest(f"suite {spec.resource}"):
            return importlib.resources.files(package).joinpath(path).read_text(encoding="utf-8")
    except Exception as error:
        message = f"its plugin names a file that cannot be read ({described(error)})"
        raise SuiteError(spec.resource, [Mistake("", message)]) from error


def find_suite(argument: str, registry: Registry) -> Suite:
    """The suite in a ``.toml`` file, or the registered suite of that name.

    Raises:
        SuiteError: it cannot be read or used.
    """
    if argument.endswith(".toml"):
        return load_suite(Path(argument))
    spec = registry.resolve("suite", argument).spec
    suite = load_suite(suite_text(spec), origin=spec.resource)
    if suite.name != spec.name:
        message = f"is {suite.name!r}, but the plugin registers {spec.name!r}; make them the same"
        raise SuiteError(spec.resource, [Mistake("suite.name", message)])
    return suite


def check_environments(suite: Suite, names: Sequence[str]) -> None:
    """Refuse the name of an environment that is none of the suite's."""
    for name in names:
        if name not in suite.environments:
            known = ", ".join(suite.environments)
            raise UsageError(f"suite {suite.name!r} has no environment {name!r}; it has {known}")


def _file_text(path: Path, origin: str) -> str:
    """The text of a file, refused where it is too large to be a suite."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SuiteError(origin, [Mistake("", f"cannot be read: {reason}")]) from None
    if len(content) > MOST_BYTES:
        raise SuiteError(origin, [Mistake("", "is larger than 1 MiB, so it is no suite")])
    return text


def _problems(error: ValidationError) -> list[Mistake]:
    """Every problem but the length of a list that only its bad items made too short."""
    every = error.errors()
    return [_problem(each) for each in every if not (each["type"] == "too_short" and each["input"])]


def _problem(details: ErrorDetails) -> Mistake:
    location = [part for part in details["loc"] if isinstance(part, str | int)]
    if details["type"] == "extra_forbidden":
        return Mistake(_key(location), f"unknown key; {_advice(location)}")
    field = _field(location)
    expected = f" ({field.description.rstrip('.')})" if field is not None and field.description else ""
    if details["type"] == "missing":
        example = field.examples[0] if field is not None and field.examples else None
        shown = f", as in {location[-1]} = {json.dumps(example)}" if example is not None else ""
        return Mistake(_key(location), f"is missing{expected}; add it{shown}")
    return Mistake(_key(location), f"{_complaint(details)}{expected}")


def _complaint(details: ErrorDetails) -> str:
    """Pydantic's message without Python's words for TOML's things, and what was found instead."""
    if details["type"] == "value_error":
        return details["msg"].removeprefix("Value error, ")
    given = repr(details["input"])
    given = given if len(given) <= 60 else f"{given[:57]}..."
    if details["type"] == "string_pattern_mismatch":
        return f"{given} is not allowed"
    if details["type"] == "model_type":
        return f"must be a table, not {given}"
    message = re.sub(r"^(Input|Tuple|String) should ", "must ", details["msg"])
    message = message.partition(" after validation")[0]
    return f"{message.replace('a valid tuple', 'a list')}, not {given}"


def _key(location: Sequence[str | int]) -> str:
    """``("claims", 0, "margin")`` as ``claims[0].margin``; unusual keys are quoted, as TOML wants them."""
    key = ""
    for part in location:
        if isinstance(part, int):
            key += f"[{part}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part)
            key += f".{part if bare else json.dumps(part)}"
    return key.removeprefix(".")


def _field(location: Sequence[str | int]) -> FieldInfo | None:
    table = str(location[0])
    depth = 2 if table in ("environment", "claims") else 1
    if len(location) <= depth:
        return SuiteFile.model_fields.get(table)
    return TABLES[table].model_fields.get(str(location[depth]))


def _advice(location: Sequence[str | int]) -> str:
    """What somebody who wrote an unknown key may have meant."""
    unknown = str(location[-1])
    if homes := [table for table, model in TABLES.items() if unknown in model.model_fields]:
        return f"it belongs in [{homes[0]}]"
    known = list(TABLES if len(location) == 1 else TABLES[str(location[0])].model_fields)
    if near := difflib.get_close_matches(unknown, known, n=1):
        return f"did you mean {near[0]!r}?"
    return f"known here: {', '.join(known)}"


def _contradictions(suite: Suite) -> Iterator[Mistake]:
    for name, override in suite.environment.items():
        if name not in suite.environments:
            yield Mistake(_key(("environment", name)), f"is not in suite.environments{_near(name, suite.environments)}")
        for other in set(override.algorithms or ()).difference(suite.algorithms):
            near = _near(other, suite.algorithms)
            yield Mistake(_key(("environment", name, "algorithms")), f"{other!r} is not in suite.algorithms{near}")
    for name in suite.environments:
        settings = suite.for_environment(name)
        if settings.points > settings.steps:
            yield Mistake(
                "evaluation.points",
                f"{settings.points:,} evaluations do not fit into {settings.steps:,} steps on {name!r}",
            )
    for index, claim in enumerate(suite.claims):
        yield from _claim_problems(suite, index, claim)


def _claim_problems(suite: Suite, index: int, claim: Claim) -> Iterator[Mistake]:
    """Names in a claim that do not occur in its suite, or occur twice."""
    if claim.environment not in suite.environments:
        near = _near(claim.environment, suite.environments)
        yield Mistake(f"claims[{index}].environment", f"{claim.environment!r} is not in suite.environments{near}")
    given = [key for key in OTHERS if getattr(claim, key) is not None]
    if len(given) != 1:
        found = f"has {' and '.join(given)}; keep one" if given else "has nothing to compare with; add one"
        yield Mistake(f"claims[{index}]", f"{found} of {', '.join(OTHERS)}")
    if claim.number is not None and not named(claim.metric).of_returns:
        known = ", ".join(name for name in MEASURES if named(name).of_returns)
        told = f"{claim.metric} is for two contestants; a number is held against {known}"
        yield Mistake(f"claims[{index}].metric", told)
    if claim.margin and claim.number is not None:
        yield Mistake(f"claims[{index}].margin", f"is of a comparison by than; make it part of {given[0]}")
    for role in ("better", "than"):
        if (name := getattr(claim, role)) is None:
            continue
        if name not in suite.algorithms:
            near = _near(name, suite.algorithms)
            yield Mistake(f"claims[{index}].{role}", f"{name!r} is not in suite.algorithms{near}")
        elif name not in suite.contestants_on(claim.environment):
            yield Mistake(f"claims[{index}].{role}", f"{name!r} does not compete on {claim.environment!r}")
    if claim.better == claim.than:
        yield Mistake(f"claims[{index}]", f"compares {claim.better!r} with itself")


def _near(name: str, known: Sequence[str]) -> str:
    """A suggestion, also where only the plugin's name in front is missing."""
    same = [other for other in known if other.rpartition("/")[2] == name]
    near = same or difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else f"; it lists {', '.join(known) or 'none'}"
