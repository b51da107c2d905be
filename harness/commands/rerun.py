"""Repeat a stored run from its manifest. Does it give the same result?"""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import FOLDER, GlobalOptions, name_problems, note
from harness.contract.errors import ExitCode, UsageError
from harness.text import one_line

if TYPE_CHECKING:
    from harness.contract.specs import AlgorithmSpec, Needs
    from harness.discovery.registry import Entry
    from harness.measuring.description import TrialOutcome
    from harness.running.plan import TrialPlan


@click.command(help=__doc__)
@click.argument("key")
@click.option("--out", "results", type=FOLDER, default=Path("results"), show_default=True)
@click.pass_obj
def command(given: GlobalOptions, key: str, results: Path) -> ExitCode:
    """Repeat the run whose key starts with KEY and compare fingerprints."""
    from harness.running import provenance
    from harness.storage.results_files import as_table

    run, manifest = _stored(results, key)
    trial = _trial(given, run, manifest)
    for name, version in as_table(manifest.get("versions")).items():
        here = provenance.versions((name,)).get(name, "missing")
        if here != version:
            note(one_line(f"{name} is {here} here and was {version} then"))
    if run["machine"] != provenance.machine():
        note(one_line(f"this machine is not the one it ran on: {run['machine']}"))
    outcome = _repeat(trial)
    again = outcome.of(run["key"])
    if outcome.status != "done" or again is None:
        raise UsageError(f"the run could not be repeated: {outcome.error or 'its process died'}")
    same = again.fingerprint == run["fingerprint"]
    verdict = "same" if same else "different"
    click.echo(f"{run['key']}  {verdict}  {run['fingerprint']}  {again.fingerprint}")
    if not same and not trial.cell.contestant.needs.deterministic:
        note(f"{run['algorithm']} does not claim to be deterministic")
    return ExitCode.YES if same else ExitCode.NO


def _trial(given: GlobalOptions, run: dict[str, Any], manifest: dict[str, Any]) -> "TrialPlan":
    """The trial that the run was part of, made of what is installed here: a results file runs no code.

    What is installed must be what ran: else its runs would have other keys.
    """
    from harness.running.plan import Contestant, TrialPlan, make_cell
    from harness.suite.reading import TaskSettings
    from harness.suite.schema import MOST_SEEDS

    try:
        job, config = manifest["job"], json.loads(run["config"])
        seeds, settings = job["seeds"], [job[name] for name in ("budget", "points", "episodes")]
        numbers = all(type(number) is int for number in (*seeds, *settings))
        if not numbers or len(seeds) > MOST_SEEDS or not isinstance(config, dict):
            raise ValueError("seeds, budget, points, episodes or configuration are not what they can be")
        algorithm = given.registry.resolve("algorithm", run["algorithm_id"])
        environment = given.registry.resolve("environment", str(manifest["environment"]))
        contestant = Contestant(algorithm, run["algorithm"], config)
        cell = make_cell(contestant, environment, run["device"], TaskSettings(*settings), seeds)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"{run['key']}: its manifest does not say how to repeat it: {error!r:.200}") from None
    if cell.keys.get(run["seed"]) != run["key"]:
        raise UsageError(
            f"{run['key']}: {algorithm.id} version {algorithm.spec.version} or {environment.id}, as installed here, "
            f"is not what ran (version {run['algorithm_version']!r:.40}); install that to repeat it"
        )
    contestant = replace(contestant, needs=_needs(algorithm, config))
    return TrialPlan(replace(cell, contestant=contestant), tuple(seeds))


def _needs(algorithm: "Entry[AlgorithmSpec]", config: dict[str, Any]) -> "Needs":
    """What a trial with this configuration needs; asked of the plugin's code, if that decides it."""
    from harness.running.describe import ConfigRequest, describe_targets

    if algorithm.spec.needs is None:
        return algorithm.spec.constant_needs
    (answer,), _ = describe_targets([ConfigRequest(algorithm.id, algorithm.spec, (config,))])
    if answer.error:
        raise UsageError(f"{algorithm.id}: {answer.error}")
    return answer.needs


def _stored(results: Path, prefix: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The only finished run whose key starts with ``prefix``."""
    from harness.storage.results_files import as_table, read

    stored = read(results)
    name_problems(problem for problem in stored.problems if not problem.key or problem.key.startswith(prefix))
    found = [k for k, run in stored.runs.items() if k.startswith(prefix) and run["status"] == "done"]
    if len(found) != 1:
        raise UsageError(f"{results}: {len(found)} finished runs have a key that starts with {prefix!r}")
    return stored.runs[found[0]], as_table(stored.manifests[found[0]])


def _repeat(trial: "TrialPlan") -> "TrialOutcome":
    from harness.contract.executor import Job
    from harness.running.executor_local import supervise
    from harness.running.job_files import JOB, VARIABLES, leave, outcome_in

    with TemporaryDirectory(prefix="harness-rerun-") as folder:
        leave(Path(folder) / JOB, trial.description.to_json())
        ended = supervise(Job("rerun", Path(folder), trial.cell.device, 1, None, float("inf"), VARIABLES))
        outcome = outcome_in(Path(folder))
        return outcome if ended is None or outcome.error else replace(outcome, error=ended.error)
