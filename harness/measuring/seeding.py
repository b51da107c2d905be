"""Named random streams, each a pure function of a run's seed and the stream's name.

Streams do not depend on the order in which they are asked for, on the seeds that train beside, or on
evaluation; so runs of one seed pair across algorithms and commits. They do depend on the environment, so that a seed
has no luck on one environment that it would have on others, too: runs on different environments are independent.
"""

import hashlib
import json

from numpy.random import SeedSequence

ENVIRONMENT = "environment"
EVALUATION = "evaluation"


def of_environment(seed: int, name: str) -> int:
    """The seed from which all streams of a run on the environment of that name come, in [0, 2**31)."""
    return integer(seed, "run", name)


def _digest(seed: int, tags: tuple[str | int, ...]) -> bytes:
    return hashlib.sha256(json.dumps([seed, *tags]).encode()).digest()


def stream(seed: int, *tags: str | int) -> SeedSequence:
    """The seed sequence of the stream named by ``tags``, for ``numpy.random.default_rng``."""
    return SeedSequence(int.from_bytes(_digest(seed, tags)[:16], "little"))


def integer(seed: int, *tags: str | int) -> int:
    """An integer in [0, 2**31) for that stream, for interfaces that take ``seed=``."""
    return int.from_bytes(_digest(seed, tags)[:4], "little") >> 1
