import re
from dataclasses import replace
from functools import partial
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

import harness
from harness.builtin import harness_figures
from harness.reporting import figures_environment, figures_games, figures_overview
from harness.reporting.figure_style import DASHES, INK, SERIES, THEME, style, styles_of
from harness.reporting.svg import inline_svg, standalone_svg
from support.games import several
from support.results import CARTPOLE, ENVIRONMENTS, Run, realistic_suite, write_run, write_runs

OVERVIEW = [
    figures_overview.side_by_side,
    figures_overview.aggregates,
    figures_overview.profiles,
    figures_overview.improvement,
    figures_overview.overall_curves,
    figures_overview.trade_off,
]
OF_ENVIRONMENT = [figures_environment.learning_curves, figures_environment.every_run]
POOLED = [OVERVIEW[1], OVERVIEW[2], OVERVIEW[4]]
TWO = (CARTPOLE, ENVIRONMENTS[0])


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return harness.load(write_runs(tmp_path_factory.mktemp("suite"), realistic_suite(seeds=4)))


def drawn(function, results, *environment):
    with style():
        return function(results, *environment)


def curves(results, environment="cartpole"):
    return drawn(figures_environment.learning_curves, results, environment)


def every_run(results, environment="cartpole"):
    return drawn(figures_environment.every_run, results, environment)


def texts(figure):
    return {text.get_text() for text in figure.findobj(matplotlib.text.Text)}


def panel(figure, title):
    (axis,) = (axis for axis in figure.axes if axis.get_title(loc="left") == title)
    return axis


def test_every_declared_figure_exists():
    declared = {(spec.target, spec.per_environment) for spec in harness_figures()}
    overview = {(f"harness.reporting.figures_overview:{function.__name__}", False) for function in OVERVIEW}
    assert declared == overview | {("harness.reporting.figures_games:ratings", False)} | {
        (f"harness.reporting.figures_environment:{function.__name__}", True) for function in OF_ENVIRONMENT
    }


@pytest.mark.parametrize("function", OVERVIEW[1:])
def test_a_suite_is_drawn(function, results):
    assert isinstance(drawn(function, results), Figure)


@pytest.mark.parametrize("function", OVERVIEW)
def test_without_a_done_run_there_is_nothing_to_draw(function, tmp_path):
    write_run(tmp_path, Run(status="skipped", error="no device", scores=()))
    assert drawn(function, harness.load(tmp_path)) is None


@pytest.mark.parametrize("function", OVERVIEW)
def test_without_any_run_there_is_nothing_to_draw(function, tmp_path):
    assert drawn(function, harness.load(tmp_path)) is None


@pytest.mark.parametrize("function", OF_ENVIRONMENT)
def test_without_a_done_run_on_an_environment_there_is_nothing_to_draw_of_it(function, tmp_path):
    write_run(tmp_path, Run(status="skipped", error="no device", scores=()))
    assert drawn(function, harness.load(tmp_path), "cartpole") is None


@pytest.mark.parametrize("function", OF_ENVIRONMENT)
def test_a_single_run_is_drawn(function, tmp_path):
    write_run(tmp_path, Run())
    assert isinstance(drawn(function, harness.load(tmp_path), "cartpole"), Figure)


@pytest.mark.parametrize("function", POOLED)
def test_a_single_environment_is_not_pooled(function, tmp_path):
    results = harness.load(write_runs(tmp_path, [Run(seed=seed) for seed in range(3)]))
    assert len(results.aggregates())
    assert drawn(function, results) is None


def test_up_to_four_environments_stand_side_by_side(results, tmp_path):
    few = [run for run in realistic_suite(seeds=2) if run.environment in ENVIRONMENTS[:4]]
    figure = drawn(figures_overview.side_by_side, harness.load(write_runs(tmp_path, few)))

    assert [axis.get_title(loc="left") for axis in figure.axes] == sorted(e.name for e in ENVIRONMENTS[:4])
    assert drawn(figures_overview.side_by_side, results) is None  # of six


def test_every_statistic_is_drawn_with_its_interval(results):
    figure = drawn(figures_overview.aggregates, results)
    table = results.aggregates()
    for axis, statistic in zip(figure.axes, ("iqm", "mean", "median", "optimality_gap"), strict=True):
        rows = table[table["statistic"] == statistic]
        bars = [line.get_xdata() for line in axis.lines if len(line.get_xdata()) == 2]
        np.testing.assert_array_equal(bars, rows[["low", "high"]])
    assert "n = 20" in texts(figure)


def test_the_matrix_of_improvement_writes_every_pair_and_marks_the_sure_ones(results):
    (axis,) = drawn(figures_overview.improvement, results).axes
    table = results.improvement()
    assert len([patch for patch in axis.patches if isinstance(patch, Rectangle)]) == len(table) == 20
    bold = [text for text in axis.texts if text.get_weight() == "bold"]
    many = table[["n_runs", "than_n_runs"]].min(axis=1) > 5
    sure = (many | (table["low"] < table["high"])) & ((table["low"] > 0.5) | (table["high"] < 0.5))
    assert len(bold) == sure.sum()
    assert "n = 4 runs of a side on an environment, 5 to 6 environments" in axis.get_xlabel()


def test_the_frontier_passes_those_that_nobody_beats(tmp_path):
    """Fast and poor, slow and good, slow and poor: the last is beaten."""
    contestants = [("a/fast", 2.0, 200.0), ("a/good", 4.0, 400.0), ("a/beaten", 4.5, 300.0)]
    runs = [
        Run(name, environment, seed, scores=(environment.random, score), seconds=seconds)
        for name, seconds, score in contestants
        for environment in (CARTPOLE, replace(CARTPOLE, name="again"))
        for seed in range(3)
    ]
    seconds = drawn(figures_overview.trade_off, harness.load(write_runs(tmp_path, runs))).axes[-1]
    (frontier,) = (line for line in seconds.lines if line.get_drawstyle() == "steps-post")
    assert list(frontier.get_xdata()) == pytest.approx([2.0, 4.0])


def test_legends_tell_the_number_of_runs_and_what_a_band_is(results):
    for figure in (drawn(figures_overview.overall_curves, results), curves(results, "mountain-car")):
        labels = {text.get_text() for text in figure.legends[0].get_texts()}
        assert {"sarsa (n = 4)", "95 % band of any one point", "of the whole line"} <= labels
    assert "sb3/dqn (n = 3)" in labels


def test_the_lighter_band_is_the_simultaneous_one(tmp_path):
    runs = [Run(seed=seed, scores=(20.0, 30.0 + 9 * seed, 90.0 - 5 * seed)) for seed in range(6)]
    results = harness.load(write_runs(tmp_path, runs))
    axis = curves(results).axes[0]
    lighter, darker = sorted(
        (band for band in axis.collections if isinstance(band, PolyCollection)), key=lambda b: b.get_alpha()
    )
    table = results.curves()
    for band, prefix in ((lighter, "simultaneous_"), (darker, "")):
        heights = band.get_paths()[0].vertices[:, 1]
        ends = table[f"{prefix}low"].min(), table[f"{prefix}high"].max()
        assert (heights.min(), heights.max()) == pytest.approx(ends)


def test_the_interval_of_seconds_is_of_all_seconds_of_a_run(tmp_path):
    runs = [Run(seed=seed, seconds=10.0 + seed) for seed in range(4)]
    results = harness.load(write_runs(tmp_path, runs))
    (interval,) = (
        lines for lines in panel(every_run(results), "where the time went").collections if len(lines.get_paths())
    )
    row = results.wall_clock().iloc[0]
    drawn = interval.get_segments()[0][:, 0]
    assert tuple(drawn) == pytest.approx((row["run_seconds_low"], row["run_seconds_high"]))


def test_seconds_below_one_are_no_thousands_of_anything(tmp_path):
    runs = [Run(seed=seed, seconds=2.0) for seed in range(3)]
    seconds = curves(harness.load(write_runs(tmp_path, runs))).axes[1]
    assert seconds.xaxis.get_major_formatter()(0.5) == "0.5"


def test_every_run_has_a_mark_among_the_final_scores(results):
    axis = panel(every_run(results), "final score")
    marks = np.concatenate([line.get_xdata() for line in axis.lines if line.get_marker() not in ("|", "None")])
    points = results.points[results.points["environment"] == "cartpole"]
    np.testing.assert_allclose(np.sort(marks), np.sort(points.groupby("key")["score"].last()))


def test_final_scores_are_seen_apart_though_an_interval_reaches_far_beyond_them(tmp_path):
    runs = [Run(seed=seed, scores=(20.0, 490.0, 490.0 + seed)) for seed in range(4)]
    results = harness.load(write_runs(tmp_path, runs))
    assert results.scores()["low"].item() < 300
    axis = panel(every_run(results), "final score")
    assert axis.get_xlim() == pytest.approx((489.7, 493.3))


def test_counts_beside_the_final_scores_include_runs_that_failed(results):
    axis = panel(every_run(results, "mountain-car"), "final score")
    assert "3/4" in {text.get_text() for text in axis.texts}


def test_runs_that_never_arrive_are_hollow_marks_at_the_budget(tmp_path):
    runs = [Run(seed=0, scores=(0, 500, 500)), Run(seed=1, scores=(0, 0, 0)), Run(seed=2, status="crashed")]
    axis = panel(every_run(harness.load(write_runs(tmp_path, runs))), "steps to the threshold")
    hollow = [line for line in axis.lines if line.get_markerfacecolor() == "none"]
    assert [list(line.get_xdata()) for line in hollow] == [[CARTPOLE.budget, CARTPOLE.budget]]
    assert "1/3" in {text.get_text() for text in axis.texts}


def test_without_a_threshold_there_is_no_plot_of_steps_to_it(results):
    titles = [axis.get_title(loc="left") for axis in every_run(results, "pendulum").axes]
    assert titles == ["final score", "where the time went"]


def test_a_contestant_looks_the_same_in_every_figure(results):
    """q_learning has no run on the pendulum, so others move up a line there, but keep their colours."""
    colors = [
        {text: handle.get_color() for text, handle in zip(labels, legend.get_lines(), strict=False)}
        for figure in (curves(results), curves(results, "pendulum"), drawn(figures_overview.profiles, results))
        for legend in figure.legends
        for labels in [[text.get_text().partition(" (")[0] for text in legend.get_texts()]]
    ]
    assert len(colors[1]) == len(colors[0]) - 1
    assert all(colors[1][name] == colors[0][name] == colors[2][name] for name in colors[1])


def test_a_device_is_named_only_where_there_are_several(tmp_path):
    write_run(tmp_path, Run())
    assert "q_learning (n = 1)" in texts(curves(harness.load(tmp_path)))
    write_run(tmp_path, Run(changes={"device": "cuda"}))
    found = texts(curves(harness.load(tmp_path)))
    assert {"q_learning on cpu (n = 1)", "q_learning on cuda (n = 1)"} <= found


def test_seconds_are_logarithmic_only_where_speeds_differ_much(tmp_path):
    runs = [Run("a/x", seconds=2.0), Run("a/y", seconds=10.0)]
    even = curves(harness.load(write_runs(tmp_path / "a", runs)))
    uneven = curves(harness.load(write_runs(tmp_path / "b", [runs[0], replace(runs[1], seconds=100.0)])))
    assert [axis.get_xscale() for axis in even.axes] == ["linear", "linear"]
    assert [axis.get_xscale() for axis in uneven.axes] == ["linear", "log"]


def test_the_axis_of_returns_spans_the_runs_and_not_their_bands(tmp_path):
    runs = [Run(seed=seed, scores=(0, 100 * seed, 0)) for seed in range(3)]
    for axis in curves(harness.load(write_runs(tmp_path, runs))).axes:
        low, high = axis.get_ylim()
        assert -20 < low < 0
        assert 200 < high < 220


def test_a_return_far_below_all_others_is_told_instead_of_shown(tmp_path):
    scores = tuple(float(i) for i in range(40))
    runs = [Run(seed=0, scores=scores), Run(seed=1, scores=(-20_000.0, *scores[1:]))]
    for axis in curves(harness.load(write_runs(tmp_path, runs))).axes:
        assert axis.get_ylim()[0] > -10
        assert axis.get_xlabel().endswith("(lowest return −20,000, not shown)")


def test_long_names_are_wrapped_and_leave_the_plots_their_room(tmp_path):
    names = [f"a/x{i}[" + ", ".join(f"option_{j}={i}" for j in range(12)) + "]" for i in range(15)]
    runs = [
        Run(name, environment, scores=(0.0, 1.0), changes={"algorithm_id": name.partition("[")[0]})
        for name in names
        for environment in TWO
    ]
    results = harness.load(write_runs(tmp_path, runs))
    for function in [*OVERVIEW, *(partial(function, environment="cartpole") for function in OF_ENVIRONMENT)]:
        figure = drawn(function, results)
        with style():
            standalone_svg(figure)
        width, height = figure.get_size_inches()
        for box in (axis.get_position() for axis in figure.axes):
            assert box.width * width > 1.0
            assert box.height * height > 1.5
    shown = {text.replace("\n", " ") for text in texts(figure)}
    assert {name.removeprefix("a/") for name in names} <= shown


def test_no_two_of_32_contestants_look_alike():
    found = styles_of([str(i) for i in range(32)])
    assert len(set(found.values())) == 32
    assert {look.color for look in found.values()} == set(SERIES)
    assert {look.dash for look in found.values()} == set(DASHES)


def test_drawing_leaves_matplotlibs_settings_alone(results):
    before = dict(matplotlib.rcParams)
    curves(results)
    assert dict(matplotlib.rcParams) == before


def test_a_name_is_drawn_as_it_is_whatever_mathtext_makes_of_it(tmp_path):
    name = 'a/x[note="$\\\\frac{1}{0}$ <b>&amp;</b>"]'
    write_run(tmp_path, Run(name, changes={"algorithm_id": "a/x"}))
    with style():
        svg = standalone_svg(figures_environment.learning_curves(harness.load(tmp_path), "cartpole"))
    assert any(name.removeprefix("a/") in (text or "") for text in ElementTree.fromstring(svg).itertext())


# SVG


def example():
    with style():
        figure = Figure(figsize=(3, 2), layout="constrained")
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], "o", color=SERIES[0], label="x")
        axis.set_title("title")
        return standalone_svg(figure)


def test_two_pictures_share_no_id_and_every_reference_finds_its_own():
    ids = []
    for name in ("one", "two"):
        root = ElementTree.fromstring(inline_svg(example(), name, "A title"))
        here = {element.get("id") for element in root.iter()} - {None}
        for element in root.iter():
            target = element.get("{http://www.w3.org/1999/xlink}href")
            assert target is None or target[1:] in here
            clip = element.get("clip-path")
            assert clip is None or clip.removeprefix("url(#").removesuffix(")") in here
        ids.append(here)
    assert ids[0].isdisjoint(ids[1])


def test_colours_of_the_theme_become_variables_of_the_page():
    svg = inline_svg(example(), "one", "A title")
    assert f"var(--series-0, {SERIES[0]})" in svg
    assert f"var(--ink, {INK})" in svg


def test_a_picture_has_a_title_and_its_text_is_text():
    root = ElementTree.fromstring(inline_svg(example(), "one", "What <it> shows"))
    assert root.get("role") == "img"
    heading = next(iter(root))
    assert (heading.get("id"), heading.text) == (root.get("aria-labelledby"), "What <it> shows")
    assert "title" in set(root.itertext())


def test_lengths_are_written_to_a_hundredth_of_a_point_and_text_as_it_is():
    with style():
        figure = Figure(figsize=(3, 2), layout="constrained")
        figure.subplots().set_title("0.123456")
        svg = inline_svg(standalone_svg(figure), "one", "A title")
    root = ElementTree.fromstring(svg)
    assert "0.123456" in set(root.itertext())
    paths = "".join(element.get("d", "") for element in root.iter())
    assert "." in paths
    assert not re.search(r"\.\d{3}", paths)


def test_the_same_figure_gives_the_same_bytes():
    assert example() == example()


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [1, 2], ids=["light", "dark"])
def test_lines_and_text_stand_out_from_the_page(mode):
    """WCAG 2.2: 3 for graphics, 4.5 for text."""
    colors = {entry[0]: entry[mode] for entry in THEME}
    paper = colors.pop("paper")
    colors.pop("grid")
    for name, color in colors.items():
        assert contrast(color, paper) >= (4.5 if name in ("ink", "muted") else 3.0), name


@pytest.mark.filterwarnings("ignore:Glyph")  # which no font has
def test_a_name_that_no_xml_can_hold_is_shown_with_question_marks(tmp_path):
    names = ("algorithms/dqn", "algorithms/\x1b[31mred\x00\x7f\uffff")
    write_runs(tmp_path, [Run(name, seed=seed) for name in names for seed in range(3)])
    with style():
        svg = standalone_svg(figures_environment.learning_curves(harness.load(tmp_path), "cartpole"))
    assert "?[31mred???" in "".join(ElementTree.fromstring(inline_svg(svg, "name", "A title")).itertext())


# Games


def rated(tmp_path, *runs):
    return drawn(figures_games.ratings, harness.load(write_runs(tmp_path, runs)))


def test_without_games_there_are_no_ratings_to_draw(results):
    assert drawn(figures_games.ratings, results) is None


def test_a_game_has_a_plot_with_a_line_per_player_above_its_anchor(tmp_path):
    runs = several("random", "dqn", 3, 4, 3) + several("minimax", "dqn", 1, 1, 2)
    figure = rated(tmp_path, *runs, *several("mcts-50", "sac", 1, 2, 3, game="toy.hex_5"))
    first, second = panel(figure, "hex-5"), panel(figure, "tic-tac-toe")
    assert [label.get_text() for label in first.get_yticklabels()] == ["mcts-50", "sac"]
    assert [label.get_text() for label in second.get_yticklabels()] == ["minimax", "dqn", "random"]
    assert [axis.get_xlabel() for axis in (first, second)] == ["Elo above mcts-50", "Elo above random"]


def test_an_interval_without_an_end_is_an_arrow_at_the_edge(tmp_path):
    (axis,) = rated(tmp_path, *several("random", "dqn", 5, 5, 5), *several("random", "sac", 0, 0, 0)).axes
    arrows = {line.get_marker(): line.get_xdata()[0] for line in axis.lines if line.get_marker() in "<>"}
    least, most = axis.get_xlim()
    inside = [(arrows[sign] - least) / (most - least) for sign in "<>"]
    assert inside == pytest.approx([0.035, 0.965], abs=0.005)


def test_a_rating_without_an_interval_is_a_mark_alone(tmp_path):
    (axis,) = rated(tmp_path, *several("random", "dqn", 3, 4)).axes
    lines = [line for line in axis.lines if len(line.get_xdata()) == 2]
    assert np.isnan([line.get_xdata() for line in lines]).all()
