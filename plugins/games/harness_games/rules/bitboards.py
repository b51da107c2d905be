"""Positions as two sets of cells, a bit per cell, seen by who is to move; loops over boards as functions of tensors.

A position is int64 [..., 4 or more]: the stones of the player to move, those of the other, who is to move (0 or 1), and
what came of the game, as `loops` numbers it. Loops run on the processor; of tensors elsewhere, results go back there.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness_games.rules import loops

OUTCOMES = np.array((np.nan, 0.0, 1.0, -1.0), np.float32)  # of the first player, by what came of the game

Array = np.ndarray[Any, Any]


def looped(loop: Callable[..., None], state: Tensor, *others: Any, row: int, dtype: Any) -> Tensor:
    """What a loop writes of positions [..., D], a row of so many numbers for each: [..., row].

    Between tensors all is done in NumPy, whose calls cost a fifth of torch's: with some hundred boards calls are all.

    Args:
        loop: of `loops`.
        state: positions.
        others: its further arguments; tensors [...] or [..., any] are given as arrays [n] or [n, any].
        row: how many numbers.
        dtype: theirs, of NumPy.
    """
    shape = state.shape[:-1]
    boards = _as_array(state, len(shape))
    written = np.empty((len(boards), row), dtype)
    loop(boards, *(_as_array(each, len(shape)) if isinstance(each, Tensor) else each for each in others), written)
    return on_device_of(state, written.reshape(*shape, row))


def _as_array(tensor: Tensor, leading: int) -> Array:
    """The numbers of all boards, which have so many leading axes, as [n, ...]."""
    array = tensor.numpy(force=True)
    return np.ascontiguousarray(array.reshape(-1, *array.shape[leading:]))


def on_device_of(tensor: Tensor, array: Array) -> Tensor:
    """An array as a tensor where another one is."""
    made = torch.from_numpy(array)
    return made if tensor.is_cpu else made.to(tensor.device)


def bits(cells: tuple[int, ...]) -> Array:
    """Numbers of bits, or sets of cells, as loops take them."""
    return np.array(cells, np.int64)


def to_move(state: Tensor) -> Tensor:
    """Who moves."""
    return state[..., 2].clone()


def outcome(state: Tensor) -> Tensor:
    """The first player's, NaN while the game goes on."""
    return told(state[..., 3])


def told(what: Tensor) -> Tensor:
    """The first player's outcome, float32 [...], of what came of games [...]."""
    return on_device_of(what, np.asarray(OUTCOMES[what.numpy(force=True)]))


def observe(state: Tensor, cells: Array, legal: Tensor) -> Tensor:
    """Own stones, the other's, and legal moves: float32 [..., 2 cells + A]."""
    return looped(loops.planes, state, cells, legal, row=2 * len(cells) + legal.shape[-1], dtype=np.float32)


def stones(observation: Tensor, cells: Array) -> tuple[Tensor, Tensor]:
    """The own set of stones that is observed, and the other's."""
    planes = observation[..., : 2 * len(cells)].long().unflatten(-1, (2, len(cells)))
    mine, theirs = (planes << on_device_of(planes, cells)).sum(-1).unbind(-1)
    return mine, theirs
