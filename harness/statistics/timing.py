"""How many times as long one program takes as another."""

import numpy as np
from numpy.typing import ArrayLike


def time_ratio(old: ArrayLike, new: ArrayLike) -> float:
    """exp(median log(newᵢ / oldᵢ)) of times measured side by side, in pairs.

    What disturbs a machine disturbs both of a pair, and cancels; so this is steadier than a ratio of medians,
    and far steadier than one of minima.

    Args:
        old: [n] seconds.
        new: [n] seconds.
    """
    return float(np.exp(np.median(np.log(np.asarray(new, float) / np.asarray(old, float)))))
