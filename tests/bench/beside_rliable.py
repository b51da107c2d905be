"""The intervals of 5 algorithms with 10 runs on 26 tasks, 50,000 resamples, beside rliable's; on one thread.

tox -e rliable    # in an environment of its own: rliable 1.2.0 does not import with pandas 3

Bar: at least 50 times as fast. rliable draws other resamples and does not widen its intervals for few runs; so ours
are compared with the widening taken out.
"""

from time import process_time

import numpy as np
from rliable import library, metrics

from harness.statistics.aggregates import IQM
from harness.statistics.intervals import intervals, widening
from harness.statistics.runs import matrix

ALGORITHMS, RUNS, TASKS, RESAMPLES = 5, 10, 26, 50_000
ROUNDS = 5  # of ours, which are short


def main() -> None:
    """Time both sides on the same scores, and print the ratio and how far their ends are apart."""
    scores = np.random.default_rng(0).gamma(4, 0.25, size=(ALGORITHMS, RUNS, TASKS))
    began = process_time()
    np.random.seed(0)  # noqa: NPY002, because rliable draws from the global generator, whatever it is given
    _, theirs = library.get_interval_estimates(
        {str(i): each for i, each in enumerate(scores)}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=RESAMPLES
    )
    their_seconds = process_time() - began
    groups = [matrix(each) for each in scores]
    seconds = []
    for _ in range(ROUNDS):
        began = process_time()
        ours = [estimates[0] for estimates in intervals(groups, [IQM], count=RESAMPLES)]
        seconds.append(process_time() - began)
    our_seconds = float(np.median(seconds))
    wider = widening([RUNS] * TASKS)
    ends = np.array([[e.value + (end - e.value) / wider for end in (e.low, e.high)] for e in ours])
    apart = np.abs(ends - np.array([theirs[str(i)][:, 0] for i in range(ALGORITHMS)])).max()
    width = np.mean(ends[:, 1] - ends[:, 0])
    print(
        f"rliable {their_seconds:.1f} s, harness {our_seconds:.3f} s: {their_seconds / our_seconds:.0f} times as fast"
    )
    print(f"ends are at most {apart:.4f} apart, {apart / width:.1%} of an interval's width")


if __name__ == "__main__":
    main()
