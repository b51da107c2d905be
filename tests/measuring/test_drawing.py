"""Drawings of one game of a run: which game, and that nothing else changes."""

from dataclasses import replace

import gymnasium
import pytest

from harness.measuring import environments, seeding
from harness.measuring.drawing import MOST_CHARACTERS, MOST_DRAWINGS
from support.measuring import LADDER, Ladder, act, train_lockstep, train_single, trained

GAME = "harness.conformance.toy_game"


class DrawnLadder(Ladder):
    """Draws what `act` sees; what it draws otherwise is told by ``way``."""

    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012

    def __init__(self, way: str = "", longest: int = 6, render_mode: str | None = None) -> None:
        if way == "cannot be made" and render_mode:
            raise RuntimeError("no")
        super().__init__(longest)
        self.way, self.render_mode = way, render_mode

    def render(self):
        if self.way == "raises" and self.time == 1:
            raise RuntimeError("no")
        text = f"{self.scale:g} at {self.time}"
        return {"endless": "x" * 10**6, "terminal": f"\x1b[31m{text}\x1b[0m\n\u202e!", "none": None}.get(self.way, text)


gymnasium.register("measuring/DrawnLadder-v0", DrawnLadder, max_episode_steps=500)
DRAWN = replace(LADDER, id="measuring/DrawnLadder-v0", imports=("test_drawing",), game=GAME)


def of(way="", **kwargs):
    return replace(DRAWN, kwargs={"way": way, **kwargs})


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(environments.importlib, "import_module", lambda name: None)


def by_hand(trial, run=0):
    """What the first episode of the last evaluation of a run looks like."""
    last = max(episode.evaluation for episode in trial.runs[run].evaluations)
    env = DrawnLadder(longest=6)
    obs, _ = env.reset(seed=seeding.integer(trial.seeds[run], seeding.EVALUATION, last, 0))
    drawings, over = [env.render()], False
    while not over:
        obs, _, terminated, truncated, _ = env.step(act(obs))
        drawings.append(env.render())
        over = terminated or truncated
    return drawings


def test_the_first_game_of_the_last_evaluation_is_drawn_position_by_position():
    trial = trained(train_single, of(), budget=40, points=3, episodes=25)
    assert trial.runs[0].drawings == by_hand(trial)
    assert len(trial.runs[0].drawings) > 2


def test_in_lockstep_every_run_has_its_own_drawings():
    trial = trained(train_lockstep(1), of(), seeds=(3, 4, 5), budget=40, episodes=3)
    assert [run.drawings for run in trial.runs] == [by_hand(trial, run) for run in range(3)]


@pytest.mark.parametrize("way", ["", "raises", "cannot be made", "endless"])
def test_whatever_is_drawn_every_return_is_that_of_an_environment_that_draws_nothing(way):
    plain = trained(train_single, budget=40, points=3, episodes=25)
    drawn = trained(train_single, of(way), budget=40, points=3, episodes=25)
    for name in ("episodes", "evaluations"):
        ours, theirs = (getattr(trial.runs[0], name) for trial in (drawn, plain))
        assert [each._replace(train_seconds=0) for each in ours] == [each._replace(train_seconds=0) for each in theirs]


@pytest.mark.parametrize("environment", [LADDER, replace(LADDER, game=GAME), replace(of(), game=None)])
def test_what_is_no_game_or_draws_no_text_is_not_drawn(environment):
    assert trained(train_single, environment, budget=10).runs[0].drawings == []


@pytest.mark.parametrize("way", ["raises", "cannot be made"])
def test_a_game_that_fails_to_draw_itself_has_no_drawings(way):
    assert trained(train_single, of(way), budget=10).runs[0].drawings == []


def test_drawings_are_bounded_in_number_and_size():
    trial = trained(train_single, of("endless", longest=400), budget=10, seeds=(1,))
    assert trial.runs[0].evaluations[-1].length > MOST_DRAWINGS
    assert [len(each) for each in trial.runs[0].drawings] == [MOST_CHARACTERS] * MOST_DRAWINGS


def test_a_drawing_leaves_the_terminal_alone():
    drawings = trained(train_single, of("terminal"), budget=10).runs[0].drawings
    assert drawings[0].endswith(" at 0[0m\n!")
    assert "\x1b" not in "".join(drawings)
