"""The global random state of the libraries, which an evaluation leaves as it was."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def global_random_state_kept(device: torch.device) -> Iterator[None]:
    """Restore the global random state of Python, NumPy and torch at the end."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002, since libraries draw from it
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, device)
