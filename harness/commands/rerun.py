"""``harness rerun``: repeat a stored run from its manifest. Does it give the same result?"""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from harness.cli import note
from harness.commands.results import existing
from harness.errors import ExitCode, UsageError


@click.command(help=__doc__)
@click.argument("key")
@click.option("--out", "results", type=click.Path(path_type=Path), default=Path("results"), show_default=True)
def command(key: str, results: Path) -> ExitCode:
    """Repeat the run whose key starts with KEY and compare fingerprints."""
    from harness.running import provenance

    run, manifest = _stored(existing(results), key)
    for name, version in manifest["versions"].items():
        here = provenance.versions((name,)).get(name, "missing")
        if here != version:
            note(f"{name} is {here} here and was {version} then")
    if run["machine"] != provenance.machine():
        note(f"this machine is not the one it ran on: {run['machine']}")
    outcome = _repeat(manifest["job"], run["device"])
    again = next((part for part in outcome.get("runs", ()) if part["key"] == run["key"]), None)
    if again is None:
        raise UsageError(f"the run could not be repeated: {outcome.get('error', 'its process died')}")
    same = again["fingerprint"] == run["fingerprint"]
    click.echo(
        f"{run['key']}  {'same' if same else 'different'}  {run['fingerprint']}  {again['fingerprint']}"
    )
    if not same and not manifest["algorithm_spec"]["deterministic"]:
        note(f"{run['algorithm']} does not claim to be deterministic")
    return ExitCode.YES if same else ExitCode.NO


def _stored(results: Path, prefix: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The only finished run whose key starts with ``prefix``."""
    from harness.storage.results_files import read

    stored = read(results)
    found = [k for k, run in stored.runs.items() if k.startswith(prefix) and run["status"] == "done"]
    if len(found) != 1:
        raise UsageError(f"{results}: {len(found)} finished runs have a key that starts with {prefix!r}")
    manifest = stored.manifests[found[0]]
    return stored.runs[found[0]], json.loads(manifest) if isinstance(manifest, str) else manifest


def _repeat(job: dict[str, Any], device: str) -> dict[str, Any]:
    """Run the job again, outside the store, and read what it left."""
    from harness.executor import ExecutorOptions, Job
    from harness.running.executor_local import LocalExecutor
    from harness.running.runner import JOB, outcome_in

    with TemporaryDirectory(prefix="harness-rerun-") as folder:
        (Path(folder) / JOB).write_text(json.dumps(job), encoding="utf-8")
        executor = LocalExecutor(ExecutorOptions(jobs=1))
        try:
            executor.start(Job("rerun", Path(folder), device, 1, None, float("inf")))
            while not executor.wait(1.0):
                pass
        finally:
            executor.close()
        return dict(outcome_in(Path(folder)))
