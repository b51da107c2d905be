"""An algorithm's configuration: its defaults, a preset and overrides, resolved into its own `Config` class.

Types are taken seriously: an int will do for a float, but neither a float nor a bool for an int, and a key that
does not exist is an error, never ignored.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Set
from dataclasses import MISSING, fields, is_dataclass
from functools import reduce
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from harness.contract.errors import UsageError

C = TypeVar("C")


class ConfigError(UsageError):
    """A configuration that cannot be resolved; the message lists every key and what is wrong with it."""


def resolve_config(config_class: type[C], *layers: Mapping[str, Any], owner: str = "") -> C:
    """The configuration class, a frozen dataclass, filled from its defaults and from layers, later ones winning.

    A layer has values by field name, fields of nested dataclasses as nested tables or as dotted keys. Messages call
    the configuration after its ``owner``.

    Raises:
        ConfigError: the class is no such dataclass, a key is unknown, or a value has the wrong type.
    """
    owner = owner or config_class.__qualname__
    check_config_class(config_class, owner)
    adapter = _adapter(config_class, owner)
    every = layers or ({},)  # because the defaults want validating too
    return reduce(lambda config, layer: _overridden(config, layer, adapter, owner), every, config_class())


def config_to_json(config: Any) -> dict[str, Any]:
    """A configuration as JSON values that `resolve_config` takes; a `ConfigError` if a value has no one form there."""
    owner = type(config).__qualname__
    adapter = _adapter(type(config), owner)
    try:
        values = adapter.dump_python(config, mode="json", warnings="error")
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{owner}: a default has no form in JSON ({error})") from None
    _json(values, owner)
    if sets := ", ".join(_sets(adapter.dump_python(config), "")):
        raise ConfigError(f"{owner}: {sets} is a set, whose order is another in every process; use a tuple")
    return cast(dict[str, Any], values)


def _sets(value: Any, path: str) -> Iterator[str]:
    """Where sets are: a run's key is a hash of its configuration, so that needs one order."""
    if isinstance(value, Set):
        yield path
    elif isinstance(value, Mapping | list | tuple):
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _sets(part, f"{path}.{key}" if path else str(key))


def check_config_class(config_class: Any, owner: str) -> None:
    """Refuse a class that is not a frozen dataclass whose every field has a default."""
    if not (isinstance(config_class, type) and is_dataclass(config_class)):
        raise ConfigError(f"{owner}: Config must be a dataclass, not {config_class!r}")
    if not config_class.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise ConfigError(f"{owner}: Config must be frozen; declare it @dataclass(frozen=True)")
    if bare := [f.name for f in fields(config_class) if f.default is MISSING and f.default_factory is MISSING]:
        raise ConfigError(f"{owner}: every field of Config needs a default; missing for {', '.join(bare)}")
    if derived := [f.name for f in fields(config_class) if not f.init]:
        raise ConfigError(f"{owner}: fields of Config with init=False cannot be set: {', '.join(derived)}")


def _adapter(config_class: type[C], owner: str) -> TypeAdapter[C]:
    try:
        adapter = TypeAdapter(config_class)
        adapter.rebuild()  # because undefined names in annotations would else surface at the first use
        return adapter
    except (PydanticUserError, NameError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{owner}: the types of Config's fields cannot be used: {reason}") from None


def _overridden(config: C, layer: Mapping[str, Any], adapter: TypeAdapter[C], owner: str) -> C:
    layer = _nested(layer, owner)
    values = config_to_json(config)
    problems = list(_merge(config, values, layer, ""))
    resolved = config
    if not problems:
        try:
            resolved = adapter.validate_json(_json(values, owner), strict=True)
        except ValidationError as error:
            problems = [_complaint(details["loc"], details["msg"], details["input"]) for details in error.errors()]
        else:
            problems = [*_dropped(values, config_to_json(resolved), ""), *_loose(config, resolved, layer)]
    if problems:
        raise ConfigError("\n  ".join([f"{owner}: this configuration cannot be used:", *problems]))
    return resolved


def _nested(layer: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Dotted keys as nested tables, at every level."""
    table: dict[str, Any] = {}
    for key, value in layer.items():
        if not isinstance(key, str):
            raise ConfigError(f'{owner}: key {key!r} must be text, "{key}"; a type such as dict[int, str] reads that')
        *parents, last = key.split(".")
        home = table
        for parent in parents:
            home = home.setdefault(parent, {})
            if not isinstance(home, dict):
                raise ConfigError(f"{owner}: {key!r} and {parent!r} contradict each other")
        value = _nested(value, owner) if isinstance(value, Mapping) else value
        if isinstance(home.get(last), dict) and isinstance(value, dict):
            home[last] |= value
        else:
            home[last] = value
    return table


def _json(values: Mapping[str, Any], owner: str) -> str:
    for key, value in values.items():
        try:
            json.dumps(value, allow_nan=False)
        except (ValueError, TypeError) as error:
            advice = "; use None for 'no limit'" if isinstance(error, ValueError) else ""
            raise ConfigError(f"{owner}: {key}: {value!r} has no form in JSON: {error}{advice}") from None
    return json.dumps(values)


def _merge(config: Any, values: dict[str, Any], layer: Mapping[str, Any], path: str) -> Iterator[str]:
    """Put a layer over ``values``, the JSON form of ``config``, in place; yields what is wrong.

    Tables are merged where the field holds a dataclass, and replaced where it holds anything else.
    """
    for key, value in layer.items():
        if key not in values:
            yield _unknown(path + key, key, values)
        elif is_dataclass(current := getattr(config, key)) and isinstance(value, Mapping):
            yield from _merge(current, values[key], value, f"{path}{key}.")
        else:
            values[key] = value


def _dropped(given: Any, kept: Any, path: str) -> Iterator[str]:
    """Keys that validation ignored, as pydantic does inside dataclasses; yields what is wrong."""
    if isinstance(given, Mapping) and isinstance(kept, Mapping):
        for key, value in given.items():
            if key not in kept:
                yield _unknown(path + key, key, kept)
            else:
                yield from _dropped(value, kept[key], f"{path}{key}.")
    elif isinstance(given, list | tuple) and isinstance(kept, list):
        for index, (before, after) in enumerate(zip(given, kept, strict=False)):
            yield from _dropped(before, after, f"{path}{index}.")


def _loose(config: Any, resolved: Any, layer: Mapping[str, Any]) -> Iterator[str]:
    """Defaults that JSON made another thing of, tuples or integer keys, since their types do not say what they are."""
    for field in fields(config):
        before, after = getattr(config, field.name), getattr(resolved, field.name)
        if field.name not in layer and isinstance(before, Mapping | list | tuple) and before != after:
            yield f"{field.name}: {before!r} comes back from JSON as {after!r}; give it a type that says what it holds"


def _unknown(path: str, key: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"{path}: unknown key; " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}")


def _complaint(location: tuple[int | str, ...], message: str, given: Any) -> str:
    key = ".".join(map(str, location))
    if message.startswith("Value error, "):
        reason = message.removeprefix("Value error, ")
        return f"{key}: {reason}" if key else reason  # about several fields it names them itself
    return f"{key}: {message.replace('Input should be', 'must be', 1)}, not {given!r}"
