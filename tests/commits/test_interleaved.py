"""Looks are taken until one decides, on the seeds that were declared, and no further than allowed."""

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.commits import interleaved
from harness.commits.checkout import Code
from harness.commits.interleaved import Bounds, InterruptedSideError, declared_seeds, judge_learning
from harness.commits.question import Question
from harness.commits.side_process import SideError
from harness.contract.errors import ExitCode
from harness.verdicts.judgement import GateAnswer, Judgement
from support.results import Run, write_run
from support.verdicts import runs, suite, suite_text

ALL = Bounds()
Made = Callable[[Sequence[int]], list[Run]]


class Laboratory:
    """Both sides, whose runs are written instead of trained."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.calls: list[tuple[str, tuple[int, ...]]] = []
        self.told: list[str] = []
        (folder / "demo.toml").write_text(suite_text())
        monkeypatch.setattr(interleaved, "_run", self._run)

    def judge(self, base: Made, head: Made, limits: Bounds = ALL, seeds: int = 5) -> Judgement:
        self._made = {"base": base, "head": head}
        old, new = (Code(side * 10, side, Path(sys.executable), self.folder) for side in self._made)
        question = Question(self.folder / "demo.toml")
        return judge_learning(
            (old, question), (new, question), suite(seeds=seeds), self.folder / "cache", limits, self.told.append
        )

    def _run(self, side, code, question, seeds, place, jobs) -> None:
        self.calls.append((side, tuple(seeds)))
        for run in self._made[side](seeds):
            if not (place / "demo" / run.key).exists():
                write_run(place / "demo", run)


@pytest.fixture
def laboratory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    return Laboratory(tmp_path, monkeypatch)


def test_sides_that_are_the_same_pass_at_the_first_look(laboratory: Laboratory):
    found = laboratory.judge(lambda seeds: runs(seeds=seeds), lambda seeds: runs(seeds=seeds))
    assert found.outcome is GateAnswer.IDENTICAL
    assert laboratory.calls == [("base", (0, 1, 2)), ("head", (0, 1, 2))]


def test_a_drop_that_the_first_look_shows_ends_the_gate(laboratory: Laboratory):
    found = laboratory.judge(lambda seeds: runs(seeds=seeds), lambda seeds: runs(seeds=seeds, drop=0.4))
    assert found.outcome is GateAnswer.REGRESSED
    assert len(laboratory.calls) == 2


def noisy(seeds: Sequence[int]) -> list[Run]:
    return runs(seeds=seeds, noise=0.5)


def test_seeds_are_added_in_turn_up_to_the_last_look(laboratory: Laboratory):
    found = laboratory.judge(lambda seeds: runs(seeds=seeds), noisy)
    assert found.outcome is GateAnswer.INCONCLUSIVE
    assert [side for side, _ in laboratory.calls] == ["base", "head"] * 4
    assert [seeds for _, seeds in laboratory.calls[::2]] == [tuple(range(n)) for n in (3, 5, 8, 12)]


def test_a_regression_that_may_be_tolerable_is_looked_at_again(laboratory: Laboratory):
    small = {"drop": 0.03, "noise": 0.001}
    found = laboratory.judge(lambda seeds: runs(seeds=seeds), lambda seeds: runs(seeds=seeds, **small))
    assert found.outcome is GateAnswer.WITHIN_TOLERANCE
    assert [len(seeds) for _, seeds in laboratory.calls[::2]] == [3, 5, 8, 12]


def test_no_more_seeds_are_run_than_allowed(laboratory: Laboratory):
    found = laboratory.judge(lambda seeds: runs(seeds=seeds), noisy, Bounds(seeds=4))
    assert found.outcome is GateAnswer.INCONCLUSIVE
    assert [len(seeds) for _, seeds in laboratory.calls[::2]] == [3]
    assert laboratory.told[-1] == "no look at 5 seeds: 4 per side are all that --max-seeds allows"


def test_no_look_is_begun_that_would_end_too_late(laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch):
    moments = iter([0.0, 60.0, 120.0])  # begin; after the first look; after the second
    monkeypatch.setattr(interleaved, "monotonic", lambda: next(moments))
    laboratory.judge(lambda seeds: runs(seeds=seeds), noisy, Bounds(minutes=2.5))
    assert [len(seeds) for _, seeds in laboratory.calls[::2]] == [3, 5]


def test_a_base_with_more_seeds_from_an_earlier_gate_is_judged_on_the_shared_ones(laboratory: Laboratory):
    laboratory.judge(lambda seeds: runs(seeds=seeds), noisy)
    laboratory.calls.clear()
    found = laboratory.judge(lambda _: [], lambda _: [], Bounds(seeds=3))  # everything is stored already
    assert found.outcome is GateAnswer.INCONCLUSIVE
    assert found.seeds.base == list(range(12))


def failing(run: Run) -> Run:
    return replace(run, status="failed", error="why", scores=())


def test_runs_that_fail_on_the_head_alone_are_named_and_looked_at_to_the_end(laboratory: Laboratory):
    def now_and_then(seeds: Sequence[int]) -> list[Run]:
        made = runs(seeds=seeds)
        return [*made[:-1], failing(made[-1])]

    found = laboratory.judge(lambda seeds: runs(seeds=seeds), now_and_then)
    assert found.outcome is GateAnswer.INCONCLUSIVE
    assert "done on the base" in found.notes[0]
    assert len(laboratory.calls) == 8


def test_a_task_that_breaks_ends_the_gate_once_its_runs_are_enough(laboratory: Laboratory):
    def broken(seeds: Sequence[int]) -> list[Run]:
        return [failing(run) if run.environment.name == "cartpole" else run for run in runs(seeds=seeds)]

    found = laboratory.judge(lambda seeds: runs(seeds=seeds), broken)
    assert found.outcome is GateAnswer.REGRESSED
    assert [len(seeds) for _, seeds in laboratory.calls[::2]] == [3, 5]


@pytest.mark.parametrize(
    ("seeds", "number", "expected"), [((0, 1, 2, 3, 4), 3, (0, 1, 2)), ((7, 3), 5, (7, 3, 8, 9, 10)), ((0,), 2, (0, 1))]
)
def test_seeds_follow_the_suites_and_never_depend_on_results(seeds, number, expected):
    assert declared_seeds(seeds, number) == expected
    assert declared_seeds(seeds, number + 1)[:number] == expected


def test_a_question_is_a_command_line_and_has_a_name_of_its_own(tmp_path: Path):
    file = tmp_path / "demo.toml"
    file.write_text(suite_text())
    whole = Question(file)
    part = Question(file, ("algorithms/dqn",), ("cartpole",), ("cpu",), ("sb3",), ("algorithms",))
    words = part.arguments("run", (0, 7), tmp_path)
    assert words == [
        *("-p", "no:sb3", "run", str(file), "-a", "algorithms/dqn", "-e", "cartpole", "--device", "cpu"),
        *("--seeds", "0,7", "--out", str(tmp_path)),
    ]
    assert part.variables() == {"HARNESS_PLUGINS": "algorithms"}
    assert whole.variables() == {}
    names = {whole.name, part.name}
    file.write_text(suite_text(seeds=6))
    assert len({*names, whole.name}) == 3


def test_a_side_that_cannot_run_the_suite_says_so_with_its_own_exit_code(tmp_path: Path):
    code = Code("0" * 40, "base", Path(sys.executable), tmp_path)
    with pytest.raises(SideError, match="the base cannot run this suite") as caught:
        interleaved._run("base", code, Question(tmp_path / "missing.toml"), (0,), tmp_path, 1)
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(("ended", "raised"), [(130, InterruptedSideError), (-15, KeyboardInterrupt)])
def test_an_interruption_that_the_side_has_told_of_is_known_to_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: int, raised: type[BaseException]
):
    answers = iter([KeyboardInterrupt(), ended])

    def wait() -> int:
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    sent: list[str] = []
    process = SimpleNamespace(wait=wait, terminate=lambda: sent.append("SIGTERM"))
    monkeypatch.setattr(interleaved, "start", lambda *_, **__: nullcontext(process))
    code = Code("0" * 40, "base", Path(sys.executable), tmp_path)
    with pytest.raises(KeyboardInterrupt) as caught:
        interleaved._run("base", code, Question(tmp_path / "demo.toml"), (0,), tmp_path, 1)
    assert (caught.type, sent) == (raised, ["SIGTERM"])
