from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from support_results import CARTPOLE, Run, realistic_suite, write_run, write_runs

import harness
from harness.builtin import harness_figures
from harness.reporting import figures
from harness.reporting.figure_style import DASHES, INK, SERIES, THEME, looks, style
from harness.reporting.svg import inline_svg, standalone_svg

DRAWN = [figures.curves_over_steps, figures.curves_over_seconds, figures.final_scores, figures.wall_clock]
EVERY = [*DRAWN, figures.steps_to_threshold]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return harness.load(write_runs(tmp_path_factory.mktemp("suite"), realistic_suite(seeds=4)))


def drawn(function, results):
    with style():
        return function(results)


def texts(figure):
    return {text.get_text() for text in figure.findobj(matplotlib.text.Text)}


def test_every_declared_figure_exists():
    declared = {spec.target for spec in harness_figures()}
    assert declared == {f"harness.reporting.figures:{function.__name__}" for function in EVERY}


@pytest.mark.parametrize("function", EVERY)
def test_a_suite_is_drawn_with_a_plot_per_environment(function, results):
    figure = drawn(function, results)
    titles = {axis.get_title(loc="left") for axis in figure.axes}
    environments = set(results.runs["environment"])
    if function is figures.steps_to_threshold:
        environments.remove("pendulum")  # it has no threshold
    assert titles == environments


@pytest.mark.parametrize("function", EVERY)
def test_without_a_done_run_there_is_nothing_to_draw(function, tmp_path):
    write_run(tmp_path, Run(status="skipped", error="no device", scores=()))
    assert drawn(function, harness.load(tmp_path)) is None


@pytest.mark.parametrize("function", EVERY)
def test_without_any_run_there_is_nothing_to_draw(function, tmp_path):
    assert drawn(function, harness.load(tmp_path)) is None


@pytest.mark.parametrize("function", DRAWN)
def test_a_single_run_is_drawn(function, tmp_path):
    write_run(tmp_path, Run())
    assert isinstance(drawn(function, harness.load(tmp_path)), Figure)


def test_legends_of_curves_tell_the_number_of_runs(results):
    figure = drawn(figures.curves_over_steps, results)
    labels = {text.get_text() for text in figure.legends[0].get_texts()}
    assert "sarsa (n = 4)" in labels
    assert "sb3/dqn (n = 3 to 4)" in labels


def test_every_run_has_a_mark_among_the_final_scores(results):
    figure = drawn(figures.final_scores, results)
    (axis,) = (axis for axis in figure.axes if axis.get_title(loc="left") == "cartpole")
    marks = np.concatenate(
        [line.get_xdata() for line in axis.lines if line.get_marker() not in ("|", "None")]
    )
    points = results.points[results.points["environment"] == "cartpole"]
    np.testing.assert_allclose(np.sort(marks), np.sort(points.groupby("key")["score"].last()))


def test_counts_beside_the_final_scores_include_runs_that_failed(results):
    figure = drawn(figures.final_scores, results)
    (axis,) = (axis for axis in figure.axes if axis.get_title(loc="left") == "mountain-car")
    assert "3/4" in {text.get_text() for text in axis.texts}


def test_runs_that_never_arrive_are_hollow_marks_at_the_budget(tmp_path):
    runs = [Run(seed=0, scores=(0, 500, 500)), Run(seed=1, scores=(0, 0, 0)), Run(seed=2, status="crashed")]
    figure = drawn(figures.steps_to_threshold, harness.load(write_runs(tmp_path, runs)))
    hollow = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    assert [list(line.get_xdata()) for line in hollow] == [[CARTPOLE.budget, CARTPOLE.budget]]
    assert "1/3" in texts(figure)


def test_a_device_is_named_only_where_there_are_several(tmp_path):
    write_run(tmp_path, Run())
    assert "q_learning (n = 1)" in texts(drawn(figures.curves_over_steps, harness.load(tmp_path)))
    write_run(tmp_path, Run(changes={"device": "cuda"}))
    found = texts(drawn(figures.curves_over_steps, harness.load(tmp_path)))
    assert {"q_learning on cpu (n = 1)", "q_learning on cuda (n = 1)"} <= found


def test_seconds_are_logarithmic_only_where_speeds_differ_much(tmp_path):
    runs = [Run("a/x", seconds=2.0), Run("a/y", seconds=10.0)]
    even = drawn(figures.curves_over_seconds, harness.load(write_runs(tmp_path / "a", runs)))
    uneven = drawn(
        figures.curves_over_seconds,
        harness.load(write_runs(tmp_path / "b", [runs[0], replace(runs[1], seconds=100.0)])),
    )
    assert even.axes[0].get_xscale() == "linear"
    assert uneven.axes[0].get_xscale() == "log"


def test_the_axis_of_returns_spans_the_runs_and_not_their_bands(tmp_path):
    runs = [Run(seed=seed, scores=(0, 100 * seed, 0)) for seed in range(3)]
    low, high = drawn(figures.curves_over_steps, harness.load(write_runs(tmp_path, runs))).axes[0].get_ylim()
    assert -20 < low < 0
    assert 200 < high < 220


@pytest.mark.parametrize("function", [figures.curves_over_steps, figures.curves_over_seconds])
def test_a_return_far_below_all_others_is_told_instead_of_shown(function, tmp_path):
    scores = tuple(float(i) for i in range(40))
    runs = [Run(seed=0, scores=scores), Run(seed=1, scores=(-20_000.0, *scores[1:]))]
    axis = drawn(function, harness.load(write_runs(tmp_path, runs))).axes[0]
    assert axis.get_ylim()[0] > -10
    assert axis.get_xlabel().endswith("(lowest return −20,000, not shown)")


def test_long_names_are_wrapped_and_leave_the_plots_their_room(tmp_path):
    names = [f"a/x{i}[" + ", ".join(f"option_{j}={i}" for j in range(12)) + "]" for i in range(20)]
    write_runs(tmp_path, [Run(name, changes={"algorithm_id": name.partition("[")[0]}) for name in names])
    results = harness.load(tmp_path)
    for function in DRAWN:
        figure = drawn(function, results)
        with style():
            standalone_svg(figure)
        width, height = figure.get_size_inches()
        (box,) = (axis.get_position() for axis in figure.axes)
        assert box.width * width > 4
        assert box.height * height > 1.5
    shown = {text.replace("\n", " ") for text in texts(figure)}
    assert {name.removeprefix("a/") for name in names} <= shown


def test_no_two_of_32_contestants_look_alike():
    found = looks([str(i) for i in range(32)])
    assert len(set(found.values())) == 32
    assert {look.color for look in found.values()} == set(SERIES)
    assert {look.dash for look in found.values()} == set(DASHES)


def test_drawing_leaves_matplotlibs_settings_alone(results):
    before = dict(matplotlib.rcParams)
    drawn(figures.final_scores, results)
    assert dict(matplotlib.rcParams) == before


def test_a_name_is_drawn_as_it_is_whatever_mathtext_makes_of_it(tmp_path):
    name = 'a/x[note="$\\\\frac{1}{0}$ <b>&amp;</b>"]'
    write_run(tmp_path, Run(name, changes={"algorithm_id": "a/x"}))
    with style():
        svg = standalone_svg(figures.curves_over_steps(harness.load(tmp_path)))
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
