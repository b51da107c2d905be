"""Trials on a Ray cluster, whose nodes are simulated on this machine: files pass over the network alone."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from harness.api import ExecutorOptions, UsageError
from harness.conformance.executors import Bench
from harness.contract.errors import ExitCode
from support.checkout import heed_ctrl_c
from support.hostile import HOSTILE, stored_runs, write_suite
from support.kills import tables

pytest.importorskip("ray", reason="Ray is no part of the set-up")
SEEDS, STEPS = 10, 300
PATIENCE_SECONDS = 60.0
INSTALLED = {"PYTHONPATH": os.pathsep.join([str(HOSTILE), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """Two nodes with a processor each."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    head = {"include_dashboard": False, "ray_client_server_port": port, "env_vars": INSTALLED}
    started = Cluster(initialize_head=True, head_node_args=head)
    started.add_node(env_vars=INSTALLED)
    started.client = f"ray://127.0.0.1:{port}"
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the local executor."""
    folder = tmp_path_factory.mktemp("undisturbed")
    suite = write_suite(folder, ["slow"], ["short"], SEEDS, STEPS)
    assert finished(start(folder, "run", suite)) == ExitCode.YES
    return folder


def start(folder: Path, *arguments: str, address: object = None) -> "subprocess.Popen[str]":
    variables = {**os.environ, **INSTALLED, "HARNESS_PLUGINS": "hostile,ray"}
    where = [] if address is None else ["--executor", "ray", "--executor-option", f"address={address}"]
    jobs = ["--jobs", "3"] if arguments[0] == "run" else []  # which runs record
    line = [sys.executable, "-m", "harness", *arguments, *where, *jobs]
    said = folder / "said"
    with said.open("w") as file:
        return subprocess.Popen(
            line, cwd=folder, env=variables, stdout=file, stderr=file, text=True, preexec_fn=heed_ctrl_c
        )


def finished(session: "subprocess.Popen[str]") -> int:
    return session.wait(timeout=280)


def said(folder: Path) -> str:
    return (folder / "said").read_text(encoding="utf-8")


def trials(above: int | None = None) -> list[psutil.Process]:
    """Processes of trials on nodes, of all or of one by the number of its first process."""
    found = []
    for process in psutil.process_iter() if above is None else psutil.Process(above).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "/harness-ray-" in process.cwd() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_for(fact, session: "subprocess.Popen[str] | None" = None) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not fact():
        assert time.monotonic() < until
        assert session is None or session.poll() is None
        time.sleep(0.05)


def assert_as_undisturbed(folder: Path, undisturbed: Path) -> None:
    ours, theirs = (tables(place / "results" / "hostile") for place in (folder, undisturbed))
    assert len(ours["runs"]) == SEEDS and set(ours["runs"]["status"]) == {"done"}
    for name, expected in theirs.items():
        assert ours[name].to_csv() == expected.to_csv(), name


@pytest.mark.slow
def test_ray_keeps_the_contract_of_executors(tmp_path: Path, cluster):
    session = start(tmp_path, "check", "executor", "ray", "--executor-option", f"address={cluster.address}")

    assert finished(session) == ExitCode.YES, said(tmp_path)
    assert said(tmp_path).count(" pass ") == 8


@pytest.mark.slow
def test_tables_are_those_of_a_local_run_where_a_node_was_killed_in_the_middle(tmp_path: Path, cluster, undisturbed):
    suite = write_suite(tmp_path, ["slow"], ["short"], SEEDS, STEPS)
    node = cluster.add_node(env_vars=INSTALLED)
    session = start(tmp_path, "run", suite, address=cluster.address)
    (raylet,) = node.all_processes["raylet"]
    wait_for(lambda: trials(raylet.process.pid), session)
    lost = trials(raylet.process.pid)
    cluster.remove_node(node, allow_graceful=False)

    assert finished(session) == ExitCode.YES, said(tmp_path)
    assert_as_undisturbed(tmp_path, undisturbed)
    assert psutil.wait_procs(lost, timeout=10)[1] == []


@pytest.mark.slow
def test_a_trial_that_lost_the_widest_node_runs_on_a_narrower_one(tmp_path: Path, cluster, monkeypatch):
    from harness_ray import executor

    wide = cluster.add_node(num_cpus=4, env_vars=INSTALLED)
    (raylet,) = wide.all_processes["raylet"]
    ours = executor.create(ExecutorOptions(settings={"address": cluster.address}))
    start_one = ours.start
    monkeypatch.setattr(ours, "start", lambda job: start_one(replace(job, cpus=3)))
    try:
        Bench(ours, tmp_path).start("sleep")
        wait_for(lambda: trials(raylet.process.pid))
        lost = trials(raylet.process.pid)
        cluster.remove_node(wide, allow_graceful=False)
        ends = []
        wait_for(lambda: ends.extend(ours.wait(0.1)) or ends or set(trials()) - set(lost))
        assert ends == []
    finally:
        ours.close()


@pytest.mark.slow
def test_a_driver_that_was_killed_or_interrupted_resumes_and_leaves_nothing_running(
    tmp_path: Path, cluster, undisturbed
):
    suite = write_suite(tmp_path, ["slow"], ["short"], SEEDS, STEPS)
    done: dict[str, dict] = {}
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, ExitCode.INTERRUPTED)):
        session = start(tmp_path, "run", suite, address=cluster.address)
        wait_for(lambda: "\ndone " in said(tmp_path) and trials(), session)
        running = trials()
        session.send_signal(number)
        ended = finished(session)  # Ray 2.60 may break down by itself where a task ends as it is cancelled
        assert ended == code or "discovered a bug in Ray" in said(tmp_path), said(tmp_path)
        assert psutil.wait_procs(running, timeout=10)[1] == []
        now = stored_runs(tmp_path)
        assert {key: now[key] for key in done} == done
        done = {key: run for key, run in now.items() if run["status"] == "done"}
        assert done

    assert finished(start(tmp_path, "run", suite, address=cluster.client)) == ExitCode.YES, said(tmp_path)
    after = stored_runs(tmp_path)

    assert {key: after[key] for key in done} == done
    assert_as_undisturbed(tmp_path, undisturbed)
    assert trials() == []


def test_a_node_with_another_version_refuses_and_names_both(tmp_path: Path, cluster):
    old = tmp_path / "old"
    for name, version in (("rl_harness", "0.0.9"), ("ray", "9")):
        (info := old / f"{name}-{version}.dist-info").mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    node = cluster.add_node(env_vars={"PYTHONPATH": f"{old}:{INSTALLED['PYTHONPATH']}"})
    suite = write_suite(tmp_path, ["steady"], ["short"])
    try:
        session = start(tmp_path, "run", suite, address=cluster.address)
        assert finished(session) == ExitCode.USAGE
    finally:
        cluster.remove_node(node)

    (line,) = said(tmp_path).splitlines()
    assert "cannot run trials of this harness: rl-harness is 0.0.9 here and 0.1.0 there" in line, line
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("address=127.0.0.1:9", "address=127.0.0.1:9: no Ray cluster can be used: ConnectionRefusedError"),
        ("address=ray://127.0.0.1:9", "no Ray cluster can be used: ConnectionRefusedError"),
        ("address=nonsense", "it names no host and port; write auto"),
        ("adress=local", "--executor-option adress: unknown; there is address"),
    ],
)
def test_an_address_without_a_cluster_is_refused_in_one_line(tmp_path: Path, option: str, reason: str):
    suite = write_suite(tmp_path, ["steady"], ["short"])
    session = start(tmp_path, "run", suite, "--executor", "ray", "--executor-option", option)

    assert finished(session) == ExitCode.USAGE
    (line,) = said(tmp_path).splitlines()
    assert reason in line


def test_the_port_of_the_one_service_is_refused_where_the_other_is_meant(tmp_path: Path, cluster):
    suite = write_suite(tmp_path, ["steady"], ["short"])
    client = cluster.client.removeprefix("ray://")
    for address, advice in ((client, f"write ray://{client}"), (f"ray://{cluster.address}", "leave out ray://")):
        assert finished(start(tmp_path, "run", suite, address=address)) == ExitCode.USAGE
        (line,) = said(tmp_path).splitlines()
        assert line.endswith(advice), line


def test_parts_of_gpus_are_claimed_where_a_node_has_one(tmp_path: Path, cluster):
    import ray

    from harness_ray import executor

    def made(**options) -> executor.RayExecutor:
        return executor.create(ExecutorOptions(settings={"address": cluster.address}, **options))

    without = made()
    assert without.lacks("cuda") == f"no GPU in the Ray cluster at {cluster.address}"
    assert without.jobs >= 2 and not without.has_room("cuda", 1)
    without.close()
    node = cluster.add_node(num_cpus=2, num_gpus=1, env_vars=INSTALLED)
    half = made(gpu_share=0.5)
    try:
        assert half.lacks("cuda") == ""
        (tmp_path / "jobs").mkdir()
        bench = Bench(half, tmp_path / "jobs")
        bench.start("sleep", device="cuda")
        wait_for(lambda: ray.available_resources()["GPU"] == 0.5)
        assert half.has_room("cuda", 1)
        bench.start("sleep", device="cuda")
        assert not half.has_room("cuda", 1) and half.has_room("cpu", 1)
    finally:
        half.close()
        cluster.remove_node(node)


@pytest.mark.parametrize(("lost", "joined"), [(0, True), (2, True), (3, False)])
def test_a_client_whose_process_on_the_cluster_ends_as_it_begins_gets_another(lost, joined, monkeypatch):
    from harness_ray import executor

    left = [ConnectionAbortedError("ZombieProcess")] * lost

    def init(**told):
        if left:
            raise left.pop()

    monkeypatch.setattr(executor.ray, "init", init)
    monkeypatch.setattr(executor, "_reach", lambda address: None)
    if joined:
        executor._connect("ray://cluster:10001", 1)
    else:
        with pytest.raises(UsageError, match="no Ray cluster can be used: ConnectionAbortedError: ZombieProcess"):
            executor._connect("ray://cluster:10001", 1)
    assert not left
