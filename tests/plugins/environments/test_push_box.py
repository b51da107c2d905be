"""Push-box: its rules by hand, levels that a search solves, and its reference."""

import importlib.util

import gymnasium
import numpy as np
import pytest
import torch

import harness_environments
import harness_environments.push_box
from harness.conformance.arrays import require_same_mdp
from harness_environments.arrays import push_box
from support.paths import ROOT

SPECS = {spec.name: spec for spec in harness_environments.SPECS}
SPEC = SPECS["push-box"]
COUNTS = {"push-box": 2, "push-one-box": 1}  # boxes
UP, RIGHT, DOWN, LEFT = range(4)
EMPTY = """
#######
#     #
#     #
#     #
#     #
#     #
#######
"""


def loaded(name):
    location = importlib.util.spec_from_file_location(name, ROOT / "plugins" / "environments" / f"{name}.py")
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


reference = loaded("measure_push_box_reference")


def cells(board, signs):
    return frozenset(i for i, sign in enumerate("".join(board.split("\n"))) if sign in signs)


def at(board):
    """The environment in a state: `#` wall, `.` goal, `$` box, `*` box on a goal, `@` agent, `+` agent on a goal."""
    env = gymnasium.make(SPEC.id).unwrapped
    env.reset(seed=0)
    env.walls, env.goals, env.boxes = cells(board, "#"), cells(board, ".*+"), cells(board, "$*")
    (env.agent,) = cells(board, "@+")
    return env


def shown(obs):
    walls, goals, boxes, agent = obs.reshape(4, -1)
    signs = np.full(49, " ")
    for sign, where in zip("#.$@*+", (walls, goals, boxes, agent, goals & boxes, goals & agent), strict=True):
        signs[where] = sign
    return "\n" + "".join("".join(row) + "\n" for row in signs.reshape(7, 7))


def board(*rows):
    """Five rows of an inside."""
    return "\n#######\n" + "".join(f"#{row}#\n" for row in rows) + "#######\n"


CASES = [  # before, action, after, reward
    ((" @$ .", "     ", "  $ .", "     ", "     "), RIGHT, ("  @$.", "     ", "  $ .", "     ", "     "), -0.1),
    (("  @$.", "     ", "  $ .", "     ", "     "), RIGHT, ("   @*", "     ", "  $ .", "     ", "     "), 0.9),
    ((" @* .", "     ", "  $  ", "     ", "     "), RIGHT, ("  +$.", "     ", "  $  ", "     ", "     "), -1.1),
    (("@**  ", "     ", "     ", "     ", "     "), RIGHT, ("@**  ", "     ", "     ", "     ", "     "), 9.9),
    (("@$$ .", "     ", "    .", "     ", "     "), RIGHT, ("@$$ .", "     ", "    .", "     ", "     "), -0.1),
    (("@$#..", "  $  ", "     ", "     ", "     "), RIGHT, ("@$#..", "  $  ", "     ", "     ", "     "), -0.1),
    (("$    ", "@    ", "  $..", "     ", "     "), UP, ("$    ", "@    ", "  $..", "     ", "     "), -0.1),
    (("   @ ", "   $ ", "   . ", "   * ", "     "), DOWN, ("     ", "   @ ", "   * ", "   * ", "     "), 10.9),
    ((".$@$.", "     ", "     ", "     ", "     "), LEFT, ("*@ $.", "     ", "     ", "     ", "     "), 0.9),
]


@pytest.mark.parametrize(("before", "action", "after", "reward"), CASES)
def test_one_step_by_hand_in_both_forms(before, action, after, reward):
    env = at(board(*before))
    state = push_box.state_of(env)
    obs, given, terminated, _, _ = env.step(action)
    assert shown(obs) == board(*after)
    assert given == pytest.approx(reward)
    assert terminated == (reward > 9)
    successor, given, terminated = push_box.step(state, torch.tensor(action))
    assert shown(push_box.observe(successor).numpy()) == board(*after)
    assert float(given) == pytest.approx(reward)
    assert bool(terminated) == (reward > 9)


@pytest.mark.parametrize("name", COUNTS)
def test_both_forms_are_one_mdp(name):
    require_same_mdp(SPECS[name])


def test_a_box_pushed_to_a_wall_that_has_no_goal_is_lost():
    level = push_box.state_of(at(board(" . . ", "     ", " $@$ ", "     ", "     ")))
    assert reference.shortest(level.tolist()) == 10
    after, _, _ = push_box.step(level, torch.tensor(LEFT))
    assert reference.shortest(after.tolist()) is None


def test_the_search_counts_steps_of_solutions_known_by_hand():
    assert reference.shortest(push_box.state_of(at(board("@$ . ", "   * ", "     ", "     ", "     "))).tolist()) == 2
    assert reference.shortest(push_box.state_of(at(board(" @$. ", "     ", "     ", ".$   ", "     "))).tolist()) == 5


@pytest.fixture(scope="module", params=COUNTS)
def drawn(request):
    """Of which environment, and levels of it."""
    array = importlib.import_module(SPECS[request.param].array)
    return request.param, array.initial(torch.Generator().manual_seed(12), (1_000,))


def test_every_level_can_be_solved_and_has_no_box_on_a_goal(drawn):
    name, levels = drawn
    lengths = [reference.shortest(level) for level in levels.tolist()]
    assert None not in lengths
    assert min(lengths) >= 1
    assert not (levels[:, 1] & levels[:, 2]).any()
    best = 10 + COUNTS[name] - 0.1 * np.asarray(lengths)
    error = best.std() / len(best) ** 0.5
    assert abs(best.mean() - SPECS[name].reference_score.value) < 4 * error


def test_levels_have_two_walls_as_many_goals_as_boxes_and_an_agent_on_cells_apart(drawn):
    name, levels = drawn
    planes = push_box.observe(levels)
    assert (planes[:, :, 1:-1, 1:-1].sum((2, 3)) == torch.tensor([2, COUNTS[name], COUNTS[name], 1])).all()
    assert planes[:, 0].sum((1, 2)).eq(24 + 2).all()
    assert (planes[:, [0, 2, 3]].sum(1) <= 1).all()
    assert (planes[:, :2].sum(1) <= 1).all()


@pytest.mark.parametrize("name", COUNTS)
def test_both_forms_have_as_many_boxes(name):
    obs, _ = gymnasium.make(SPECS[name].id, **SPECS[name].kwargs).reset(seed=0)
    assert obs[2].sum() == COUNTS[name]


def test_a_seed_gives_its_levels_and_another_seed_others():
    def drawn(seed):
        env = gymnasium.make(SPEC.id)
        return [shown(env.reset(seed=seed if k == 0 else None)[0]) for k in range(80)]

    assert drawn(1) == drawn(1)
    assert len({*drawn(1), *drawn(2)}) > 155
