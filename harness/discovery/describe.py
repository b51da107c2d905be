"""Ask plugin code about itself in a child process: resolved configurations, and spaces of environments.

A stranger's module may crash, exit, print, or import torch. None of it reaches this process: one short-lived child
answers all requests, each answer is written to a file as soon as it is known, and where a request ends the child,
a new child answers those after it.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from harness.discovery.config import ConfigError, config_to_json, resolve_config
from harness.specs import SPACES, EnvironmentSpec, as_json, environment_from_json

TIME_LIMIT = 120.0  # seconds a child may take


@dataclass(frozen=True)
class ConfigRequest:
    """Which configuration is wanted.

    Attributes:
        id: how the answer is recognised, and what messages call the algorithm.
        target: module that holds ``Config`` and ``train``.
        layers: a preset and overrides, later ones winning.
    """

    id: str
    target: str
    layers: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class ConfigDescription:
    """A resolved configuration as JSON values, or why there is none."""

    id: str
    config: dict[str, Any] | None = None
    error: str = ""


@dataclass(frozen=True)
class EnvironmentDescription:
    """Names of an environment's space kinds, as in `harness.specs.SPACES`, or why it cannot be made."""

    id: str
    observation_space: str = ""
    action_space: str = ""
    error: str = ""


class Descriptions(NamedTuple):
    """Answers in the order of the requests."""

    configs: list[ConfigDescription]
    environments: list[EnvironmentDescription]


def describe_targets(
    configs: Sequence[ConfigRequest],
    environments: Mapping[str, EnvironmentSpec] | None = None,
    time_limit: float = TIME_LIMIT,
) -> Descriptions:
    """Resolve configurations and look at environments, in child processes.

    Args:
        configs: configurations wanted.
        environments: environments to try, by the id to answer with.
        time_limit: seconds a child may take before the request it is at counts as hung.
    """
    environments = environments or {}
    requests = [
        *(_request(r.id, target=r.target, layers=[dict(layer) for layer in r.layers]) for r in configs),
        *(_request(id, environment=as_json(spec)) for id, spec in environments.items()),
    ]
    answers: list[dict[str, Any]] = []
    while len(answers) < len(requests):
        remaining = requests[len(answers) :]
        given, ending, hung = _ask_child(remaining, time_limit)
        answers += given
        # Whoever is asked when the time is up hangs only if it had all of that time.
        if len(given) < len(remaining) and not (hung and given):
            answers.append({"id": remaining[len(given)]["id"], "error": ending})
    return Descriptions(
        [ConfigDescription(**answer) for answer in answers[: len(configs)]],
        [EnvironmentDescription(**answer) for answer in answers[len(configs) :]],
    )


def _request(id: str, **wanted: Any) -> dict[str, Any]:
    """A request as JSON values; one that has no such form carries its answer already."""
    try:
        json.dumps(wanted)
    except (TypeError, ValueError) as error:
        return {"id": id, "error": f"{id}: a preset, override or argument has no form in JSON: {error}"}
    return {"id": id, **wanted}


def _ask_child(
    requests: Sequence[Mapping[str, Any]], time_limit: float
) -> tuple[list[dict[str, Any]], str, bool]:
    """The answers one child gave, how it ended where it gave too few, and whether for want of time."""
    hung = False
    with tempfile.TemporaryDirectory(prefix="harness-describe-") as folder:
        answers, errors = Path(folder, "answers"), Path(folder, "stderr")
        answers.touch()
        with errors.open("wb") as stderr:
            child = subprocess.Popen(
                [sys.executable, "-m", "harness.discovery.describe", str(answers)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
                start_new_session=True,
            )
            try:
                child.communicate(json.dumps(requests).encode(), time_limit)
                ending = _ending(child.returncode, errors)
            except subprocess.TimeoutExpired:
                hung = True
                ending = f"took longer than {time_limit:.0f} s to import and describe"
            finally:
                _kill_session(child)
        return (
            [
                json.loads(line)
                for line in answers.read_text().splitlines(keepends=True)
                if line.endswith("\n")
            ],
            ending,
            hung,
        )


def _ending(returncode: int, errors: Path) -> str:
    """Why a child stopped before it had answered, with the last line it said."""
    last = errors.read_text(errors="replace").strip().rpartition("\n")[2][:300]
    how = f"killed by {signal.Signals(-returncode).name}" if returncode < 0 else f"exit code {returncode}"
    return f"ended the process that imported it ({how})" + (f": {last}" if last else "")


def _kill_session(child: "subprocess.Popen[bytes]") -> None:
    """End a child and whatever it started; also where this process is interrupted."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one request; runs in the child. Whatever a plugin raises becomes the answer's error."""
    if "error" in request:
        return dict(request)
    try:
        if "environment" in request:
            return {"id": request["id"], **_spaces(environment_from_json(request["environment"]))}
        return {"id": request["id"], "config": _config(request["target"], request["layers"], request["id"])}
    except ConfigError as error:
        return {"id": request["id"], "error": str(error)}
    except (Exception, SystemExit) as error:
        return {"id": request["id"], "error": f"{type(error).__name__}: {error}"}


def _config(target: str, layers: Sequence[Mapping[str, Any]], owner: str) -> dict[str, Any]:
    module = importlib.import_module(target)
    if not callable(getattr(module, "train", None)):
        raise ConfigError(f"{owner}: module {target} has no train(trial, config)")
    if not hasattr(module, "Config"):
        raise ConfigError(f"{owner}: module {target} has no Config; give it a frozen dataclass of that name")
    return config_to_json(resolve_config(module.Config, *layers, owner=owner))


def _spaces(spec: EnvironmentSpec) -> dict[str, str]:
    from harness.measuring.environments import make

    env = make(spec)
    try:
        return {
            "observation_space": _kind(env.observation_space),
            "action_space": _kind(env.action_space),
        }
    finally:
        env.close()


def _kind(space: object) -> str:
    """The Gymnasium space a space is, itself or by inheritance."""
    names = [base.__name__ for base in type(space).__mro__ if base.__module__.startswith("gymnasium.")]
    return next((name for name in names if name in SPACES), type(space).__name__)


def main(requests: TextIO, answers: Path) -> None:
    """The child: answer requests one after the other, each on disk before the next begins."""
    with answers.open("a") as file:
        for request in json.load(requests):
            file.write(json.dumps(answer(request)) + "\n")
            file.flush()


if __name__ == "__main__":
    main(sys.stdin, Path(sys.argv[1]))
