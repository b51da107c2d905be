from dataclasses import replace

import numpy as np
import pytest

import harness
from harness.analysis.ratings import COLUMNS, NO_OUTCOMES, NO_SCORE, TWICE
from support.games import GAMES, against, several
from support.results import Run, write_runs

OLD = {"streams": None}  # of seeds that share their luck among environments


def rated(tmp_path, runs):
    return harness.load(write_runs(tmp_path, runs)).ratings()


def by_player(table):
    assert table["player"].is_unique
    return table.set_index("player")


def elo(share):
    return 400 * np.log10(share / (1 - share))


def with_a_draw(won, games):
    return elo((won + 0.5) / (games + 1))


def test_results_without_games_have_no_ratings(tmp_path):
    table = rated(tmp_path, [Run(seed=seed) for seed in range(3)])
    assert table.empty
    assert list(table) == COLUMNS


def test_all_games_of_an_algorithms_runs_count_and_draws_are_half_won(tmp_path):
    runs = [against("random", "dqn", 3, 0, drawn=1), against("random", "dqn", 4, 1), against("random", "dqn", 4, 2)]
    table = by_player(rated(tmp_path, runs))
    assert table.loc["dqn", "rating"] == pytest.approx(with_a_draw(11.5, 15))
    assert table.loc["random", "rating"] == 0
    assert np.isnan(table.loc["random", ["low", "high"]].astype(float)).all()
    assert table.loc["dqn", ["opponents", "runs", "failed", "games"]].tolist() == [1, 3, 0, 15]
    assert table.loc["dqn", ["game", "anchor", "algorithm", "note"]].tolist() == ["tic-tac-toe", "random", "dqn", ""]


def test_of_one_opponent_and_equal_runs_the_interval_is_that_of_the_final_score(tmp_path):
    results = harness.load(write_runs(tmp_path, several("random", "dqn", 3, 3, 3, 3)))
    scores, row = results.scores().iloc[0], by_player(results.ratings()).loc["dqn"]
    ends = [with_a_draw(20 * (scores[end] + 1) / 2, 20) for end in ("low", "high")]
    assert scores["low"] < scores["mean"] < scores["high"]
    assert row[["low", "high"]].tolist() == pytest.approx(ends)


def test_who_won_everything_has_a_lower_end_only(tmp_path):
    row = by_player(rated(tmp_path, several("random", "dqn", 5, 5, 5, 5, 5))).loc["dqn"]
    assert row["rating"] == pytest.approx(with_a_draw(25, 25))
    assert row["low"] < row["rating"] - 100
    assert row["high"] == np.inf
    assert "higher" in row["note"]


def test_opponents_meet_through_an_algorithm_that_played_them(tmp_path):
    runs = several("random", "dqn", 4, 4, 4) + several("minimax", "dqn", 1, 1, 1)
    table = by_player(rated(tmp_path, runs))
    assert table.loc["minimax", "rating"] == pytest.approx(with_a_draw(12, 15) - with_a_draw(3, 15))
    assert table.loc["dqn", "opponents"] == 2
    assert list(table["rating"]) == sorted(table["rating"], reverse=True)


def test_two_algorithms_are_compared_through_what_both_played(tmp_path):
    """Each is worth what it scored, against opponents that the other met as well."""
    runs = several("random", "dqn", 3, 4, 3) + several("minimax", "dqn", 1, 1, 2)
    alone = by_player(rated(tmp_path / "alone", runs))
    more = by_player(rated(tmp_path / "more", runs + several("minimax", "sarsa", 3, 3, 4)))
    assert more.loc["dqn", "rating"] == pytest.approx(alone.loc["dqn", "rating"], abs=1e-4)
    beyond = with_a_draw(10, 15)
    assert more.loc["sarsa", "rating"] == pytest.approx(more.loc["minimax", "rating"] + beyond, abs=1e-4)


def test_players_that_nobody_links_are_rated_apart_and_each_group_has_its_anchor(tmp_path):
    table = rated(tmp_path, several("random", "dqn", 3, 4, 3) + several("minimax", "sarsa", 1, 1, 2))
    assert dict(zip(table["player"], table["anchor"], strict=True)) == {
        **dict.fromkeys(("dqn", "random"), "random"),
        **dict.fromkeys(("minimax", "sarsa"), "minimax"),
    }
    assert (table.set_index("player").loc[["random", "minimax"], "rating"] == 0).all()


def test_without_the_random_player_the_first_opponent_is_the_anchor(tmp_path):
    table = rated(tmp_path, several("minimax", "dqn", 1, 1, 2) + several("mcts-50", "dqn", 2, 1, 2))
    assert set(table["anchor"]) == {"mcts-50"}


def test_games_are_rated_apart_and_so_are_their_sizes(tmp_path):
    runs = several("random", "dqn", 3, 4, 3) + several("random", "dqn", 1, 2, 1, game="toy_games.rules.hex_5")
    sized = [replace(run, described=run.described | {"kwargs": {"opponent": "minimax", "size": 9}}) for run in runs[:3]]
    sized = [replace(run, environment=replace(run.environment, name="tic-tac-toe-9-minimax")) for run in sized]
    table = rated(tmp_path, runs + sized)
    assert sorted(table["game"].unique()) == [
        "hex-5",
        "toy_games.rules.tic_tac_toe #1",
        "toy_games.rules.tic_tac_toe #2",
    ]
    assert len(table) == 6


def test_two_runs_have_a_rating_without_an_interval(tmp_path):
    row = by_player(rated(tmp_path, several("random", "dqn", 3, 4))).loc["dqn"]
    assert row["rating"] > 0
    assert np.isnan(row[["low", "high"]].astype(float)).all()


def test_too_few_runs_take_intervals_from_those_alone_whose_rating_they_move(tmp_path):
    runs = several("random", "dqn", 3, 4, 3) + several("random", "sarsa", 2, 3)
    table = by_player(rated(tmp_path, runs + several("minimax", "sarsa", 1, 2, 1)))
    assert np.isfinite(table.loc["dqn", ["low", "high"]].astype(float)).all()
    assert np.isnan(table.loc[["sarsa", "minimax"], ["low", "high"]].astype(float)).all(axis=None)


def test_a_failed_run_counts_as_the_random_policy(tmp_path):
    runs = [*several("random", "dqn", 5, 5, 5), against("random", "dqn", 0, 3, status="failed", error="no", scores=())]
    row = by_player(rated(tmp_path, runs)).loc["dqn"]
    assert row["rating"] == pytest.approx(with_a_draw(15 + 5 * (1 - 0.9) / 2, 20))
    assert row[["runs", "failed", "games"]].tolist() == [4, 1, 20]


def test_without_a_random_score_a_failure_leaves_no_rating_and_the_others_theirs(tmp_path):
    unknown = replace(against("random", "dqn", 0).environment, random=None)
    runs = several("random", "dqn", 5, 5, 5, environment=unknown) + several("random", "sac", 2, environment=unknown)
    runs.append(against("random", "dqn", 0, 3, status="failed", error="no", scores=(), environment=unknown))
    table = by_player(rated(tmp_path, runs))
    assert np.isnan(table.loc["dqn", "rating"])
    assert table.loc["dqn", "note"] == NO_SCORE
    assert table.loc["sac", "rating"] == pytest.approx(with_a_draw(2, 5))


def test_returns_that_are_no_outcomes_are_not_rated(tmp_path):
    runs = [replace(run, told=(0.5,) * GAMES) for run in several("random", "dqn", 1, 2, 3)]
    table = rated(tmp_path, runs)
    assert table["player"].tolist() == ["dqn"]
    assert table["note"].tolist() == [NO_OUTCOMES]
    assert table["rating"].isna().all()


def test_a_seed_in_two_suites_is_no_sample_of_two(tmp_path):
    runs = several("random", "dqn", 1, 2, 3)
    assert rated(tmp_path, [*runs, replace(runs[0], suite="other")])["note"].tolist() == [TWICE]


def test_another_budget_makes_another_player(tmp_path):
    runs = several("random", "dqn", 1, 2, 3)
    larger = replace(runs[0].environment, budget=90_000)
    table = by_player(rated(tmp_path, runs + several("random", "dqn", 4, 4, 4, environment=larger)))
    assert set(table.index) == {"random", "dqn, 20,000 steps", "dqn, 90,000 steps"}
    assert table.loc["random", "opponents"] == 2


def test_an_algorithm_that_is_called_as_an_opponent_is_told_apart_from_it(tmp_path):
    table = by_player(rated(tmp_path, several("random", "random", 1, 2, 3) + several("minimax", "random", 0, 1, 1)))
    assert table["kind"].to_dict() == {"random": "algorithm", "random (opponent)": "opponent", "minimax": "opponent"}
    assert set(table["anchor"]) == {"random (opponent)"}


def test_presets_are_players_under_the_names_of_other_tables(tmp_path):
    runs = several("random", "dqn", 1, 2, 3) + several("random", "dqn:tutorial", 3, 2, 3)
    results = harness.load(write_runs(tmp_path, runs))
    assert {*results.ratings()["player"]} == {"random", *results.scores()["algorithm"]}


def test_neither_the_order_of_runs_nor_the_names_of_seeds_matter(tmp_path):
    runs = several("random", "dqn", 3, 1, 4, 2) + several("minimax", "dqn", 1, 2, 1)
    runs += several("minimax", "sac", 2, 3, 1)
    renamed = [replace(run, seed=run.seed + 10) for run in reversed(runs)]
    usual, other = rated(tmp_path / "usual", runs), rated(tmp_path / "other", renamed)
    assert other.drop(columns=["low", "high"]).equals(usual.drop(columns=["low", "high"]))
    finite = usual[["low", "high"]].to_numpy()
    assert other[["low", "high"]].to_numpy() == pytest.approx(finite, rel=0, abs=1e-6, nan_ok=True)


def test_seeds_that_share_luck_among_opponents_are_drawn_together(tmp_path):
    runs = several("random", "dqn", 1, 2, 3, 4) + several("minimax", "dqn", 1, 2, 3, 4)
    shared = [replace(run, changes=OLD) for run in runs]
    apart, together = (by_player(rated(tmp_path / name, of)) for name, of in (("apart", runs), ("together", shared)))
    assert together.loc["dqn", "rating"] == pytest.approx(apart.loc["dqn", "rating"])
    assert together.loc["minimax", "high"] > apart.loc["minimax", "high"]


def test_seeds_that_share_luck_only_in_part_leave_no_interval(tmp_path):
    runs = several("random", "dqn", 3, 2, 3, 4) + several("minimax", "dqn", 1, 2, 3)
    table = by_player(rated(tmp_path, [replace(run, changes=OLD) for run in runs]))
    assert table.loc["dqn", "rating"] > 0
    assert np.isnan(table.loc["dqn", ["low", "high"]].astype(float)).all()


@pytest.mark.parametrize(
    "described",
    [{"game": 3}, {"game": None}, {"kwargs": "?"}, {"kwargs": {"opponent": {"a": [1]}}}, {"id": None, "version": 3}],
)
def test_descriptions_of_strangers_are_not_trusted(tmp_path, described):
    runs = [replace(run, described=run.described | described) for run in several("random", "dqn", 1, 2, 3)]
    assert len(rated(tmp_path, runs)) in (0, 2)
