"""Records of what is in flight, damaged or forged: one line each, no defect, and nothing is lost or followed."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.commands import cli, collect, run
from harness.contract.errors import ExitCode, UsageError
from harness.contract.executor import Ended, Executor, Job
from harness.running.detached import leave_records
from harness.running.finishing import Flight
from harness.running.job_files import outcome_in
from harness.storage.store import DETACHED, Store
from support.hostile import HOSTILE, write_suite
from support.results import leave_results

RESULTS = Path("results/hostile")
RUNS = 3


class Afar:
    """An executor whose jobs have all ended by the time that somebody collects."""

    jobs = RUNS

    def __init__(self) -> None:
        self.started: list[Job] = []

    def lacks(self, device: str) -> str:
        return ""

    def has_room(self, device: str, cpus: int) -> bool:
        return True

    def start(self, job: Job) -> None:
        self.started.append(job)

    def reattach(self, job: Job) -> None:
        self.started.append(job)

    def preview(self, jobs: Sequence[Job]) -> str:
        return ""

    def names(self) -> dict[str, str]:
        return {}

    def detach(self) -> str:
        for job in self.started:
            if job.folder.is_dir() and not (job.folder / "outcome.json").exists():
                leave_results(job.folder)
        return "called by hand"

    def wait(self, seconds: float) -> list[Ended]:
        """Of one at a time, as it may."""
        ended = [job for job in self.started if (job.folder / "outcome.json").exists()][:1]
        self.started = [job for job in self.started if job not in ended]
        return [Ended(job.id, "ended", "", 1.0) for job in ended]

    def progress(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        self.started.clear()


@pytest.fixture(scope="module")
def in_flight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which three runs were detached, and have ended."""
    place = tmp_path_factory.mktemp("detached")
    with pytest.MonkeyPatch.context() as patch:
        installed(patch, place)
        suite = write_suite(place, ["steady"], ["short"], seeds=RUNS, steps=20)
        assert cli.main(["run", suite, "--detach"]) == ExitCode.YES
    return place / RESULTS


def installed(patch: pytest.MonkeyPatch, place: Path) -> None:
    """The hostile plugin, and `Afar` as every executor that there is."""

    def where(given: Any, options: dict[str, Any], *more: Any) -> Executor:
        name = options.pop("executor", "afar")
        options.pop("settings", None)
        if name not in ("afar", "local"):
            raise UsageError(f"no plugin provides executor {name!r}")
        return Afar()

    patch.chdir(place)
    patch.syspath_prepend(str(HOSTILE))
    patch.setenv("HARNESS_PLUGINS", "hostile")
    for module in (run, collect):
        patch.setattr(module, "where_to_run", where)


@pytest.fixture
def place(in_flight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of that, which is the folder of results here."""
    installed(monkeypatch, tmp_path)
    shutil.copytree(in_flight, tmp_path / RESULTS)
    return RESULTS / DETACHED


def records(place: Path) -> list[Path]:
    return sorted(path for path in place.glob("*.json") if path.is_file())


def collected(capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """The exit code of a collection, and its lines."""
    capsys.readouterr()
    code = cli.main(["collect", str(RESULTS)])
    told = capsys.readouterr()
    return code, (told.out + told.err).splitlines()


def statuses() -> dict[str, int]:
    return dict(harness.load(RESULTS).runs["status"].value_counts())


def deep(levels: int) -> Any:
    nested: Any = 0
    for _ in range(levels):
        nested = [nested]
    return nested


def with_field(**fields: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda told: {**told, **fields}


def with_column(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda told: {**told, "row": {**told["row"], name: value}}


def without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda told: {key: value for key, value in told.items() if key != name}


NONSENSE = {
    "nothing": lambda told: None,
    "a list": lambda told: [told],
    "a number": lambda told: 10**300,
    **{f"no {name}": without(name) for name in ("executor", "trial", "job", "row", "facts")},
    **{
        f"{name} {value!r:.20}": with_field(**{name: value})
        for name in ("executor", "trial", "job", "row", "facts")
        for value in (None, 7, [], "x" * 2_000 if name != "row" else "x")
    },
    **{
        f"job {job!r:.30}": with_field(job=job)
        for job in (
            "../../000001",
            "/etc/000001",
            "0" * 32 + "/../000001",
            "0" * 32 + "/000001\n",
            "0" * 32 + "/\u0661\u0662\u0663\u0664\u0665\u0666",
            "$(touch pwned)/000001",
            "0" * 32 + "/000001; touch pwned",
            "0" * 32 + "/" + "1" * 900,
        )
    },
    **{
        f"{name} {value!r:.30}": with_column(name, value)
        for name, values in {
            "key": (None, 7, [], {}, "../../x", "0" * 20),
            "budget": (10**30, -1, float("inf"), float("nan"), "7", True, None),
            "seed": (10**30, -1, 0.5),
            "threads": (10**30, []),
            "device": (None, {}),
            "started_at": (None, 7, {}),
            "random_score": (10**300, float("inf"), "x"),
        }.items()
        for value in values
    },
    "facts with NaN": with_field(facts={"a": float("nan")}),
    "facts without end": with_field(facts={"a": deep(900)}),
}


def told_of(lines: list[str], path: Path) -> None:
    """One line names a record, with what to do."""
    (line,) = (line for line in lines if str(path) in line)
    assert line.startswith(f"harness: {path}: not the record of a detached run: ") and line.endswith("; remove it")
    assert len(line) < 500 and line.isprintable()


def test_each_record_that_is_none_is_named_and_keeps_nobody_from_the_others(place: Path, capsys):
    sound = json.loads(records(place)[0].read_bytes())
    forged = []
    for number, damage in enumerate(NONSENSE.values()):
        key = f"{number:020x}"
        forged.append(place / f"{key}.json")
        forged[-1].write_text(json.dumps(damage({**sound, "row": {**sound["row"], "key": key}})))

    code, lines = collected(capsys)

    assert code == ExitCode.INCOMPLETE
    for path in forged:
        told_of(lines, path)
    assert len(lines) == RUNS + len(forged) + 1
    assert statuses() == {"done": RUNS}
    assert not Path("pwned").exists()


def assert_only_it_is_named(path: Path, code: int, lines: list[str]) -> None:
    """The others were stored, and the one in question is named."""
    assert code == ExitCode.INCOMPLETE, lines
    told_of(lines, path)
    assert len(lines) == RUNS - 1 + 2
    assert statuses() == {"done": RUNS - 1}


BYTES = {
    "empty": lambda whole: b"",
    "ten bytes": lambda whole: whole[:10],
    "half": lambda whole: whole[: len(whole) // 2],
    "all but one": lambda whole: whole[:-1],
    "no text": lambda whole: b"\xff\xfe" + whole,
    "nested": lambda whole: b"[" * 100_000,
    "a long number": lambda whole: b"1" * 100_000,
    "large": lambda whole: whole + b" " * 2**24,
}


@pytest.mark.parametrize("name", BYTES)
def test_a_damaged_record_of_the_last_run_of_a_session_loses_nothing(place: Path, capsys, name: str):
    """Even where no other record names the folder of its job."""
    path = records(place)[0]
    whole = path.read_bytes()
    path.write_bytes(BYTES[name](whole))

    assert_only_it_is_named(path, *collected(capsys))
    assert collected(capsys)[0] == ExitCode.INCOMPLETE
    path.write_bytes(whole)
    assert collected(capsys)[0] == ExitCode.YES
    assert statuses() == {"done": RUNS}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"status', "outcome.json: not JSON"),
        (b"\xff", "outcome.json: not JSON"),
        (b"[]", "outcome.json: Input should be an object"),
        (b'{"runs": [{"key": 7}]}', "outcome.json: runs.0.key: Input should be a valid string"),
    ],
)
def test_what_is_wrong_with_an_outcome_is_one_line_of_ours(tmp_path: Path, content: bytes, said: str):
    (tmp_path / "outcome.json").write_bytes(content)

    assert outcome_in(tmp_path).error == said


def test_what_is_wrong_with_a_record_is_its_key(place: Path, capsys):
    path = records(place)[0]
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "facts": 7}))

    (line,) = (line for line in collected(capsys)[1] if str(path) in line)

    assert "not the record of a detached run: facts: Input should be a valid dictionary; remove it" in line


def test_whoever_runs_is_told_of_a_damaged_record_as_whoever_collects_is(place: Path, capsys):
    """Which holds its key, and which no collection stores."""
    suite = write_suite(Path(), ["steady"], ["short"], seeds=RUNS, steps=20)
    path = records(place)[0]
    path.write_text("{")
    capsys.readouterr()

    assert cli.main(["run", suite, "--detach"]) == ExitCode.YES

    lines = capsys.readouterr().err.splitlines()
    told_of(lines, path)
    assert sum(f"{RUNS - 1} runs are in flight" in line for line in lines) == 1


def as_link(path: Path) -> None:
    path.rename("elsewhere")
    path.symlink_to(Path("elsewhere").resolve())


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def as_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize("change", [as_link, as_dangling_link, as_folder, as_fifo])
def test_what_is_no_file_is_no_record_and_is_neither_followed_nor_waited_for(place: Path, capsys, change):
    path = records(place)[1]
    whole = path.read_bytes()
    change(path)

    assert_only_it_is_named(path, *collected(capsys))
    assert not Path("elsewhere").exists() or Path("elsewhere").read_bytes() == whole
    path.rmdir() if path.is_dir() else path.unlink()
    path.write_bytes(whole)
    assert collected(capsys)[0] == ExitCode.YES
    assert statuses() == {"done": RUNS}


def test_a_job_or_a_session_whose_folder_is_a_link_is_not_followed(place: Path, capsys):
    (batch,) = (path for path in place.iterdir() if path.is_dir())
    path = records(place)[0]
    job = place / json.loads(path.read_bytes())["job"]
    job.rename("elsewhere")
    job.symlink_to(Path("elsewhere").resolve())

    assert_only_it_is_named(path, *collected(capsys))
    job.unlink()
    Path("elsewhere").rename(job)
    batch.rename("elsewhere")
    batch.symlink_to(Path("elsewhere").resolve())
    code, lines = collected(capsys)
    assert code == ExitCode.INCOMPLETE and sum("is a link" in line for line in lines) == 1
    assert Path("elsewhere").is_dir()


@pytest.mark.parametrize("executor", ["nosuch", "a b; touch pwned", "\x1b[31m", ""])
def test_an_executor_that_there_is_not_is_told_once_and_keeps_nobody_from_the_others(place: Path, capsys, executor):
    path = records(place)[1]
    whole = path.read_bytes()
    path.write_text(json.dumps({**json.loads(whole), "executor": executor}))

    code, lines = collected(capsys)

    assert code == ExitCode.USAGE
    assert lines[-1] == f"harness: no plugin provides executor {executor!r}"
    assert all(line.isprintable() for line in lines)
    assert statuses() == {"done": RUNS - 1}
    path.write_bytes(whole)
    assert collected(capsys)[0] == ExitCode.YES
    assert statuses() == {"done": RUNS}


def test_an_executor_whose_jobs_end_with_it_is_told_and_closed(place: Path, capsys, monkeypatch):
    closed: list[bool] = []

    class Near:
        """No `reattach`."""

        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr(collect, "where_to_run", lambda *given: Near())

    code, lines = collected(capsys)

    assert code == ExitCode.USAGE and closed == [True]
    assert lines[-1].endswith("the executor 'local' that has runs of it in flight cannot be asked for them")


def test_records_of_others_do_not_tell_what_a_terminal_does(place: Path, capsys):
    path = records(place)[0]
    told = json.loads(path.read_bytes())
    facts = {**told["facts"], "note": "\ud800 \x1b[2J"}
    path.write_text(json.dumps({**told, "trial": "\x1b[2J\n $(touch pwned)", "facts": facts}))

    code, lines = collected(capsys)

    assert code == ExitCode.YES
    assert all("\x1b" not in line for line in lines)
    assert statuses() == {"done": RUNS}
    assert not Path("pwned").exists()


@pytest.mark.parametrize("kind", ["file", "fifo", "link"])
def test_detaching_where_the_place_of_records_is_something_else_is_one_line(place: Path, capsys, kind: str):
    shutil.rmtree(place)
    {"file": place.touch, "fifo": lambda: os.mkfifo(place), "link": lambda: place.symlink_to("..")}[kind]()
    suite = write_suite(Path(), ["steady"], ["short"], seeds=RUNS, steps=20)

    assert cli.main(["run", suite, "--detach"]) in (ExitCode.USAGE, ExitCode.INCOMPLETE)
    assert str(place) in capsys.readouterr().err.splitlines()[-1]
    assert collected(capsys)[0] in (ExitCode.USAGE, ExitCode.INCOMPLETE)


def test_a_trial_with_a_long_name_can_be_collected(place: Path, capsys):
    told = json.loads(records(place)[0].read_bytes())
    flight = Flight("x" * 2_000, place / told["job"], (told["row"],), told["facts"], [])
    leave_records(Store(RESULTS), "local", flight)

    assert collected(capsys)[0] == ExitCode.YES
    assert statuses() == {"done": RUNS}
