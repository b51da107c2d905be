"""Othello on one board of n x n cells."""

from harness_games.boards import Board, Position


class Othello(Board):
    """Move a sets a disc on cell a, row by row, and turns what it encloses; n² passes, where nothing can be turned.

    Bits have a gap of one after every row, so that no shift runs from one row into the next. A position holds a third
    set, the cells where who is to move may set a disc.
    """

    def __init__(self, size: int) -> None:
        if size not in (4, 6, 8):
            raise ValueError(f"size: Othello is played on 4, 6 or 8 rows, not {size}")
        self._stride = size + 1
        self.cells = tuple(self._stride * row + column for row in range(size) for column in range(size))
        self.columns = size
        self._whole = sum(1 << cell for cell in self.cells)
        self._runs = size - 2  # discs that can be enclosed in a line, at most
        self._steps = (1, size, size + 1, size + 2)
        self._move_of = {1 << cell: move for move, cell in enumerate(self.cells)}
        self.moves = size * size + 1
        half = size // 2
        one, two = self._stride * (half - 1) + half - 1, self._stride * half + half - 1
        mine, theirs = 1 << one + 1 | 1 << two, 1 << one | 1 << two + 1
        self.start = (mine, theirs, self._open(mine, theirs))

    def legal(self, position: Position) -> list[int]:
        """Cells that enclose something, or else passing."""
        left, found = position[2], []
        while left:
            lowest = left & -left
            found.append(self._move_of[lowest])
            left ^= lowest
        return found or [self.moves - 1]

    def after(self, position: Position, move: int) -> Position:
        """Set a disc and turn others, or pass."""
        mine, theirs, _ = position
        if move == self.moves - 1:
            return theirs, mine, self._open(theirs, mine)
        disc = 1 << self.cells[move]
        turned = 0
        for step in self._steps:
            up = disc << step & theirs
            down = disc >> step & theirs
            for _ in range(self._runs - 1):
                up |= up << step & theirs
                down |= down >> step & theirs
            if up << step & mine:
                turned |= up
            if down >> step & mine:
                turned |= down
        mine, theirs = mine | disc | turned, theirs ^ turned
        return theirs, mine, self._open(theirs, mine)

    def outcome(self, position: Position) -> int | None:
        """More discs win when neither can set one."""
        mine, theirs, free = position
        if free or self._open(theirs, mine):
            return None
        lead = mine.bit_count() - theirs.bit_count()
        return (lead > 0) - (lead < 0)

    def _open(self, mine: int, theirs: int) -> int:
        """The cells where a disc encloses something."""
        found = 0
        for step in self._steps:
            up = mine << step & theirs
            down = mine >> step & theirs
            for _ in range(self._runs - 1):
                up |= up << step & theirs
                down |= down >> step & theirs
            found |= up << step | down >> step
        return found & self._whole & ~(mine | theirs)
