"""Hex on one board of n x n cells."""

from random import Random

from harness_games.boards import Board, Position


class Hex(Board):
    """Who joins the own two sides wins; each sees the own sides above and below, as `harness_games.rules.hex` says.

    A position is the stones of who is to move, those of the other, and who that is: bits are the first player's cells.
    """

    def __init__(self, size: int) -> None:
        if not 2 <= size <= 11:
            raise ValueError(f"size: hex is played on 2 to 11 rows, not {size}")
        count = size * size
        plain = tuple(range(count))
        across = tuple(size * (cell % size) + cell // size for cell in plain)  # the second player's view, and back
        self.cells, self._views = plain, (plain, across)
        self.moves, self.columns, self.start = count, size, (0, 0, 0)
        first_row, first_column = (1 << size) - 1, sum(1 << size * row for row in range(size))
        last_column = first_column << size - 1
        self._sides = ((first_row, first_row << count - size), (first_column, last_column))  # of each player
        self._not_first, self._not_last = ~first_column, ~last_column

    def legal(self, position: Position) -> list[int]:
        """Empty cells."""
        mine, theirs, player = position
        taken = mine | theirs
        return [move for move, cell in enumerate(self._views[player]) if not taken >> cell & 1]

    def after(self, position: Position, move: int) -> Position:
        """Set a stone."""
        mine, theirs, player = position
        return theirs, mine | 1 << self._views[player][move], 1 - player

    def outcome(self, position: Position) -> int | None:
        """Who moved last may have joined the sides."""
        _, theirs, player = position
        return -1 if self._joined(theirs, 1 - player) else None

    def turned(self, position: Position) -> Position:
        """The same stones, seen by the other player."""
        mine, theirs, player = position
        return theirs, mine, 1 - player

    def cells_of(self, position: Position) -> tuple[int, ...]:
        """Transposed for the second player."""
        return self._views[position[2]]

    def drawn(self, first: int, second: int) -> str:
        """Each row half a cell to the right of the one above; X joins above and below, O left and right."""
        return "\n".join(" " * row + line for row, line in enumerate(super().drawn(first, second).split("\n")))

    def played_out(self, position: Position, chance: Random) -> int:
        """Fill the board at random: who has joined the sides then did so before, whatever came after."""
        mine, theirs, player = position
        if self._joined(theirs, 1 - player):
            return -1
        free = [1 << cell for cell in self.cells if not (mine | theirs) >> cell & 1]
        chance.shuffle(free)
        mine |= sum(free[::2])
        return 1 if self._joined(mine, player) else -1

    def _joined(self, stones: int, player: int) -> bool:
        """Whether stones join a player's sides: those that the first side reaches grow until nothing comes to them."""
        first, last = self._sides[player]
        reached, before, size = stones & first, 0, self.columns
        while reached != before and not reached & last:
            before = reached
            right, left = reached & self._not_last, reached & self._not_first
            near = reached << size | reached >> size | right << 1 | left >> 1 | left << size - 1 | right >> size - 1
            reached |= near & stones
        return bool(reached & last)
