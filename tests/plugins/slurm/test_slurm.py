"""The SLURM executor on a fake cluster: what is submitted, what becomes of jobs, and what of them nobody waits for."""

import errno
import json
import math
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import harness
from harness.api import Ended, ExecutorOptions, Job, UsageError
from harness.commands import cli
from harness.conformance.executors import ExecutorSubject, executor_checks
from harness.contract.errors import ExitCode
from harness.contract.specs import ExecutorSpec
from harness.storage.store import DETACHED
from harness_slurm import executor, silence, tickets, work
from harness_slurm.executor import create
from support.hostile import HOSTILE, write_suite
from support.slurm import FakeSlurm

SPEC = ExecutorSpec("slurm", "harness_slurm.executor:create")
PATHS = os.pathsep.join(filter(None, (str(HOSTILE), os.environ.get("PYTHONPATH"))))
PLUGINS = {"PYTHONPATH": PATHS, "HARNESS_PLUGINS": "hostile,slurm"}
RESULTS = Path("results/hostile")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FakeSlurm]]:
    """Makes a cluster whose login node this process is on, in an empty folder."""
    up: list[FakeSlurm] = []

    def make(**rules) -> FakeSlurm:
        made = FakeSlurm(tmp_path / "slurm", {**os.environ, **PLUGINS}, warm=True, **rules)
        up.append(made.__enter__())
        monkeypatch.setenv("PATH", made.environment["PATH"])
        return made

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(silence, "PATIENCE_SECONDS", 0.5)
    monkeypatch.syspath_prepend(str(HOSTILE))
    for name, value in PLUGINS.items():
        monkeypatch.setenv(name, value)
    yield make
    for made in up:
        made.__exit__()


def on(slurm: FakeSlurm, *more: str) -> list[str]:
    return ["--executor", "slurm", *(w for s in (slurm.warm, "poll=0.3", *more) for w in ("--executor-option", s))]


def run(suite: str, slurm: FakeSlurm, *words: str) -> int:
    return cli.main(["run", suite, *on(slurm), *words])


def collect() -> int:
    return cli.main(["collect", str(RESULTS)])


def all_collected(seconds: float = 120) -> int:
    """Collect until nothing is in flight; the code of the last call."""
    until = time.monotonic() + seconds
    while True:
        code = collect()
        if not list((RESULTS / DETACHED).glob("*.json")):
            return code
        assert time.monotonic() < until
        time.sleep(0.2)


def statuses() -> dict[str, int]:
    return dict(harness.load(RESULTS).runs["status"].value_counts())


def most_at_once(slurm: FakeSlurm) -> int:
    changes = [(e["at"], 1) for e in slurm.events("start")] + [(e["at"], -1) for e in slurm.events("end")]
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


@pytest.mark.slow
def test_it_passes_every_check_of_an_executor(cluster):
    slurm = cluster(slots=4)
    settings = dict(text.split("=", 1) for text in (slurm.warm, "poll=0.3"))

    outcomes = [check.outcome() for check in executor_checks(ExecutorSubject("slurm/slurm", SPEC, settings))]

    assert [(o.check, o.reason) for o in outcomes if o.status != "pass"] == []
    assert len(outcomes) >= 8


@pytest.mark.slow
def test_of_sixty_runs_on_a_cluster_that_preempts_a_fifth_none_is_lost_and_none_runs_twice(cluster, tmp_path, capsys):
    slurm = cluster(slots=8, preempted=0.2, within=0.5, requeues=0.7, seed=3)
    suite = write_suite(tmp_path, ["steady"], ["short"], seeds=60, steps=20)

    assert run(suite, slurm, "--jobs", "3") == ExitCode.YES

    assert statuses() == {"done": 60}
    preempted = slurm.events("preempt")
    assert len({event["again"] for event in preempted}) == 2, "both kinds of preemption are tried"
    ends = [event["state"] for event in slurm.events("end")]
    assert ends.count("COMPLETED") <= 60  # one that is preempted when it has left its mark does not start again
    assert len(slurm.events("start")) <= 60 + len(preempted)
    assert capsys.readouterr().err.count("\ndone ") == 60
    assert most_at_once(slurm) <= 5  # three, and jobs that have left their mark and of which SLURM is not rid yet


@pytest.mark.slow
def test_what_was_detached_is_collected_once_and_nobody_runs_it_meanwhile(cluster, tmp_path, capsys):
    slurm = cluster(slots=4, preempted=0.2, within=0.5, seed=1)
    suite = write_suite(tmp_path, ["steady", "raises"], ["short"], seeds=12, steps=20)

    assert run(suite, slurm, "--jobs", "2", "--detach", "--executor-option", "array_size=10") == ExitCode.YES
    assert "24 runs are in flight" in capsys.readouterr().err
    submitted = slurm.events("submit")
    assert [(event["jobs"], event["at_once"]) for event in submitted] == [(10, 1), (10, 1), (4, 1)]
    assert submitted[2]["after"] == f"afterany:{submitted[0]['id']}"
    assert run(suite, slurm) == run(suite, slurm, "--detach") + ExitCode.INCOMPLETE == ExitCode.INCOMPLETE
    assert "24 runs, 0 complete, 0 to run" in capsys.readouterr().err

    assert all_collected() == ExitCode.INCOMPLETE
    assert statuses() == {"done": 12, "failed": 12}
    assert len(slurm.events("submit")) == 3
    assert most_at_once(slurm) <= 2
    assert not list((RESULTS / DETACHED).iterdir())
    assert collect() == ExitCode.YES
    assert "stored nothing; 0 runs in flight" in capsys.readouterr().err


class Killed(BaseException):
    """As SIGKILL would, but for `finally`."""


POINTS = (  # what is done step by step, and may be cut off before and after each
    "harness.running.runner.leave",
    "harness.running.detached.leave",
    "harness_slurm.cluster.submit",
    "harness_slurm.tickets.write",
    "harness.storage.store.Store.commit",
    "harness.storage.store.Store._swap",
    "harness.running.detached.remove_tree",
    "pathlib.Path.unlink",
)


def killed_at(moment: int, arguments: list[str]) -> bool:
    """Call the command line in a fork that is killed at a moment; False if it ends before."""
    child = os.fork()
    if child == 0:
        left = [moment]

        def counted(function):
            def called(*given, **named):
                for step in (lambda: None, lambda: function(*given, **named)):
                    answer = step()
                    left[0] -= 1
                    if left[0] < 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                return answer

            return called

        with pytest.MonkeyPatch.context() as patch:
            from pkgutil import resolve_name

            for name in POINTS:
                owner, _, attribute = name.rpartition(".")
                patch.setattr(resolve_name(owner), attribute, counted(getattr(resolve_name(owner), attribute)))
            os._exit(cli.main(arguments))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) < 0


@pytest.mark.slow
def test_a_kill_at_any_moment_of_detaching_loses_nothing_and_runs_nothing_twice(cluster, tmp_path):
    slurm = cluster(slots=4)
    suite = write_suite(tmp_path, ["steady"], ["short"], seeds=2, steps=20)
    moment = 0
    while killed_at(moment, ["run", suite, *on(slurm), "--detach"]):
        if (RESULTS / DETACHED).is_dir():
            all_collected()  # whatever it had submitted, or not
        assert run(suite, slurm) == ExitCode.YES
        assert statuses() == {"done": 2}
        assert not list(RESULTS.glob(f"{DETACHED}/*"))
        shutil.rmtree(RESULTS)
        moment += 3
    assert moment >= 12


@pytest.mark.slow
def test_a_kill_at_any_moment_of_collecting_loses_nothing_and_stores_nothing_twice(cluster, tmp_path, monkeypatch):
    slurm = cluster(slots=4)
    suite = write_suite(tmp_path, ["steady"], ["short"], seeds=2, steps=20)
    run(suite, slurm, "--detach")
    while len(slurm.events("end")) < 2:
        time.sleep(0.1)
    shutil.copytree("results", "before")
    moment = 0
    while killed_at(moment, ["collect", str(RESULTS)]):
        stored = {path: path.read_bytes() for path in RESULTS.glob("*/run.json")}
        assert collect() == ExitCode.YES
        assert all(path.read_bytes() == content for path, content in stored.items())
        assert statuses() == {"done": 2}
        assert not list((RESULTS / DETACHED).iterdir())
        shutil.rmtree("results")
        shutil.copytree("before", "results")
        moment += 1
    assert moment >= 8
    assert len(slurm.events("start")) == 2


def test_what_slurm_took_away_is_told_and_free_to_run_again(cluster, tmp_path, capsys):
    slurm = cluster(slots=1, accounting=False)
    suite = write_suite(tmp_path, ["slow"], ["short"], seeds=2, steps=100_000)
    run(suite, slurm, "--detach")
    while not slurm.events("start"):
        time.sleep(0.05)
    with slurm.down():
        assert collect() == ExitCode.INCOMPLETE  # no answer is no end
    told = capsys.readouterr()
    assert "2 runs in flight" in told.err
    assert re.findall(r" (101_\d) ", told.out) == ["101_0", "101_1"]
    assert "SLURM's job 101; give up with `scancel 101`" in told.err
    os.system("scancel 101")
    all_collected()

    assert statuses() == {"interrupted": 2}
    assert set(harness.load(RESULTS).runs["error"]) == {"SLURM took it away and did not start it again (CANCELLED)"}
    assert run(suite, slurm, "--detach") == ExitCode.YES
    assert "2 runs are in flight" in capsys.readouterr().err


def test_a_job_that_dies_without_a_word_says_what_its_script_said(cluster, tmp_path):
    slurm = cluster()
    suite = write_suite(tmp_path, ["steady"], ["short"], seeds=1, steps=20)

    assert cli.main(["run", suite, *on(slurm), "--executor-option", "slurm_setup=no-such-module; exit 3"]) == 3

    (error,) = harness.load(RESULTS).runs["error"]
    assert "(SLURM: FAILED)" in error
    assert "no-such-module: command not found" in error


WRONG = [
    ("slurm_partitoin=short", "unrecognized option '--partitoin=short'"),
    ("slurm_partition=nope", "invalid partition specified: nope"),
    ("slurm_time=soon", "Invalid --time specification"),
    ("partition=short", "--executor-option partition: unknown; there are slurm_*, python, poll, array_size"),
    ("poll=often", "--executor-option poll=often: write a number above 0"),
    ("slurm_array_parallelism=3", "slurm_array_parallelism: not for you to set: write --jobs"),
    ("slurm_comment=a\nb", "slurm_comment: more than one line"),
]


@pytest.mark.parametrize("detached", [(), ("--detach",)], ids=["attached", "detached"])
def test_what_slurm_or_the_executor_refuses_is_one_line_and_leaves_nothing_in_flight(
    cluster, tmp_path, capsys, detached
):
    cluster()
    suite = write_suite(tmp_path, ["steady"], ["short"], seeds=1, steps=20)
    for option, reason in WRONG:
        line = ["run", suite, "--executor", "slurm", "--executor-option", option, *detached]
        assert cli.main(line) == ExitCode.USAGE
        lines = capsys.readouterr().err.splitlines()
        assert reason in lines[-1]
        assert not any(line.startswith("start ") for line in lines)
    assert not list(RESULTS.glob(f"{DETACHED}/*"))
    assert not list(RESULTS.glob("*/run.json"))


def test_without_slurm_a_run_is_refused_in_one_line_and_a_dry_run_prints_its_script(cluster, tmp_path, capsys):
    suite = write_suite(tmp_path, ["steady"], ["short"], seeds=3, steps=20)
    line = ["run", suite, "--executor", "slurm", "--jobs", "2", "--time-limit", "100"]

    assert cli.main([*line, "--executor-option", "slurm_account=lab", "--dry-run"]) == ExitCode.YES
    assert not Path("results").exists()
    script = capsys.readouterr().out
    for flag in ("--array=0-2%2", "--time=3", "--account=lab", "--mem=5120M", "--requeue", "--cpus-per-task=1"):
        assert f"#SBATCH {flag}\n" in script
    assert '-m harness_slurm.work "$folder" harness-000000000000' in script
    assert cli.main(line) == ExitCode.USAGE
    assert "there is no sbatch here" in capsys.readouterr().err.splitlines()[-1]
    assert not list(RESULTS.glob(f"{DETACHED}/*"))


def test_collecting_what_was_never_detached_or_detaching_what_cannot_be_is_one_line(cluster, tmp_path, capsys):
    suite = write_suite(tmp_path, ["steady"], ["short"], seeds=1, steps=20)
    RESULTS.mkdir(parents=True)

    assert collect() == ExitCode.USAGE
    assert "results/hostile: nothing was detached there" in capsys.readouterr().err
    assert cli.main(["run", suite, "--detach"]) == ExitCode.USAGE
    assert "what 'local' runs ends with this command" in capsys.readouterr().err


def job(folder: Path, **changes) -> Job:
    return Job(
        **{"id": "1", "folder": folder, "device": "cpu", "cpus": 1, "seconds": None, "memory_gib": 4.0} | changes
    )


def script(jobs: list[Job], *, at_once: int = 0, **settings: str) -> str:
    return create(ExecutorOptions(at_once, settings=settings)).preview(jobs)


def test_jobs_with_other_needs_are_other_arrays_and_share_the_cap(tmp_path):
    jobs = [job(tmp_path / str(n), id=str(n), device="cuda" if n < 2 else "cpu") for n in range(7)]

    told = script(jobs, at_once=4)

    assert re.findall(r"--array=(.*)", told) == ["0-1%2", "0-4%2"]
    assert told.count("--gpus-per-node=1") == 1
    assert re.findall(r"--array=(.*)", script(jobs, at_once=1)) == ["0-1%1", "0-4%1"]
    assert "afterany" in script(jobs, at_once=1)


def test_the_walltime_is_half_more_than_the_limit_and_whose_option_it_is_wins(tmp_path):
    limited = job(tmp_path, seconds=3600.0)

    assert "#SBATCH --time=90\n" in script([limited])
    assert "#SBATCH --time=2-00:00:00\n" in script([limited], slurm_time="2-00:00:00")
    assert "--time" not in script([job(tmp_path)])
    assert "#SBATCH --mem=9G\n" in script([limited], slurm_mem="9G")
    assert "gpus-per-node" not in script([job(tmp_path, device="cuda")], slurm_gres="gpu:a100:1")
    assert "\nmodule load x\n" in script([limited], slurm_setup="module load x")
    assert "#SBATCH --licenses=a@b:1\n" in script([limited], slurm_licenses="a@b:1")


def test_folders_with_any_name_reach_the_node_as_they_are(tmp_path):
    odd = tmp_path / "it's $HOME; `x`"
    text = script([job(odd)], python="echo")

    (tmp_path / "script").write_text(text)
    said = os.popen(f"SLURM_ARRAY_TASK_ID=0 bash {tmp_path}/script").read()
    assert said == f"-m harness_slurm.work {odd} harness-000000000000\n"


def ticket(folder: Path, name: str = "harness-0123456789ab") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tickets.Ticket(name, 0, "2026-01-01", 1, "cpu", 1, None, 4.0, {}, ("job.json",)).leave(folder)


def test_a_job_that_was_submitted_anew_or_has_ended_or_is_gone_does_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "supervise", lambda *given: pytest.fail("it ran"))
    ticket(tmp_path / "1")

    assert work.main([str(tmp_path / "1"), "harness-ffffffffffff"]) == 0
    tickets.mark_ended(tmp_path / "1", Ended("1", "ended", "", 1.0), "attempt")
    assert work.main([str(tmp_path / "1"), "harness-0123456789ab"]) == 0
    assert work.main([str(tmp_path / "2"), "harness-0123456789ab"]) == 0


ATTEMPTS = tuple(f"attempt-{number * 32}" for number in "01")


def test_an_attempt_finds_what_the_job_was_given_and_nothing_of_attempts_before(tmp_path, monkeypatch):
    seen: list[list[str]] = []

    def supervise(job: Job, wanted: Callable[[int], bool]) -> Ended:
        seen.append(sorted(os.listdir(job.folder)))
        assert wanted(7)
        assert (tmp_path / "1" / "progress").read_bytes() == b"\7" + bytes(7)
        ticket(tmp_path / "1", "harness-ffffffffffff")
        assert not wanted(8)
        return Ended(job.id, "timeout", "late", 2.0)

    monkeypatch.setattr(work, "supervise", supervise)
    for number in ("1", "2"):
        ticket(tmp_path / number)
        (tmp_path / number / "job.json").touch()
        (before := tmp_path / number / ATTEMPTS[0]).mkdir()
        for name in ("place.json", "log.txt"):
            (before / name).touch()
    (tmp_path / "2" / ATTEMPTS[0] / "outcome.json").touch()

    for number in ("1", "2"):
        assert work.main([str(tmp_path / number), "harness-0123456789ab"]) == 0

    assert seen == [["job.json"]]
    assert tickets.ended_in(tmp_path / "1", "x") == Ended("x", "timeout", "late", 2.0)
    assert tickets.ended_in(tmp_path / "2", "x").ending == "ended"
    tickets.bring(tmp_path / "2")
    assert (tmp_path / "2" / "outcome.json").exists()


def test_of_two_attempts_side_by_side_one_alone_is_the_result(tmp_path, monkeypatch):
    """As where SLURM has lost a node on which the first goes on."""
    ticket(tmp_path / "1")
    (tmp_path / "1" / "job.json").touch()
    depth: list[str] = []

    def supervise(job: Job, wanted: Callable[[int], bool]) -> Ended:
        depth.append("attempt")
        (job.folder / "key").mkdir()
        (job.folder / "key" / "table").write_text(said := f"of {len(depth)}")
        if len(depth) == 1:
            assert work.main([str(tmp_path / "1"), "harness-0123456789ab"]) == 0
        (job.folder / "outcome.json").write_text(said)
        return Ended(job.id, "ended", "", 1.0)

    monkeypatch.setattr(work, "supervise", supervise)
    assert work.main([str(tmp_path / "1"), "harness-0123456789ab"]) == 0

    tickets.bring(tmp_path / "1")
    texts = {(tmp_path / "1" / name).read_text() for name in ("key/table", "outcome.json")}
    assert len(depth) == 2 and len(texts) == 1


@pytest.mark.parametrize("attempt", ["../../elsewhere", "/etc", ATTEMPTS[0], "", 7, None])
def test_an_attempt_that_a_stranger_names_is_not_followed(tmp_path, attempt):
    """The one that is well-formed is a link."""
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "a" / "1"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    folder.mkdir(parents=True)
    (folder / ATTEMPTS[0]).symlink_to(elsewhere)
    tickets.mark_ended(folder, Ended("1", "ended", "", 1.0), attempt)

    tickets.bring(folder)

    assert [path.name for path in folder.iterdir()] == [ATTEMPTS[0]]
    assert [path.name for path in elsewhere.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"ending": "won"}', '{"ending": "ended", "error": 1, "seconds": 1}']
)
def test_a_mark_that_says_nothing_is_named_in_the_end_and_no_crash_and_a_ticket_that_is_none_is_none(
    tmp_path, monkeypatch, content
):
    folder = tmp_path / "jobs" / "1"
    ticket(folder)
    (tmp_path / "jobs" / "ended").mkdir()
    (tmp_path / "jobs" / "ended" / "1").write_text(content)

    for state in ("FAILED", "CANCELLED"):
        told = watched(folder, monkeypatch, state)
        assert told(1000.0) == told(1060.0) == []
        (ended,) = told(1071.0)
        assert ended.ending == "interrupted"
        assert f"{tmp_path}/jobs/ended/1: " in ended.error
        silence.forget(folder)
    (folder / "slurm.json").write_text(content)
    assert tickets.ticket_in(folder) is None


def test_a_mark_that_cannot_be_read_this_time_is_read_the_next(tmp_path, monkeypatch):
    folder = tmp_path / "jobs" / "1"
    ticket(folder)
    told = watched(folder, monkeypatch, "FAILED")
    assert told(1000.0) == []  # when nothing was there
    tickets.mark_ended(folder, Ended("1", "timeout", "late", 2.0), ATTEMPTS[0])

    with monkeypatch.context() as patch:
        opened = os.open

        def stale(path, *given):
            if Path(path).parent.name == tickets.ENDED:
                raise OSError(errno.ESTALE, "Stale file handle")
            return opened(path, *given)

        patch.setattr(tickets.os, "open", stale)
        assert told(1080.0) == []
        monkeypatch.setattr(work, "supervise", lambda *given: pytest.fail("it ran again"))
        assert work.main([str(folder), "harness-0123456789ab"]) == 0
    assert [ended.ending for ended in told(1081.0)] == ["timeout"]


def test_a_file_that_two_write_at_once_is_one_of_theirs(tmp_path, monkeypatch):
    flushed = tickets.os.fsync
    path = tmp_path / "mark"

    def fsync(descriptor: int) -> None:
        monkeypatch.setattr(tickets.os, "fsync", flushed)
        tickets.write(path, {"by": "the other"})
        flushed(descriptor)

    monkeypatch.setattr(tickets.os, "fsync", fsync)
    tickets.write(path, {"by": "this one, which takes longer"})

    assert tickets.read(path) == {"by": "this one, which takes longer"}
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "harness-0123456789ab; touch pwned"},
        {"name": ["harness-0123456789ab"]},
        {"index": "0"},
        {"index": True},
        {"day": "----------"},
        {"day": "2026-99-99"},
        {"day": "1900-01-01"},
        {"day": 7},
        {"attempt": 1e9},
        {"seconds": "1"},
        {"seconds": []},
        {"kept": 7},
        {"more": 1},
    ],
    ids=str,
)
def test_a_ticket_of_a_stranger_that_could_not_be_ours_is_none(tmp_path, changes):
    ticket(tmp_path)
    assert tickets.ticket_in(tmp_path) is not None
    path = tmp_path / "slurm.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    assert tickets.ticket_in(tmp_path) is None


def test_marks_and_tickets_that_are_no_files_or_hold_no_number_end_nobody(tmp_path, monkeypatch):
    """Whatever a stranger put where they lie: a job of which nothing is known ends as interrupted."""
    monkeypatch.setattr(executor.cluster, "_said", lambda line: "")
    monkeypatch.setattr(silence, "PATIENCE_SECONDS", 0.0)
    marks = {
        "file": lambda place: place.touch(),
        "fifo": lambda place: os.mkfifo(place),
        "link": lambda place: place.symlink_to("/proc"),
        "loop": lambda place: place.symlink_to(place.name),
    }
    endings = {}
    for name, make in marks.items():
        folder = tmp_path / name / "000001"
        folder.mkdir(parents=True)
        make(folder.parent / tickets.ENDED)
        os.mkfifo(folder / "slurm.json")
        os.mkfifo(folder / "progress")
        watching = create(ExecutorOptions())
        watching.reattach(job(folder, id=name))
        watching.progress()
        endings |= {ended.id: ended.ending for ended in watching.wait(0)}
    assert endings == dict.fromkeys(marks, "interrupted")

    (tmp_path / "ended").mkdir()
    (tmp_path / "ended" / "1").write_text('{"ending": "ended", "error": "", "seconds": 1' + "0" * 400 + "}")
    assert math.isnan(tickets.ended_in(tmp_path / "1", "1").total_seconds)


@pytest.mark.parametrize(
    ("state", "ending", "says"),
    [
        ("TIMEOUT", "timeout", "1.5 times the trial's 60 s"),
        ("OUT_OF_MEMORY", "crashed", "out of memory"),
        ("FAILED", "crashed", "without a word"),
        ("NODE_FAIL", "interrupted", "NODE_FAIL"),
        ("CANCELLED", "interrupted", "CANCELLED"),
        ("", "interrupted", "never submitted"),
        ("COMPLETED", "interrupted", "nothing that it left is in"),
    ],
)
def test_what_slurm_says_of_a_job_without_a_word_is_its_ending(tmp_path, state, ending, says):
    told = tickets.Ticket("harness-0123456789ab", 0, "2026-01-01", 1, "cpu", 1, 60.0, 4.0, {}, ())
    (tmp_path / "1" / ATTEMPTS[0]).mkdir(parents=True)
    (tmp_path / "1" / ATTEMPTS[0] / "place.json").touch()

    assert executor._verdict(state, tmp_path / "1", told)[0] == ending
    assert says in executor._verdict(state, tmp_path / "1", told)[1]


@pytest.mark.parametrize("state", ["TIMEOUT", "OUT_OF_MEMORY", "FAILED"])
def test_a_job_that_ended_before_its_trial_began_says_nothing_of_that(tmp_path, state):
    """Its attempt may have a folder by then, and in it what the job was given."""
    (tmp_path / "1").mkdir()
    for name in ATTEMPTS:
        assert executor._verdict(state, tmp_path / "1", None)[0] == "interrupted"
        (tmp_path / "1" / name).mkdir()
        (tmp_path / "1" / name / "job.json").touch()
    assert executor._verdict(state, tmp_path / "1", None)[0] == "interrupted"

    (tmp_path / "1" / ATTEMPTS[0] / "place.json").touch()
    assert executor._verdict(state, tmp_path / "1", None)[0] != "interrupted"


def watched(folder: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> Callable[[float], list[Ended]]:
    """What a new session is told of a job of which SLURM says this, by the file server's clock in seconds."""
    line = f"harness-0123456789ab|0|{state}\n" if state else ""
    monkeypatch.setattr(executor.cluster, "_said", lambda asked: line if asked[0] == "squeue" else "")

    def told(now: float) -> list[Ended]:
        def touched(path: Path) -> float:
            path.touch()
            os.utime(path, (now, now))
            return now

        monkeypatch.setattr(silence, "_touched", touched)
        watching = create(ExecutorOptions())
        watching.reattach(job(folder))
        return list(watching.wait(0))

    return told


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "OUT_OF_MEMORY", ""])
def test_a_mark_that_is_seen_late_is_waited_for_by_whoever_collects(tmp_path, monkeypatch, state):
    folder = tmp_path / "jobs" / "1"
    ticket(folder)
    told = watched(folder, monkeypatch, state)

    assert told(1000.0) == told(1060.0) == []
    tickets.mark_ended(folder, Ended("1", "timeout", "late", 2.0), ATTEMPTS[0])
    assert [ended.ending for ended in told(1061.0)] == ["timeout"]


def test_a_mark_that_is_seen_before_the_outcome_waits_for_it(tmp_path, monkeypatch):
    folder = tmp_path / "jobs" / "1"
    ticket(folder)
    (folder / ATTEMPTS[0]).mkdir()
    tickets.mark_ended(folder, Ended("1", "ended", "", 2.0), ATTEMPTS[0], left=True)
    told = watched(folder, monkeypatch, "COMPLETED")

    assert told(1000.0) == told(1060.0) == []
    (folder / ATTEMPTS[0] / "outcome.json").touch()
    assert [ended.ending for ended in told(1061.0)] == ["ended"]
    assert (folder / "outcome.json").exists()


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "CANCELLED"])
def test_an_outcome_without_a_mark_is_how_a_job_ended_however_often_it_is_collected(tmp_path, monkeypatch, state):
    """As where a collection is killed, or another session holds the run, before it is stored."""
    folder = tmp_path / "jobs" / "1"
    ticket(folder)
    (folder / ATTEMPTS[1]).mkdir()
    (folder / ATTEMPTS[1] / "outcome.json").touch()
    told = watched(folder, monkeypatch, state)

    assert told(1000.0) == []
    for now in (1071.0, 1072.0):
        assert [ended.ending for ended in told(now)] == ["ended"]
        assert (folder / "outcome.json").exists()


@pytest.mark.parametrize("state", ["NODE_FAIL", "CANCELLED"])
def test_a_stopped_job_that_had_begun_is_waited_for_and_one_that_had_not_is_not(tmp_path, monkeypatch, state):
    folder = tmp_path / "jobs" / "1"
    ticket(folder)
    told = watched(folder, monkeypatch, state)

    assert [ended.ending for ended in told(1000.0)] == ["interrupted"]
    (folder / ATTEMPTS[1]).mkdir()
    assert told(1000.0) == []
    assert [ended.ending for ended in told(1071.0)] == ["interrupted"]


def test_an_outcome_whose_mark_cannot_be_written_is_tried_again(tmp_path, monkeypatch):
    folder = tmp_path / "jobs" / "1"
    ticket(folder)
    (folder / ATTEMPTS[1]).mkdir()
    (folder / ATTEMPTS[1] / "outcome.json").touch()
    (folder.parent / tickets.ENDED).touch()
    told = watched(folder, monkeypatch, "COMPLETED")

    assert told(1000.0) == told(1071.0) == []
    (folder.parent / tickets.ENDED).unlink()
    assert [ended.ending for ended in told(1072.0)] == ["ended"]


@pytest.mark.parametrize("gone", [".", ATTEMPTS[0], f"{ATTEMPTS[0]}/outcome.json", ".."])
def test_what_was_removed_before_anybody_collected_it_is_no_crash(tmp_path, monkeypatch, gone):
    """As by a clean-up of scratch; where all is gone, the mark is, too."""
    folder = tmp_path / "jobs" / "1"
    ticket(folder)
    (folder / ATTEMPTS[0]).mkdir()
    (folder / ATTEMPTS[0] / "outcome.json").touch()
    tickets.mark_ended(folder, Ended("1", "ended", "", 2.0), ATTEMPTS[0], left=True)
    told = watched(folder, monkeypatch, "COMPLETED")
    os.system(f"rm -r {(folder / gone).resolve()}")

    first = told(1000.0)
    (ended,) = first or told(1071.0)

    assert bool(first) == (gone == "..")
    assert ended.ending == "interrupted"
    assert "gone" in ended.error and str(folder) in ended.error


def test_a_job_that_runs_after_all_is_waited_for_anew(tmp_path, monkeypatch):
    folder = tmp_path / "jobs" / "1"
    ticket(folder)

    assert watched(folder, monkeypatch, "COMPLETED")(1000.0) == []
    assert watched(folder, monkeypatch, "RUNNING")(1010.0) == []
    told = watched(folder, monkeypatch, "COMPLETED")
    assert told(1080.0) == []
    assert [ended.ending for ended in told(1151.0)] == ["interrupted"]


def test_a_job_that_ended_once_more_is_waited_for_anew(tmp_path, monkeypatch):
    """As where it was requeued, or submitted once more, and nobody asked while it ran."""
    folder = tmp_path / "jobs" / "1"
    ticket(folder)

    assert watched(folder, monkeypatch, "FAILED")(1000.0) == []
    assert watched(folder, monkeypatch, "COMPLETED")(1080.0) == []
    assert watched(folder, monkeypatch, "COMPLETED")(1149.0) == []
    assert [ended.ending for ended in watched(folder, monkeypatch, "COMPLETED")(1151.0)] == ["interrupted"]

    assert watched(folder, monkeypatch, "")(1160.0) == []
    ticket(folder, "harness-ffffffffffff")
    assert watched(folder, monkeypatch, "")(1300.0) == []


def test_patience_goes_by_the_clock_of_the_files_whatever_a_login_node_takes_for_now(tmp_path, monkeypatch):
    folder, end = tmp_path / "jobs" / "1", ("harness-0123456789ab", "COMPLETED")
    folder.mkdir(parents=True)
    stamp = tmp_path / "jobs" / silence.SILENT / "1"

    for clock in (1e9, 3e9):
        monkeypatch.setattr(time, "time", lambda now=clock: now)
        assert not silence.is_over(folder, end)
    for age, over in ((69, False), (71, True), (-1000, False)):
        since = (stamp.parent / silence.NOW).stat().st_mtime - age
        os.utime(stamp, (since, since))
        assert silence.is_over(folder, end) == over
    assert stamp.stat().st_mtime < since, "a time to come is none"


@pytest.mark.parametrize("code", [errno.ESTALE, errno.EIO, errno.ENOTDIR])
def test_a_file_system_that_stutters_while_a_job_runs_ends_no_session(tmp_path, monkeypatch, code):
    folder = tmp_path / "jobs" / "1"
    ticket(folder)
    told = watched(folder, monkeypatch, "RUNNING")

    def unlink(path: Path, missing_ok: bool = False) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Path, "unlink", unlink)
    assert told(1000.0) == []


def test_since_when_a_job_is_silent_is_written_through_no_link(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    ticket(tmp_path / "jobs" / "1")
    (tmp_path / "jobs" / silence.SILENT).symlink_to(tmp_path / "elsewhere")

    assert [e.ending for e in watched(tmp_path / "jobs" / "1", monkeypatch, "COMPLETED")(1000.0)] == ["interrupted"]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_accounting_is_read_in_all_its_spellings(monkeypatch):
    rows = "a|7_[0-2,5]|PENDING\na|7_3|CANCELLED by 1000\na|7_4|COMPLETED\nb|8_0|FAILED\na|7_4.batch|FAILED\n"
    monkeypatch.setattr(executor.cluster, "_said", lambda line: rows)

    states = executor.cluster.accounted({"a"}, "2026-01-01")

    assert {key[1]: state for key, state in states.items()} == {
        **dict.fromkeys((0, 1, 2, 5), "PENDING"), 3: "CANCELLED", 4: "COMPLETED",
    }  # fmt: skip


def test_parts_of_a_gpu_are_left_to_slurm():
    with pytest.raises(UsageError, match="slurm_gres=shard:1"):
        create(ExecutorOptions(gpu_share=0.5))


@pytest.mark.parametrize(
    ("said", "id"),
    [
        ("101\n", "101"),
        ("101;hpc\n", "101"),
        ("Welcome!\nJobs of group lab: 3\n101;hpc\n", "101"),
        ("thank you\n", ""),
        ("", ""),
        ("1" * 5000, ""),
    ],
)
def test_what_sbatch_prints_beside_the_id_ends_nobody(tmp_path, monkeypatch, said, id):
    monkeypatch.setattr(executor.cluster, "_said", lambda line: said)
    (tmp_path / "1").mkdir()
    detaching = create(ExecutorOptions())
    detaching.start(job(tmp_path / "1"))

    assert detaching.detach() == (f"SLURM's job {id}; give up with `scancel {id}`" if id else "")
    assert tickets.ticket_in(tmp_path / "1") is not None


@pytest.mark.parametrize("id", ["1" * 5000, "²", "101\n", "-1", "", 101, None, ["101"]], ids=lambda id: str(id)[:9])
def test_an_id_of_a_stranger_that_sbatch_could_not_have_given_is_none(tmp_path, id):
    ticket(tmp_path / "1")
    (tmp_path / executor.SCRIPTS).mkdir()
    (tmp_path / executor.SCRIPTS / "harness-0123456789ab.json").write_text(json.dumps({"id": id}))
    watching = create(ExecutorOptions())

    watching.reattach(job(tmp_path / "1"))

    assert watching.names() == {}
    assert watching.detach() == ""


def test_a_cluster_without_a_gpu_lacks_one(cluster):
    cluster()

    assert create(ExecutorOptions()).lacks("cuda") == "no GPU in this cluster"
    assert create(ExecutorOptions()).lacks("cpu") == ""
