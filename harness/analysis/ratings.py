"""Ratings of players of games: algorithms and the fixed opponents they played, on one scale for each game.

Environments of one game, whose arguments differ in nothing but ``opponent``, form a panel. Opponents meet each other
through the algorithms that play several of them. An algorithm counts as one player, though it is trained on the
environment of each opponent; with another budget it is another player.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from harness.analysis.labels import UNITS
from harness.analysis.pairing import blocks_of
from harness.analysis.stats import RESAMPLES
from harness.statistics.aggregates import task_means
from harness.statistics.bounded import mean_ends
from harness.statistics.intervals import FEWEST_RUNS, ends, widening
from harness.statistics.ratings import bounded_by, elo_ratings, linked
from harness.statistics.resampling import resamples
from harness.statistics.runs import Floats, Integers, ragged
from harness.storage.results_files import as_table

if TYPE_CHECKING:
    from harness.analysis.results import Results

COLUMNS = ["game", "player", "kind", "algorithm", "device", "rating", "low", "high", "anchor"]
COLUMNS += ["opponents", "runs", "failed", "games", "note"]
OPPONENT = "opponent"  # the argument of an environment that names its fixed player
BUDGET = ["budget", "budget_unit"]
ANCHORS = ("random", "random (opponent)")  # the opponent that is rated 0
OUTCOMES = (-1.0, 0.0, 1.0)
MOST_EPISODES = 10**6  # of an evaluation, as a stranger's manifest may tell it
UNMOVED = 1e-6  # points; no more is rounding
UNKNOWN = -1  # in place of a block whose runs do not say how sure their mean is
NO_SCORE = "a failed run has no score where no random score is known"
NO_OUTCOMES = "its returns are not -1, 0 and 1"
TWICE = "it has runs of a seed in several suites"
UNBOUNDED = {(True, True): "", (True, False): "won all that counts: may be any higher"}
UNBOUNDED |= {(False, True): "lost all that counts: may be any lower", (False, False): "no game ties it to the anchor"}


class Player(NamedTuple):
    """Who is rated."""

    name: str  # as readers see it
    kind: str = "opponent"  # or "algorithm"
    algorithm: str = ""  # empty for an opponent
    device: str = ""


class Match(NamedTuple):
    """All final evaluations of an algorithm against an opponent."""

    player: Player
    opponent: Player
    environment: str
    seeds: tuple[int, ...]  # [n] of runs that count
    scores: Floats  # [n] their mean outcomes
    least: float  # that a run can score: as the random policy, which failed runs do
    most: float
    episodes: int  # of each run
    failed: int  # of these runs
    independent: bool  # whether a seed's luck is not shared among environments
    why_not: str  # why it is not rated; empty if it is


_Place = tuple[pd.DataFrame, dict[str, Any], int]  # runs that count, what the environment is, episodes of each run


def ratings(results: "Results") -> pd.DataFrame:
    """Elo ratings of algorithms and of their opponents, for each game; no row without games.

    Of final evaluations, a failed run counting as in `overall.counted`. Draws are half won, and each match has one
    drawn game besides. Intervals are those of resamples of whole runs within each match, and know, as those of scores
    over environments do, that runs may fail that did not.

    Returns:
        Columns game, player, kind ("algorithm" or "opponent"); algorithm, device (empty for an opponent); rating, low,
        high (95 % interval; infinite where no result ends it, NaN where there are too few runs), anchor (who is rated
        0), opponents (how many it played), runs (that count), failed (of these), games, note (what a reader should
        know).
    """
    rows: list[tuple[Any, ...]] = []
    for game, matches in _panels(results).items():
        unrated = {match.player: match.why_not for match in matches if match.why_not}
        rated = [match for match in matches if match.player not in unrated]
        players = sorted(
            {player for match in rated for player in (match.opponent, match.player)},
            key=lambda player: (player.kind == "algorithm", player.name not in ANCHORS, player),
        )
        groups = linked(_met(players, rated), len(players)) if rated else ()
        for group in dict.fromkeys(groups):
            here = [player for player, of in zip(players, groups, strict=True) if of == group]
            rows += _rows(game, here, [match for match in rated if match.player in here])
        rows += [(game, *player, *[np.nan] * 3, "", 0, 0, 0, 0, why) for player, why in sorted(unrated.items())]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(game: str, players: Sequence[Player], matches: Sequence[Match]) -> Iterator[tuple[Any, ...]]:
    """The rows of players that matches link, the first of whom is the anchor; the strongest comes first."""
    met = _met(players, matches)
    games = np.array([match.episodes * len(match.scores) for match in matches])
    shares = np.array([_share(match.scores.mean()) for match in matches])
    value = elo_ratings(shares, games, met)
    low, high = interval_ends(value, met, games, matches)
    for place in np.argsort(-value, kind="stable"):
        of = [match for match, pair in zip(matches, met, strict=True) if place in pair]
        below, above = (bool(end[place]) for end in bounded_by(shares, met))
        counts = len(of), sum(len(match.scores) for match in of), sum(match.failed for match in of)
        played = sum(match.episodes * len(match.scores) for match in of)
        numbers = float(value[place]), float(low[place]), float(high[place])
        yield (game, *players[place], *numbers, players[0].name, *counts, played, UNBOUNDED[below, above])


def interval_ends(value: Floats, met: Integers, games: Integers, matches: Sequence[Match]) -> tuple[Floats, Floats]:
    """Both ends of each interval, [P], of ratings [P] from M matches; NaN for the anchor, and where there is none."""
    blocks, sure = _blocks(matches)
    runs = ragged([match.scores for match in matches], blocks)
    drawn = np.concatenate(
        [elo_ratings(_share(task_means(runs, indices)), games, met) for indices in resamples(runs, RESAMPLES)]
    )
    known = np.array(sure) & (np.array(runs.counts) >= FEWEST_RUNS)
    below, above = _reach(value, met, games, matches, np.where(known, blocks, UNKNOWN))
    low, high = np.full((2, len(value)), np.nan)
    for player in range(1, len(value)):
        units = [runs.units[block] for block in {blocks[m] for m in np.flatnonzero((met == player).any(axis=1))}]
        if not np.isnan(below[player]):
            resampled = ends(value[player], drawn[:, player], widening(units))
            low[player] = min(float(resampled[0]), value[player] - below[player])
            high[player] = max(float(resampled[1]), value[player] + above[player])
    return low, high


def _reach(
    value: Floats, met: Integers, games: Integers, matches: Sequence[Match], blocks: Integers
) -> tuple[Floats, Floats]:
    """How far below and above each rating, [P], the means of matches let it be by what runs could have scored.

    The means of an algorithm's matches move to the ends of `_shift`, together or one by one, whichever moves a rating
    further; squares of that are added over what moves apart (Zou & Donner, 2008, doi:10.1002/sim.3095). NaN where an
    algorithm that moves a rating has an `UNKNOWN` block.
    """
    squares = np.zeros((2, len(value)))
    shares = np.array([_share(match.scores.mean()) for match in matches])
    least, most = (_share(np.array([getattr(match, end) for match in matches])) for end in ("least", "most"))
    for player in dict.fromkeys(match.player for match in matches):
        own = np.array([match.player == player for match in matches])
        moving = np.stack([own, *(own & (np.arange(len(own)) == place) for place in np.flatnonzero(own))])
        known = UNKNOWN not in blocks[own]
        shift = _shift([match for match in matches if match.player == player], blocks[own]) if known else (-0.1, 0.1)
        moved = [shares + moving * np.clip(each / 2, least - shares, most - shares) for each in shift]
        ratings = elo_ratings(moved, games, met)
        below, above = bounded_by(moved, met)
        reaches = value - np.where(below, ratings, -np.inf), np.where(above, ratings, np.inf) - value
        for side, reached in enumerate(reaches):
            furthest = np.maximum(reached, 0).max(axis=0)
            together, apart = furthest[0] ** 2, (furthest[1:] ** 2).sum(axis=0)
            moves = (np.abs(ratings - value) > UNMOVED).any(axis=(0, 1))
            squares[side] += np.maximum(together, apart) if known else np.where(moves, np.nan, 0)
    below, above = np.sqrt(squares)
    return below, above


def _shift(matches: Sequence[Match], blocks: Integers) -> tuple[float, float]:
    """How far the mean outcomes of an algorithm may all be off: its runs, less the means of matches, as if of one."""
    units = []
    for block in dict.fromkeys(blocks):
        here = [match.scores - match.scores.mean() for match, of in zip(matches, blocks, strict=True) if of == block]
        units.append(np.mean(here, axis=0))
    means = [match.scores.mean() for match in matches]
    least = min(match.least - mean for match, mean in zip(matches, means, strict=True))
    most = max(match.most - mean for match, mean in zip(matches, means, strict=True))
    low, high = mean_ends(np.concatenate(units)[:, None], least, most)
    return float(low[0]), float(high[0])


def _blocks(matches: Sequence[Match]) -> tuple[list[int], list[bool]]:
    """The block of each match, of which runs of a seed share luck; and whether that can be said."""
    keys: dict[int, tuple[Player, int]] = {}
    sure: dict[int, bool] = {}
    for player in {match.player for match in matches}:
        places = [place for place, match in enumerate(matches) if match.player == player]
        own = [matches[place] for place in places]
        apart = all(match.independent for match in own)
        blocks = blocks_of([match.environment for match in own], apart, [match.seeds for match in own])
        keys |= {place: (player, block) for place, block in zip(places, blocks or places, strict=True)}
        sure |= dict.fromkeys(places, bool(blocks))
    order = list(dict.fromkeys(keys[place] for place in range(len(matches))))
    return [order.index(keys[place]) for place in range(len(matches))], [sure[place] for place in range(len(matches))]


def _met(players: Sequence[Player], matches: Sequence[Match]) -> Integers:
    """The numbers of the players of each match, [M, 2]."""
    return np.array([[players.index(match.player), players.index(match.opponent)] for match in matches])


def _share(score: Any) -> Any:
    """The share of points of a mean outcome from -1 to 1."""
    return (score + 1) / 2


def _panels(results: "Results") -> dict[str, list[Match]]:
    """The matches of each game, by its name."""
    runs = results.runs.merge(results.counted[["key", "score"]], on="key")
    found: dict[tuple[str, str], list[_Place]] = {}
    for _, here in runs.groupby("environment"):
        job = as_table(results.manifest(here["key"].iloc[0]).get("job"))
        told, episodes = as_table(job.get("environment")), job.get("episodes")
        if not isinstance(game := told.get("game"), str) or not isinstance(episodes, int):
            continue
        if not 0 < episodes <= MOST_EPISODES:
            continue
        arguments = {name: value for name, value in as_table(told.get("kwargs")).items() if name != OPPONENT}
        rules = json.dumps([arguments, told.get("wrappers")], sort_keys=True)
        found.setdefault((game, rules), []).append((here, told, episodes))
    names = _distinct([game.rpartition(".")[2].replace("_", "-") for game, _ in found], [game for game, _ in found])
    return {name: list(_matches(results, panel)) for name, panel in zip(names, found.values(), strict=True)}


def _matches(results: "Results", panel: Sequence[_Place]) -> Iterator[Match]:
    """What contestants scored in the environments of one game."""
    kinds = [(_opponent(told), str(told.get("id")), str(told.get("version"))) for _, told, _ in panel]
    ids = list(dict.fromkeys(kinds))
    names = _distinct([name for name, *_ in ids], [f"{name} ({id_} {version})" for name, id_, version in ids])
    taken = {algorithm for here, *_ in panel for algorithm in here["algorithm"]}
    opponents = {id_: f"{name}{' (opponent)' * (name in taken)}" for id_, name in zip(ids, names, strict=True)}
    budgets = {(budget, _unit(unit)) for here, *_ in panel for budget, unit in here[BUDGET].itertuples(index=False)}
    returns = results.evaluations.groupby("environment", observed=True)["return"]
    for (here, _, episodes), kind in zip(panel, kinds, strict=True):
        environment = str(here["environment"].iloc[0])
        fair = bool(returns.get_group(environment).isin(OUTCOMES).all()) if environment in returns.groups else True
        for (algorithm, device, budget), rows in here.groupby(["algorithm", "device", "budget"]):
            name = str(algorithm) if results.runs["device"].nunique() == 1 else f"{algorithm} on {device}"
            unit = _unit(rows["budget_unit"].iloc[0])
            name += f", {budget:,} {unit}" * (len(budgets) > 1)
            scores = rows["score"].to_numpy(float)
            why = TWICE * bool(rows["seed"].duplicated().any()) or NO_SCORE * bool(np.isnan(scores).any())
            yield Match(
                Player(name, "algorithm", str(algorithm), str(device)),
                Player(opponents[kind]),
                environment,
                tuple(rows["seed"]),
                scores,
                float(np.min([_known(rows, "random_score", "lowest_return", -1.0), *scores])),
                float(np.max([_known(rows, "highest_return", "highest_return", 1.0), *scores])),
                episodes,
                int((rows["status"] != "done").sum()),
                bool(rows["independent"].all()),
                why or NO_OUTCOMES * (not fair),
            )


def _unit(stored: str | None) -> str:
    """What a budget counts, in words."""
    return UNITS.get(stored or "", UNITS["step"])


def _known(rows: pd.DataFrame, first: str, second: str, otherwise: float) -> float:
    """The first of two facts of an environment that is known, and can be of outcomes."""
    facts = [float(rows[name].iloc[0]) for name in (first, second)]
    return next((fact for fact in facts if abs(fact) <= 1), otherwise)


def _opponent(told: dict[str, Any]) -> str:
    """What the fixed player of an environment is called; by the environment's name, if no argument says it."""
    return str(as_table(told.get("kwargs")).get(OPPONENT) or told.get("name"))


def _distinct(names: Sequence[str], longer: Sequence[str]) -> list[str]:
    """The names, or in place of those that several have, the longer ones, numbered if these are equal, too."""
    told = [name if names.count(name) == 1 else long for name, long in zip(names, longer, strict=True)]
    return [f"{name} #{told[:i].count(name) + 1}" if told.count(name) > 1 else name for i, name in enumerate(told)]
