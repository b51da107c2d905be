"""The smallest game worth playing against oneself: of seven stones take one to three; who takes the last one wins.

Functions are those of `harness.contract.trial.GameRules`; a position is [stones left, player to move].
"""

import torch
from torch.nn.functional import one_hot

STONES, MOST = 7, 3


def initial(shape: tuple[int, ...]) -> torch.Tensor:
    """Positions [*shape, 2]."""
    return torch.tensor([STONES, 0]).expand(*shape, 2).clone()


def legal(state: torch.Tensor) -> torch.Tensor:
    """Move a takes a + 1 stones."""
    return state[..., :1] >= torch.arange(1, MOST + 1, device=state.device)


def apply(state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
    """Positions after moves."""
    return torch.stack((state[..., 0] - action - 1, 1 - state[..., 1]), -1)


def to_move(state: torch.Tensor) -> torch.Tensor:
    """Who moves."""
    return state[..., 1].clone()


def outcome(state: torch.Tensor) -> torch.Tensor:
    """Who is to move after the last stone has lost."""
    lost = torch.where(state[..., 1] == 0, -1.0, 1.0)
    return torch.where(state[..., 0] == 0, lost, torch.nan)


def observe(state: torch.Tensor) -> torch.Tensor:
    """Stones left, one-hot, then which moves are legal."""
    return torch.cat((one_hot(state[..., 0], STONES + 1), legal(state)), -1).float()


def position(obs: torch.Tensor) -> torch.Tensor:
    """As many stones, with the first player to move."""
    stones = obs[..., : STONES + 1].argmax(-1)
    return torch.stack((stones, torch.zeros_like(stones)), -1)
