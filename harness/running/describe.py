"""Ask plugin code about itself in a child process: resolved configurations, and spaces of environments.

A stranger's module may crash, exit, print, or import torch. None of it reaches this process: one short-lived child
answers all requests, each answer is written to a file as soon as it is known, and where a request ends the child,
a new child answers those after it.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from harness.contract import specs
from harness.contract.specs import AlgorithmSpec, EnvironmentSpec, Needs, as_json, from_json
from harness.discovery.config import ConfigError, config_to_json, resolve_config
from harness.running.job_files import child_variables
from harness.storage.orphans import end_with_parent

TIME_LIMIT = 120.0  # seconds a child may take
FUNCTIONS_OF_VIEWS = {
    "known": specs.KNOWN_FUNCTIONS,
    "game": ("initial", "legal", "apply", "to_move", "outcome", "observe"),
    "dataset": ("episodes",),
}


@dataclass(frozen=True)
class ConfigRequest:
    """Which configuration is wanted."""

    id: str  # how the answer is recognised, and what messages call the algorithm
    spec: AlgorithmSpec
    layers: tuple[Mapping[str, Any], ...] = ()  # a preset and overrides, later ones winning


@dataclass(frozen=True)
class ConfigDescription:
    """A resolved configuration as JSON values, and what it needs of a machine; or why there is none."""

    id: str
    config: dict[str, Any] | None = None
    needs: Needs = field(default_factory=Needs)
    error: str = ""


@dataclass(frozen=True)
class EnvironmentDescription:
    """What of an environment decides who can train on it, or why it cannot be made."""

    id: str
    observation_space: str = ""  # name of its kind, as in `harness.contract.specs.SPACES`
    action_space: str = ""  # likewise
    unfit: Mapping[str, str] = field(default_factory=dict)  # what each `AlgorithmSpec.fits` asked says of its spaces
    known: tuple[str, ...] = ()  # those of `KNOWN_FUNCTIONS` that it gives; empty unless asked for
    error: str = ""


class Descriptions(NamedTuple):
    """Answers in the order of the requests."""

    configs: list[ConfigDescription]
    environments: list[EnvironmentDescription]


def describe_targets(
    configs: Sequence[ConfigRequest],
    environments: Mapping[str, EnvironmentSpec] | None = None,
    views: Collection[str] = (),
    fits: Collection[str] = (),
    time_limit: float = TIME_LIMIT,
) -> Descriptions:
    """Resolve configurations and look at environments, by the id to answer with, in child processes.

    ``views`` are those of the environments that somebody will train on, and that are looked at therefore; ``fits`` are
    functions of algorithms to ask about their spaces. A child that takes longer than ``time_limit`` seconds hangs in
    the request that it is at.
    """
    environments = environments or {}
    requests: list[dict[str, Any]] = [
        *({"id": r.id, "spec": as_json(r.spec), "layers": [*map(as_json, r.layers)]} for r in configs),
        *(
            {"id": id, "environment": as_json(spec), "views": [*views], "fits": [*fits]}
            for id, spec in environments.items()
        ),
    ]
    answers: list[dict[str, Any]] = []
    while len(answers) < len(requests):
        remaining = requests[len(answers) :]
        given, ending, hung = _ask_child(remaining, time_limit)
        answers += given
        # Whoever is asked when the time is up hangs only if it had all of that time.
        if len(given) < len(remaining) and not (hung and given):
            answers.append({"id": remaining[len(given)]["id"], "error": ending})
    of_configs, of_environments = answers[: len(configs)], answers[len(configs) :]
    return Descriptions(
        [ConfigDescription(**{**answer, "needs": Needs(**answer.get("needs", {}))}) for answer in of_configs],
        [EnvironmentDescription(**answer) for answer in of_environments],
    )


def _ask_child(requests: Sequence[Mapping[str, Any]], time_limit: float) -> tuple[list[dict[str, Any]], str, bool]:
    """The answers one child gave, how it ended where it gave too few, and whether for want of time."""
    hung = False
    with tempfile.TemporaryDirectory(prefix="harness-describe-") as folder:
        answers, errors = Path(folder, "answers"), Path(folder, "stderr")
        answers.touch()
        with errors.open("wb") as stderr:
            child = subprocess.Popen(
                [sys.executable, "-m", "harness.running.describe", str(answers)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env=child_variables(),
                start_new_session=True,
            )
            try:
                child.communicate(json.dumps(requests).encode(), time_limit)
                ending = _ending(child.returncode, errors)
            except subprocess.TimeoutExpired:
                hung = True
                ending = f"took longer than {time_limit:.0f} s to import and describe"
            finally:  # also where this process is interrupted
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)  # and whatever it started
                child.wait()
        whole = [line for line in answers.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return list(map(json.loads, whole)), ending, hung


def _ending(returncode: int, errors: Path) -> str:
    """Why a child stopped before it had answered, with the last line it said."""
    last = errors.read_text(errors="replace").strip().rpartition("\n")[2][:300]
    how = f"killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"exit code {returncode}"
    return f"ended the process that imported it ({how})" + (f": {last}" if last else "")


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one request; runs in the child. Whatever a plugin raises becomes the answer's error."""
    try:
        if "environment" in request:
            spec = specs.environment_from_json(request["environment"])
            return {"id": request["id"], **_spaces(spec, request["fits"]), "known": _views(spec, request["views"])}
        return {"id": request["id"], **_configured(request["spec"], from_json(request["layers"]), request["id"])}
    except ConfigError as error:
        return {"id": request["id"], "error": str(error)}
    except (Exception, SystemExit) as error:
        return {"id": request["id"], "error": f"{type(error).__name__}: {error}"}


def _configured(spec: Mapping[str, Any], layers: Sequence[Mapping[str, Any]], owner: str) -> dict[str, dict[str, Any]]:
    """The configuration and the needs of an algorithm with these layers."""
    algorithm, target = specs.algorithm_from_json(spec), spec["target"]
    module = importlib.import_module(target)
    if not callable(getattr(module, "train", None)):
        raise ConfigError(f"{owner}: module {target} has no train(trial, config)")
    if not hasattr(module, "Config"):
        raise ConfigError(f"{owner}: module {target} has no Config; give it a frozen dataclass of that name")
    config = resolve_config(module.Config, *layers, owner=owner)
    return {"config": config_to_json(config), "needs": asdict(needs_of(algorithm, config, owner))}


def needs_of(spec: AlgorithmSpec, config: object, owner: str) -> Needs:
    """What a trial with this configuration needs of a machine."""
    if spec.needs is None:
        return spec.constant_needs
    needs = pkgutil.resolve_name(spec.needs)(config)
    if not isinstance(needs, Needs):
        raise ConfigError(f"{owner}: {spec.needs} must return harness.api.Needs, not {type(needs).__name__}")
    return needs


def _views(spec: EnvironmentSpec, views: Sequence[str]) -> list[str]:
    """The known functions that an environment gives, once each of the views it has is found to be whole."""
    known: list[str] = []
    for view, functions in FUNCTIONS_OF_VIEWS.items():
        if view not in views or (target := getattr(spec, view)) is None:
            continue
        module = importlib.import_module(target)
        there = [name for name in functions if callable(getattr(module, name, None))]
        if view == "known":
            known = there
        elif len(there) < len(functions):
            lacking = ", ".join(name for name in functions if name not in there)
            raise ConfigError(f"{spec.name}: its {view} {target} has no function {lacking}")
    return known


def _spaces(spec: EnvironmentSpec, fits: Sequence[str]) -> dict[str, Any]:
    from harness.measuring.environments import make

    env = make(spec)
    try:
        both = env.observation_space, env.action_space
        unfit = {target: _unfit(target, *both) for target in fits}
        return {"observation_space": _kind(both[0]), "action_space": _kind(both[1]), "unfit": unfit}
    finally:
        env.close()


def _unfit(target: str, observation_space: object, action_space: object) -> str:
    """What an `AlgorithmSpec.fits` says; its mistake is a reason, too."""
    try:
        return str(pkgutil.resolve_name(target)(observation_space, action_space) or "")
    except (Exception, SystemExit) as error:
        return f"{target}: {type(error).__name__}: {error}"


def _kind(space: object) -> str:
    """The Gymnasium space a space is, itself or by inheritance."""
    names = [base.__name__ for base in type(space).__mro__ if base.__module__.startswith("gymnasium.")]
    return next((name for name in names if name in specs.SPACES), type(space).__name__)


def main(requests: TextIO, answers: Path) -> None:
    """The child: answer requests one after the other, each on disk before the next begins."""
    end_with_parent()  # which, killed, could not end it at its time limit
    with answers.open("a") as file:
        for request in json.load(requests):
            file.write(json.dumps(answer(request)) + "\n")
            file.flush()


if __name__ == "__main__":
    main(sys.stdin, Path(sys.argv[1]))
