"""Addresses where no cluster is, or one that would not have us, and signals meanwhile; with an imagined Ray."""

import http.server
import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from harness.api import ExecutorOptions, UsageError

executor = pytest.importorskip("harness_ray.executor", reason="harness-ray is no part of the set-up")
probe = pytest.importorskip("harness_ray.probe")
GCS_WORDS = "[2026 W 1 1] gcs_client.cc:210: Failed to get cluster ID from GCS server: RpcError: RPC error: "


@pytest.fixture
def listening():
    """The address of a server of web pages."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("address", "said", "advice"),
    [
        (
            "a:1",
            f"{GCS_WORDS}Method not found! rpc_code: 12",
            "if it is the port of the client server, write ray://a:1",
        ),
        ("ray://a:1", "status = StatusCode.UNIMPLEMENTED", "if it is the port of the head, leave out ray://"),
        ("a:1", f"{GCS_WORDS}InvalidAuthToken: Authentication token is missing", "set RAY_AUTH_MODE=token"),
        ("ray://a:1", "status = StatusCode.UNAUTHENTICATED", "set RAY_AUTH_MODE=token"),
        ("ray://a:1", "Traceback\nModuleNotFoundError: No module named 'grpc'", "No module named 'grpc'"),
        ("a:1", "Failed to connect to GCS within 60 seconds", "what listens there is no Ray cluster"),
    ],
)
def test_what_answers_there_is_told_apart_and_the_mending_named(address, said, advice, monkeypatch, capfd):
    monkeypatch.setattr(probe.subprocess, "run", lambda *line, **told: subprocess.CompletedProcess(line, 1, "", said))
    monkeypatch.setattr(executor.socket, "create_connection", lambda *told: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(executor, "_join", lambda address: pytest.fail("it is not joined"))

    with pytest.raises(UsageError) as refusal:
        executor._connect(address, 1)

    message = str(refusal.value)
    assert f"address={address}: no Ray cluster can be used: " in message and advice in message
    assert "\n" not in message and "gcs_client.cc" not in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("said", "why"),
    [(b"imported\n", "what listens there is no Ray cluster, or does not answer within 30 s"), (b"", ""), (None, "")],
)
def test_who_does_not_answer_is_given_up_but_not_where_ray_is_slow_to_import_here(said, why, monkeypatch):
    def run(line, timeout, **told):
        raise subprocess.TimeoutExpired(line, timeout, output=said)

    monkeypatch.setattr(probe.subprocess, "run", run)

    assert probe.refusal("a:1") == why


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_the_probe_says_that_it_has_imported_ray_before_it_asks(scheme, monkeypatch, capsys):
    pytest.importorskip("grpc")
    said = []

    def asks(*given, **told):
        said.append(capsys.readouterr().out)
        raise ConnectionError

    monkeypatch.setattr("ray._raylet.GcsClient", asks)
    monkeypatch.setattr("ray._private.grpc_utils.init_grpc_channel", asks)
    with pytest.raises(ConnectionError):
        probe.ask(f"{scheme}a:1")

    assert said == ["imported\n"]


def test_a_server_of_web_pages_is_no_client_server(listening):
    pytest.importorskip("grpc")

    assert probe.refusal(f"ray://{listening}") == "what listens there is no Ray cluster"


@pytest.mark.parametrize(
    ("named", "asked"), [("a:1", ["a:1"]), ("auto-head:1", ["auto-head:1"]), ("auto", []), ("", [])]
)
def test_auto_asks_only_a_cluster_that_somebody_named(named, asked, monkeypatch):
    """One that Ray finds by itself gets the token of this machine, without which the question would be refused."""
    from ray._private import services

    questions = []
    monkeypatch.setenv("RAY_ADDRESS", named)
    monkeypatch.setattr(services, "canonicalize_bootstrap_address_or_die", lambda address: "found:1")
    monkeypatch.setattr(executor.socket, "create_connection", lambda *told: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(executor.probe, "refusal", lambda address: questions.append(address) or "")

    executor._reach("auto")

    assert questions == asked


@pytest.mark.parametrize("moment", ["init", "examine"])
def test_a_sigterm_while_a_cluster_is_joined_is_an_interruption_and_its_handler_stays(moment, monkeypatch):
    def terminated(*given, **told):
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(number))  # as Ray does
        if moment == "init":
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    left = []
    monkeypatch.setattr(executor.ray, "init", terminated)
    monkeypatch.setattr(executor.ray, "shutdown", lambda: left.append(True))
    monkeypatch.setattr(executor, "_examine", lambda address: os.kill(os.getpid(), signal.SIGTERM))

    with pytest.raises(KeyboardInterrupt):
        executor.create(ExecutorOptions(settings={"address": "local"}))

    assert signal.getsignal(signal.SIGTERM) == before and left == [True]
