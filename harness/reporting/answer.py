"""The answer to a suite's question in a few sentences: its claims, then who ended highest where, and at what cost.

Two contestants are told apart only where the interval of their difference excludes 0 and the test, adjusted for all
pairs of the environment, rejects. Elsewhere the difference may be chance, which does not say that there is none.
"""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from harness.analysis.overall import LABEL, Label
from harness.analysis.pairs import THAN
from harness.analysis.results import Results
from harness.reporting.cells import rough
from harness.statistics.decision import ALPHA
from harness.statistics.intervals import FEWEST_RUNS
from harness.text import counted, one_line
from harness.verdicts.claims import ClaimVerdict, JudgedClaim

MOST = 6  # lines
MOST_CLAIMS = 3  # told one by one
LONGEST = 48  # characters of a name
WORDS = {ClaimVerdict.HOLDS: "Yes", ClaimVerdict.FAILS: "No", ClaimVerdict.UNDECIDED: "Undecided"}


def answer(results: Results, claims: Sequence[JudgedClaim] = ()) -> list[str]:
    """What stored runs, and the claims judged on them, say about the question of their suite.

    `MOST` lines or fewer: on claims that could be judged, then on each environment that none of these is about; the
    last one says how many environments there are besides.
    """
    judged = [each for each in claims if each.verdict in WORDS]
    lines = [_claim(each) for each in judged]
    if len(lines) > MOST_CLAIMS:
        found = Counter(str(each.verdict) for each in judged).items()
        lines = [f"Of {len(judged)} claims: {', '.join(f'{verdict} {n}' for verdict, n in found)}."]
    answered = {each.claim.environment.rpartition("/")[2] for each in judged}
    made = results.runs[results.runs["status"] != "skipped"]
    places = made.loc[~made["environment_name"].isin(answered), "environment"].unique()
    shown = len(places) if len(lines) + len(places) <= MOST else MOST - len(lines) - 1
    lines += [f"{place}: {_ranking(results, place)}" for place in places[:shown]]
    if shown < len(places):
        lines.append(f"{counted(len(places) - shown, 'environment')} more in the tables.")
    return list(map(one_line, lines)) or ["No run was made, so there is no answer."]


def _claim(each: JudgedClaim) -> str:
    advantage, low, high = map(rough, each.advantage[:3])
    bounds = {
        ClaimVerdict.HOLDS: f"at least {low}",
        ClaimVerdict.FAILS: f"at most {high}",
        ClaimVerdict.UNDECIDED: f"bounds {low} and {high}",
    }
    sure = f"{bounds[each.verdict]} with {100 * each.claim.confidence:g} % confidence"
    told = "too few runs" if pd.isna(each.advantage.low) else f"advantage {advantage}, {sure}"
    device = "" if each.device == "cpu" else f" on {each.device}"
    return f"{WORDS[each.verdict]}: {each.claim.statement.rstrip('.')}{device} ({told}; n = {each.runs})."


def _ranking(results: Results, environment: str) -> str:
    """Who ended highest, whether the next one differs, what both cost, and which runs failed or are missing."""
    here = results.counted[results.counted["environment"] == environment]
    if not (here["status"] == "done").any():
        return "no run is done."
    scores = here.groupby(LABEL)["score"]
    means = scores.mean(skipna=False).sort_values(ascending=False, kind="stable")
    best: list[Label] = list(means.dropna().index[:2])
    of = f", the highest of {len(means)}," if len(means) > 2 else ""
    if not best:
        text = "no algorithm has a rank"
    elif len(best) == 1:
        [name], runs = _names(results, best), int(scores.size()[best[0]])
        text = f"{name} ends at {rough(means[best[0]])}, {counted(runs, 'run')}"
    else:
        text, best = _difference(results, environment, best, of)
    return " ".join([f"{text}.", *_seconds(results, environment, best), *_absent(results, environment)])


def _difference(results: Results, environment: str, best: list[Label], of: str) -> tuple[str, list[Label]]:
    """What the two best come to and differ by, on the runs of them that are compared; and who is ahead there."""
    table = results.pairwise()
    rows = table[table["environment"] == environment].set_index([*LABEL, *THAN]).to_dict("index")
    there, back = (*best[0], *best[1]), (*best[1], *best[0])
    if not (row := rows.get(there) or rows.get(back)):
        names = " and ".join(_names(results, best))
        return f"{names} are not compared: one has runs of a seed in several suites", best
    order = best if there in rows else best[::-1]
    ends, low, high = (row["mean"], row["than_mean"]), row["low"], row["high"]
    if ends[0] < ends[1] or (ends[0] == ends[1] and order != best):
        order, ends, low, high = order[::-1], ends[::-1], -high, -low
    one, two = _names(results, order)
    n = min(row["n"], row["than_n"])
    told = f"{rough(ends[0] - ends[1])} [{rough(low)}, {rough(high)}]"
    if n < FEWEST_RUNS:
        apart = f"fewer than {FEWEST_RUNS} runs decide nothing"
    elif low == high == 0:
        apart = "they end alike"
    elif low > 0 and row["p_holm"] <= ALPHA:
        apart = f"they differ, by {told}"
    else:
        apart = f"a difference of {told}, which may be chance"
    place = of if order == best else ""  # the highest of all is ranked by all its runs
    return f"{one} ends at {rough(ends[0])}{place} and {two} at {rough(ends[1])}; {apart} (n = {n})", order


def _seconds(results: Results, environment: str, contestants: Sequence[Label]) -> list[str]:
    """What a run of each took, if all ran on one machine."""
    clock = results.wall_clock()
    rows = clock[clock["environment"] == environment].set_index(LABEL).loc[list(contestants)]
    done = results.runs[(results.runs["environment"] == environment) & (results.runs["status"] == "done")]
    if rows.empty or rows["train_seconds"].isna().any() or done["machine"].nunique() > 1:
        return []
    each = zip(rows["train_seconds"], rows["runs_in_trial"], strict=True)
    told = [f"{rough(seconds)} s{f' ({n} at once)' if n > 1 else ''}" for seconds, n in each]
    return [f"A run trains in {' and '.join(told)}."]


def _absent(results: Results, environment: str) -> list[str]:
    runs = results.runs[(results.runs["environment"] == environment) & (results.runs["status"] != "skipped")]
    unscored = results.counted.loc[results.counted["environment"] == environment, "score"].isna().any()
    if (runs["status"] == "done").all():
        return []
    as_what = "have no score, and their algorithms no rank" if unscored else "count as random play, or as the worst run"
    return [f"{(runs['status'] != 'done').sum()} of {len(runs)} runs did not finish; those that failed {as_what}."]


def _names(results: Results, contestants: Sequence[Label]) -> list[str]:
    """Names short enough for a sentence and still different, with the device where there are several."""
    several, half = results.runs["device"].nunique() > 1, LONGEST // 2
    full = [f"{name} on {device}" if several else name for name, device in contestants]
    short = [name if len(name) <= LONGEST else f"{name[:half]}…{name[-half:]}" for name in full]
    return short if len(set(short)) == len(short) else full
