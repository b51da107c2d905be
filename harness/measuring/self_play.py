"""S seeds x N games of an algorithm against itself, as tensors."""

from collections.abc import Sequence

import torch

from harness.contract.trial import ContractBroken, GameRules, Ply
from harness.measuring.lockstep import Lockstep
from harness.measuring.meter import Meter


class GamesInLockstep(Lockstep):
    """Implements `harness.contract.trial.SelfPlay`; seeds are only counted, since games have no luck of their own."""

    def __init__(
        self, rules: GameRules, meter: Meter, seeds: Sequence[int], copies: int, device: torch.device, first: int
    ) -> None:
        outcomes = torch.zeros(len(seeds) * copies, dtype=torch.float64, device=device)
        super().__init__(meter, len(seeds), copies, first, outcomes)
        self.rules = rules
        self._begun = rules.initial((self.num_seeds, copies)).to(device)  # [S, N, D]
        self._state = self._begun

    def reset(self) -> torch.Tensor:
        """Begin all games; returns positions [S, N, D]."""
        self._start()
        return self._state.clone()  # since what an algorithm does to its positions shall change no game

    def step(self, action: torch.Tensor) -> Ply:
        """Make one move in every game that the budget holds, as `EnvLockstep`; `ContractBroken` if one is illegal."""
        if action.shape != (self.num_seeds, self.copies):
            raise ContractBroken(f"step wants moves {[self.num_seeds, self.copies]}, not {list(action.shape)}")
        began = self._now()
        legal = self.rules.legal(self._state).gather(-1, action.unsqueeze(-1))
        if not legal.all():
            raise ContractBroken(f"{int((~legal).sum())} moves are illegal; choose among rules.legal(state)")
        copies = self._take()
        after = self.rules.apply(self._state, action)
        told = self.rules.outcome(after)
        ended, outcome = ~told.isnan(), told.nan_to_num().float()
        self._state = torch.where(ended.unsqueeze(-1), self._begun, after)
        self._ledger.step(outcome.reshape(-1))
        if over := ended.reshape(-1).nonzero().reshape(-1).tolist():
            self._report(over, [], ended, copies)
            self._ledger.returns.masked_fill_(ended.reshape(-1), 0.0)
        self._bill(began)
        self._settle(copies)
        return Ply(after, outcome, ended, self._state.clone())
