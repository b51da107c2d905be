"""What becomes of jobs whose nodes are lost, with an imagined Ray: what a claim is made of, and how they end."""

import threading
from types import SimpleNamespace

import pytest

from harness.api import Ended, ExecutorOptions, Job, UsageError

executor = pytest.importorskip("harness_ray.executor", reason="harness-ray is no part of the set-up")
FAR = 1_000_000.0  # seconds, beyond every pause


class Cluster:
    """Stands in for the module `ray`: nodes by name, and every task that was handed to it."""

    def __init__(self, **nodes: dict[str, float]) -> None:
        self.alive = nodes
        self.claims: list[tuple[float, float]] = []  # processors and GPUs, by number of task
        self.results: dict[int, object] = {}  # of tasks that are over; an exception is raised
        self.cancelled: list[int] = []

    def nodes(self) -> list[dict]:
        return [{"Alive": True, "Resources": resources} for resources in self.alive.values()]

    def remote(self, function):
        return SimpleNamespace(options=lambda **told: SimpleNamespace(remote=lambda *given: self._handed(told)))

    def _handed(self, told) -> int | None:
        if "num_gpus" not in told:  # the board
            return None
        self.claims.append((told["num_cpus"], told["num_gpus"]))
        return len(self.claims) - 1

    def wait(self, tasks, num_returns=1, timeout=None):
        ready = [task for task in tasks if task in self.results]
        return ready, [task for task in tasks if task not in self.results]

    def get(self, task):
        if isinstance(result := self.results[task], Exception):
            raise result
        return result

    def cancel(self, task, force=False):
        self.cancelled.append(task)

    def lose(self, name: str, task: int) -> None:
        """A node, and the task on it."""
        self.alive.pop(name)
        self.results[task] = executor.exceptions.WorkerCrashedError()


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """Seconds, which pass by hand, or as somebody sleeps."""
    now = SimpleNamespace(now=FAR)

    def sleep(seconds: float) -> None:
        now.now += seconds

    monkeypatch.setattr(executor, "time", SimpleNamespace(monotonic=lambda: now.now, sleep=sleep))
    return now


def made(monkeypatch, cluster: Cluster, **options) -> executor.RayExecutor:
    monkeypatch.setattr(executor, "ray", cluster)
    return executor.RayExecutor(ExecutorOptions(**options), "cluster:6379")


def job_in(folder, cpus: int = 1, device: str = "cpu") -> Job:
    return Job("0", folder, device, cpus, None, 1.0)


def looked(ours, clock) -> list[Ended]:
    """Ends told within a while."""
    ended = []
    for _ in range(4):
        clock.now += 60.0
        ended += ours.wait(0.0)
    return ended


def test_a_job_that_lost_the_widest_node_claims_no_more_than_a_node_that_is_left_has(monkeypatch, tmp_path, clock):
    cluster = Cluster(narrow={"CPU": 1}, wide={"CPU": 4})
    ours = made(monkeypatch, cluster)
    ours.start(job_in(tmp_path, cpus=3))
    cluster.lose("wide", task=0)

    assert ours.wait(0.0) == []
    assert cluster.claims == [(3, 0), (1, 0)]


@pytest.mark.parametrize("late", [False, True], ids=["still queued", "handed over again before Ray knew of the loss"])
def test_a_job_in_the_queue_that_no_node_can_take_any_more_claims_less(late, monkeypatch, tmp_path, clock):
    cluster = Cluster(narrow={"CPU": 1}, wide={"CPU": 4})
    ours = made(monkeypatch, cluster)
    ours.start(job_in(tmp_path, cpus=3))
    if late:
        cluster.results[0] = executor.exceptions.WorkerCrashedError()
        ours.wait(0.0)
    before = len(cluster.claims)
    cluster.alive.pop("wide")

    assert looked(ours, clock) == []
    assert cluster.claims[before:] == [(1, 0)] and cluster.cancelled == [before - 1]


def test_a_job_that_a_node_can_take_is_left_alone(monkeypatch, tmp_path, clock):
    cluster = Cluster(narrow={"CPU": 1}, wide={"CPU": 4})
    ours = made(monkeypatch, cluster)
    ours.start(job_in(tmp_path, cpus=3))
    cluster.alive.pop("narrow")

    assert looked(ours, clock) == []
    assert cluster.claims == [(3, 0)] and cluster.cancelled == []


@pytest.mark.parametrize(
    ("device", "left", "reason"),
    [("cuda", {"CPU": 4}, "no node that is left has a GPU"), ("cpu", {}, "no node that is left has a processor")],
)
@pytest.mark.parametrize("state", ["running", "queued", "new"])
def test_a_job_that_nothing_left_can_run_is_interrupted_and_says_why(
    state, device, left, reason, monkeypatch, tmp_path, clock
):
    cluster = Cluster(one={"CPU": 2, "GPU": 1}, other=left)
    ours = made(monkeypatch, cluster)
    if state == "new":
        cluster.alive.pop("one")
        clock.now += 60.0
    ours.start(job_in(tmp_path, device=device))
    if state == "running":
        cluster.lose("one", task=0)
    elif state == "queued":
        cluster.alive.pop("one")

    (ended,) = looked(ours, clock)
    assert (ended.id, ended.ending) == ("0", "interrupted") and reason in ended.error
    assert looked(ours, clock) == []


def test_a_job_whose_only_node_is_away_for_a_while_runs_when_it_is_back(monkeypatch, tmp_path, clock):
    cluster = Cluster(one={"CPU": 2})
    ours = made(monkeypatch, cluster)
    ours.start(job_in(tmp_path))
    cluster.lose("one", task=0)
    clock.now += 60.0
    ends = [*ours.wait(0.0), *ours.wait(executor.ABSENT_SECONDS - 1.0)]
    cluster.alive["one"] = {"CPU": 2}
    ends += ours.wait(executor.LOOK_SECONDS + 1.0)

    assert ends == [] and cluster.claims == [(1, 0), (1, 0)]


def test_what_no_node_can_take_now_is_left_in_the_queue_while_something_runs(monkeypatch, tmp_path, clock):
    cluster = Cluster(plain={"CPU": 4}, fast={"CPU": 4, "GPU": 1})
    ours = made(monkeypatch, cluster)
    ours.start(job_in(tmp_path))
    fast = cluster.alive.pop("fast")
    clock.now += 60.0
    ours.wait(0.0)
    assert not ours.has_room("cuda", 1) and ours.has_room("cpu", 1)

    cluster.alive["fast"] = fast
    clock.now += 60.0
    ours.wait(0.0)
    assert ours.has_room("cuda", 1)


def test_where_nothing_runs_there_is_room_for_what_no_node_can_take_or_the_session_would_not_end(
    monkeypatch, tmp_path, clock
):
    cluster = Cluster(plain={"CPU": 4}, fast={"CPU": 4, "GPU": 1})
    ours = made(monkeypatch, cluster)
    cluster.alive.pop("fast")
    clock.now += 60.0
    ours.wait(0.0)

    assert ours.has_room("cuda", 1)


def test_a_claim_fits_one_node_with_all_that_the_job_needs(monkeypatch, tmp_path, clock):
    cluster = Cluster(wide={"CPU": 8}, fast={"CPU": 2, "GPU": 1})
    ours = made(monkeypatch, cluster, gpu_share=0.5)
    ours.start(job_in(tmp_path, cpus=4, device="cuda"))

    assert cluster.claims == [(2, 0.5)]


def test_a_job_whose_node_is_lost_time_and_again_is_interrupted_which_says_nothing_of_the_algorithm(
    monkeypatch, tmp_path, clock
):
    cluster = Cluster(one={"CPU": 1})
    ours = made(monkeypatch, cluster)
    ours.start(job_in(tmp_path))
    ends = []
    for task in range(executor.ATTEMPTS):
        cluster.results[task] = executor.exceptions.WorkerCrashedError()
        ends += ours.wait(0.0)

    (ended,) = ends
    assert ended.ending == "interrupted" and "its node was lost 4 times, at last by Worker" in ended.error
    assert len(cluster.claims) == executor.ATTEMPTS


@pytest.fixture(params=["silent", "raising"])
def lost_head(request, monkeypatch):
    """What Ray does where the head is lost, and how the harness calls it."""
    over = threading.Event()
    monkeypatch.setattr(executor, "NODES_SECONDS", 0.1)

    def nodes():
        if request.param == "raising":
            raise RuntimeError("Failed to connect to GCS")
        over.wait()

    words = {"silent": "it does not answer within 0.1 s", "raising": "RuntimeError: Failed to connect to GCS"}
    yield SimpleNamespace(nodes=nodes, words=words[request.param])
    over.set()


def test_a_session_whose_head_is_lost_ends_and_says_so_once(lost_head, monkeypatch, tmp_path, clock):
    cluster = Cluster(one={"CPU": 1})
    ours = made(monkeypatch, cluster)
    ours.start(job_in(tmp_path))
    cluster.nodes = lost_head.nodes
    clock.now += 60.0

    with pytest.raises(ConnectionError) as told:
        ours.wait(0.0)

    assert str(told.value) == f"the Ray cluster at cluster:6379 is gone: ConnectionError: {lost_head.words}"


def test_a_head_that_is_lost_while_nodes_are_examined_is_a_refusal(lost_head, monkeypatch):
    monkeypatch.setattr(executor, "ray", SimpleNamespace(nodes=lost_head.nodes))

    with pytest.raises(UsageError) as told:
        executor._examine("cluster:6379")

    assert str(told.value).endswith(f"address=cluster:6379: no Ray cluster can be used: {lost_head.words}")
