"""Prioritized experience replay (Schaul et al., 2016, arXiv:1511.05952), proportional, with a leading seed axis.

Record i of N is sampled with probability Pᵢ = pᵢ / Σ p, where pᵢ = (|δᵢ| + ε)^α. The bias this brings is
corrected by weights wᵢ = (N Pᵢ)^−β / max w, which multiply the loss, never the δ that makes the priority.
"""

from collections.abc import Callable, Sequence
from typing import Generic, Literal

import torch
from torch import Tensor

from harness_algorithms.blocks.replay import Record, Storage
from harness_algorithms.blocks.streams import Uniforms

FANOUT = 32  # children of a node: a level costs some ten calls, however wide, so few wide levels are fastest
BELOW = 1 - 2**-53  # a positive double times this is below it
MOST = 3e38  # what a larger error counts as, so that sums of priorities are finite


class Tree:
    """S trees of one shape, in which every node is an aggregate of its children.

    Nodes are recomputed from their children, never changed by a difference. So nothing drifts, and several writes
    of one leaf leave every node consistent with the one that stays.

    Attributes:
        root: the aggregate of all leaves of every seed, float64 [S].

    Args:
        num_seeds: S.
        capacity: leaves per seed.
        device: where the trees live.
        aggregate: over the last axis; [rows, children] -> [rows].
        empty: the value of leaves that were never set.
        fanout: children per node, at least 2; the root has as many as are left.
    """

    def __init__(
        self,
        num_seeds: int,
        capacity: int,
        device: torch.device | str,
        aggregate: Callable[[Tensor], Tensor],
        empty: float,
        fanout: int = FANOUT,
    ) -> None:
        self._aggregate = aggregate
        widths, blocks = [], capacity
        while blocks > fanout:
            widths.append(fanout)
            blocks = -(-blocks // fanout)
        widths.append(blocks)

        self._levels: list[Tensor] = []  # from leaves to the root's children: [parents of all seeds, children]
        parents = num_seeds
        for width in reversed(widths):
            level = torch.full((parents, width), empty, dtype=torch.float64, device=device)
            self._levels.insert(0, level)
            parents *= width
        self._seeds = torch.arange(num_seeds, device=device)[:, None]
        self._first_leaves = self._seeds * (parents // num_seeds)  # [S, 1], among the leaves of all seeds
        self.root = aggregate(self._levels[-1])

    def leaves(self, index: Tensor) -> Tensor:
        """The values of some leaves of every seed, float64 [S, B].

        Args:
            index: int64 [S, B], in [0, capacity).
        """
        return self._levels[0].view(-1).index_select(0, self._rows(index)).view(index.shape)

    def set_(self, index: Tensor, values: Tensor) -> None:
        """Change some leaves of every seed; of several values for one leaf, some one stays.

        Args:
            index: int64 [S, B], in [0, capacity).
            values: float64 [S, B].
        """
        rows, values = self._rows(index), values.flatten()
        for level in self._levels[:-1]:
            level.view(-1).index_copy_(0, rows, values)
            rows = rows // level.shape[1]
            values = self._aggregate(level.index_select(0, rows))
        self._levels[-1].view(-1).index_copy_(0, rows, values)
        self.root = self._aggregate(self._levels[-1])

    def _rows(self, index: Tensor) -> Tensor:
        """Leaves of each seed as leaves of all seeds, [S × B]."""
        return (index + self._first_leaves).flatten()


class SumTree(Tree):
    """Sums of non-negative leaves, in which the leaf under a value is found from the root down.

    Args:
        num_seeds: S.
        capacity: leaves per seed; 0 until set.
        device: where the trees live.
        fanout: children per node, at least 2.
    """

    def __init__(self, num_seeds: int, capacity: int, device: torch.device | str, fanout: int = FANOUT) -> None:
        super().__init__(num_seeds, capacity, device, lambda children: children.sum(1), 0.0, fanout)

    def find(self, value: Tensor) -> Tensor:
        """The first leaves up to which the sum, they included, exceeds a value; int64 [S, B].

        A leaf that is found is positive. Rounding may leave a value at or above its node's sum; it is then taken
        as just below.

        Args:
            value: in [0, root], float64 [S, B]; the root must be positive.
        """
        rows, rest = self._seeds.expand_as(value).reshape(-1), value.reshape(-1, 1)
        for level in reversed(self._levels):
            cumulated = level.index_select(0, rows).cumsum(1)  # [S × B, children]
            rest = torch.minimum(rest, cumulated[:, -1:] * BELOW)
            child = torch.searchsorted(cumulated, rest, right=True)
            rest = rest - torch.nn.functional.pad(cumulated, (1, 0)).gather(1, child)  # less those before it
            rows = rows * level.shape[1] + child.squeeze(1)
        return rows.view(value.shape) - self._first_leaves


def _power(x: Tensor, exponent: float) -> Tensor:
    """x^exponent of positive numbers. Of torch's power, last bits depend on the numbers beside it."""
    return x if exponent == 1 else (exponent * x.log()).exp()


class PrioritizedReplay(Generic[Record]):
    """The latest records of every seed; those that surprised most are sampled most.

    A new record gets the largest priority given to any record of its seed so far, and 1 if none was larger, so
    that it is likely to be replayed before long. Samples are stratified: record k of B comes from the k-th of B
    equal parts of Σ p.

    Args:
        record: the class of the records; see `Storage`.
        capacity: records kept per seed.
        batch_size: B, records per seed in a sample.
        generators: one per seed, on the records' device; nothing else may draw from them.
        alpha: α; 0 samples uniformly.
        epsilon: ε > 0, so that no record is lost for ever. It has to be small beside the errors that still matter: to
            the power α, 0.01 leaves a record without error half the priority of one whose |δ| is 0.02.
        largest_error: limit of |δ| + ε, so that no outlier takes over; None for no limit.
        weight_scale: whose largest weight is 1, which the paper leaves open: that of the "batch", as in DQN Zoo,
            Acme, Dopamine and PFRL, by which some record of every batch takes a whole step; or that of the "memory",
            as in OpenAI's Baselines, by which the weight of a record does not depend on what it is sampled with, and
            one record without error makes all others small: by (ε / |δ|)^(α β).

    Raises:
        ValueError: ε is not positive.
    """

    def __init__(
        self,
        record: type[Record],
        capacity: int,
        batch_size: int,
        generators: Sequence[torch.Generator],
        *,
        alpha: float,
        epsilon: float,
        largest_error: float | None = None,
        weight_scale: Literal["memory", "batch"],
    ) -> None:
        if epsilon <= 0:
            raise ValueError(f"epsilon must be positive, or records of no error are lost, not {epsilon!r}")
        num_seeds, device = len(generators), generators[0].device
        self._storage = Storage(record, capacity)
        self._uniforms = Uniforms(generators, batch_size)
        self._alpha = alpha
        self._epsilon = epsilon
        self._largest_error = largest_error
        self._sums = SumTree(num_seeds, capacity, device)
        self._minima = (
            Tree(num_seeds, capacity, device, lambda children: children.amin(1), torch.inf)
            if weight_scale == "memory"
            else None
        )
        self._strata = torch.arange(batch_size, device=device)  # [B]
        self._largest = torch.ones((num_seeds, 1), dtype=torch.float64, device=device)

    def __len__(self) -> int:
        """Records stored per seed."""
        return len(self._storage)

    def add(self, record: Record) -> None:
        """Store one record per seed and environment copy, over the oldest ones once full.

        Args:
            record: fields [S, N, ...]; N divides the capacity.

        Raises:
            ValueError: it does not.
        """
        slot = self._storage.add(record)
        num_seeds, copies = record[0].shape[:2]
        index = torch.arange(slot, slot + copies, device=self._largest.device).expand(num_seeds, copies)
        self._set_priorities(index, self._largest.expand(num_seeds, copies))

    def sample(self, beta: float) -> tuple[Tensor, Tensor, Record]:
        """B stored records of every seed.

        Args:
            beta: β in [0, 1]; 1 corrects the bias in full, 0 not at all.

        Returns:
            What `update` needs to know them again, int64 [S, B]; their weights in the loss, float32 [S, B];
            the records, fields [S, B, ...].

        Raises:
            ValueError: nothing is stored.
        """
        if not len(self):
            raise ValueError("nothing is stored to be sampled")
        parts = (self._uniforms() + self._strata) / len(self._strata)
        index = self._sums.find(parts * self._sums.root[:, None])
        priority = self._sums.leaves(index)
        least = self._minima.root[:, None] if self._minima else priority.amin(1, keepdim=True)
        weight = _power(least / priority, beta)  # (N Pᵢ)^−β / (N min P)^−β
        return index, weight.float(), self._storage.take(index)

    def update(self, index: Tensor, td_error: Tensor) -> None:
        """Give sampled records the priorities of their errors as they are now.

        Errors that are not finite count as none or as `MOST`: a seed that diverged has such, and in a tree they would
        lead its search to leaves of other seeds.

        Args:
            index: as sampled, int64 [S, B].
            td_error: δ, [S, B].
        """
        error = td_error.detach().double().abs().nan_to_num(0.0).clamp(max=MOST) + self._epsilon
        if self._largest_error is not None:
            error = error.clamp(max=self._largest_error)
        priority = _power(error, self._alpha)
        self._largest = torch.maximum(self._largest, priority.amax(1, keepdim=True))
        self._set_priorities(index, priority)

    def _set_priorities(self, index: Tensor, priority: Tensor) -> None:
        self._sums.set_(index, priority)
        if self._minima:
            self._minima.set_(index, priority)
