"""Sides take turns in blocks, a control can only doubt, and times of other machines decide nothing."""

import json
import sys
from itertools import pairwise
from math import inf, isfinite
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from harness.commands.cli import main
from harness.commits import speed, timed_side
from harness.commits.checkout import Code
from harness.commits.question import Question
from harness.commits.speed import SpeedAnswer, SpeedError, TimedTask, judge_speed, turns
from harness.contract.errors import ExitCode
from harness.reporting import speed_output
from harness.statistics.timing import Speed, Timing
from support.results import CARTPOLE, write_runs
from support.verdicts import runs, suite_text

SUITE = """
[suite]
name = "quick"
version = "1"
question = "Is it quick?"
environments = ["frozen-lake", "cartpole"]
algorithms = ["algorithms/q_learning"]
seeds = 2
[budget]
steps = 500
[evaluation]
points = 1
episodes = 1
"""


def here(folder: Path) -> Code:
    return Code("0" * 40, "here", Path(sys.executable), folder)


def question(folder: Path) -> Question:
    file = folder / "quick.toml"
    file.write_text(SUITE)
    return Question(file)


# Turns


def test_blocks_are_in_abba_order_and_no_side_is_favoured():
    order = list(turns(speed.BLOCKS))
    assert [speed.SIDES[side] for side in order[0]] == ["base", "control", "head"]
    assert all(after == before[::-1] for before, after in zip(order[::2], order[1::2], strict=True))
    for place in range(3):
        assert sorted(turn[place] for turn in order) == [0] * 4 + [1] * 4 + [2] * 4
    assert [next(turns(1, pair))[0] for pair in range(6)] == [0, 1, 2, 0, 1, 2]
    blocks = [side for turn in order for side in turn]
    follows_itself = [a for a, b in pairwise(blocks) if a == b]
    assert sorted(follows_itself) == [0, 0, 1, 1, 2, 2]


def test_a_pairs_time_is_of_all_blocks_so_that_a_rare_update_counts():
    """Three blocks of four hold no update; the head's updates take twice as long, and a median would not see it."""
    told = []

    def process(name: str, update: float) -> SimpleNamespace:
        blocks = iter([1.0, 1.0, 1.0, update] * speed.BLOCKS)

        def block() -> dict[str, float]:
            told.append(name)
            return {"steps": 10, "seconds": next(blocks)}

        return SimpleNamespace(ask=lambda **_: None, hear=lambda: {}, told=block)

    base, control, head = (process(*each) for each in (("A", 5.0), ("a", 5.0), ("B", 10.0)))
    seconds = speed._timed([base, control, head], TimedTask("x", 0, 10), 0)
    assert seconds[0] == seconds[1] == pytest.approx((9 + 3 * 5) / 120)
    assert seconds[2] == pytest.approx((9 + 3 * 10) / 120)
    assert "".join(told[:12]) == "AaBBaAaBAABa"


def test_the_same_code_is_timed_beside_itself_in_real_processes(tmp_path: Path):
    """One pair only, which is too few for a verdict; its numbers are what is looked at."""
    told: list[str] = []
    answer = judge_speed(here(tmp_path), here(tmp_path), question(tmp_path), pairs=5, minutes=1e-9, tell=told.append)
    assert answer.pairs == 1
    assert answer.verdict is Speed.INCONCLUSIVE
    (timing,) = answer.tasks.values()
    assert isfinite(timing.ratio)
    assert timing.high == inf  # one pair bounds nothing
    assert "algorithms/q_learning on cartpole" in answer.not_timed
    assert any("stopped after 1 of 5 pairs" in line for line in told)


def test_a_side_that_does_not_start_is_an_error_that_quotes_it(tmp_path: Path):
    (tmp_path / "bad.toml").write_text(SUITE.replace("q_learning", "no_such_thing"))
    with pytest.raises(SpeedError, match=r"the base cannot be timed: .*no_such_thing") as caught:
        judge_speed(here(tmp_path), here(tmp_path), Question(tmp_path / "bad.toml"))
    assert caught.value.exit_code == ExitCode.INCOMPLETE


OTHER = """#!{python}
# A harness of another layout: it shares nothing with this one but the lines that it reads and writes.
import json, sys
assert "harness" in sys.argv and "time-blocks" in sys.argv, sys.argv
tasks = {{"algorithms/q_learning on frozen-lake": {{"warm_up": 0, "why_not": ""}}}}
print(json.dumps({{"protocol": {protocol}, "tasks": tasks}}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["do"] == "calibrate":
        print(json.dumps({{"block": 100}}), flush=True)
    else:
        print(json.dumps({{"steps": 100, "seconds": 0.05}}), flush=True)
"""


def other(folder: Path, program: str) -> Code:
    """A side whose interpreter runs this program, whatever it is told to run."""
    python = folder / "other"
    python.write_text(program)
    python.chmod(0o755)
    return Code("1" * 40, "other", python, folder)


def test_a_base_of_another_layout_is_timed_by_its_own_command(tmp_path: Path):
    base = other(tmp_path, OTHER.format(python=sys.executable, protocol=1))

    answer = judge_speed(base, here(tmp_path), question(tmp_path), pairs=5, minutes=1e-9)

    (timing,) = answer.tasks.values()
    assert timing.control == 1
    assert timing.ratio < 1  # a step of frozen lake takes less than 500 microseconds


def test_a_base_that_measures_otherwise_is_not_compared(tmp_path: Path):
    base = other(tmp_path, OTHER.format(python=sys.executable, protocol=2))

    with pytest.raises(SpeedError, match="the base cannot be timed: it measures by protocol 2, the head by 1"):
        judge_speed(base, here(tmp_path), question(tmp_path))


def test_a_base_from_before_this_way_to_time_is_told_so(tmp_path: Path):
    base = other(tmp_path, "#!/bin/sh\necho \"Error: No command 'time-blocks'. There are run.\" >&2\nexit 2\n")

    with pytest.raises(SpeedError, match="its harness is older than this way to time it"):
        judge_speed(base, here(tmp_path), question(tmp_path))


# Blocks


def test_a_block_lasts_fifty_milliseconds_and_holds_whole_updates():
    even = [0.001] * 1024
    assert timed_side.block_length(even) in (50, 51)  # by rounding
    rare = ([0.0005] * 99 + [0.1]) * 20  # an update of 100 ms every 100 marks
    length = timed_side.block_length(rare)
    assert length is not None
    assert length >= 100
    assert timed_side.block_length(even[:64]) is None
    assert timed_side.block_length(rare[:512]) is None


def test_training_is_warm_once_every_setting_called_starts_has_passed():
    assert timed_side.warm_up({"learning_starts": 1_000, "policy_starts": 5_000, "batch_size": 9_999}) == 5_000
    assert timed_side.warm_up({"learning_rate": 0.1}) == 0


# What is said


def answer(verdict: Speed, control: float = 1.0) -> SpeedAnswer:
    timing = Timing(1.2, 1.15, 1.25, 0.016, control, verdict)
    return SpeedAnswer(
        verdict, {"algorithms/dqn on x": timing}, {"y": "observes"}, 6, 0.1, "a machine", ("a" * 40, "b" * 40)
    )


@pytest.mark.parametrize("verdict", Speed)
def test_every_format_says_the_verdict(verdict: Speed):
    found = answer(verdict)
    written = json.loads(json.dumps(speed_output.as_json(found)))
    assert written["outcome"] == verdict
    assert written["commits"]["head"] == "b" * 40
    assert f"## speed: {verdict}" in speed_output.markdown(found)
    cases = ElementTree.fromstring(speed_output.junit(found, inconclusive_fails=True))
    assert cases.get("tests") == "2"
    assert cases.get("failures") == ("0" if verdict is Speed.PASSED else "1")
    assert ElementTree.fromstring(speed_output.junit(found)).get("failures") == str(int(verdict is Speed.SLOWER))


def test_numbers_carry_their_n_and_bounds_and_a_noisy_machine_is_named():
    text = "\n".join(speed_output.sentences(answer(Speed.INCONCLUSIVE, control=1.2)))
    assert "6 pairs of processes" in text
    assert "too noisy to judge algorithms/dqn on x" in text
    (row, skipped) = speed_output.rows(answer(Speed.SLOWER))
    assert row[1:4] == ("+20.0%", "+15.0%", "+25.0%")
    assert skipped[-1] == "not timed (observes)"


# The command line


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options that name stored runs of two machines."""
    monkeypatch.chdir(tmp_path)
    Path("demo.toml").write_text(suite_text((CARTPOLE,), seeds=3))
    for name in ("one", "two"):
        write_runs(tmp_path / name, runs((CARTPOLE,), range(3), machine=f"machine {name}"))
    return ["gate", "demo.toml", "--base", "one", "--head", "two"]


def test_times_of_another_machine_are_refused_and_its_scores_are_not(
    sides: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main([*sides, "--speed"]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "on machine one, and on machine two" in said
    assert "--base-ref" in said
    assert main(sides) == ExitCode.YES


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--base-ref", "main"], "leave out --base and --head"),
        (["--max-seeds", "3"], "--max-seeds needs --base-ref"),
        (["--out", "elsewhere"], "--out needs --base-ref"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    sides: list[str], options: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main([*sides, *options]) == ExitCode.USAGE
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say what is judged"),
        (["--base", "one"], "say what is judged"),
        (["--base-ref", "main", "--pairs", "6"], "--pairs is for --speed"),
        (["--base-ref", "no-branch", "--max-minutes", "nan"], "--max-minutes nan: write a number"),
        (["--base-ref", "main", "--speed", "--jobs", "1"], "--jobs is not for --speed"),
        (["--base-ref", "main", "--speed", "--alpha", "0.01"], "--alpha is not for --speed"),
        (["--base-ref", "main", "--speed", "--strict"], "--strict is not for --speed"),
    ],
)
def test_a_gate_says_what_it_needs(options: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main(["gate", "quickstart", *options]) == ExitCode.USAGE
    assert message in capsys.readouterr().err
