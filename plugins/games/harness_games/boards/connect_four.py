"""Connect four on one board; bits are those of `harness_games.rules.connect_four`."""

from harness_games.boards import Board, Position

ROWS, COLUMNS = 6, 7
STRIDE = ROWS + 1
CELLS = tuple(STRIDE * column + row for row in reversed(range(ROWS)) for column in range(COLUMNS))
FULL = sum(1 << cell for cell in CELLS)
TOP = [(column, 1 << cell) for column, cell in enumerate(CELLS[:COLUMNS])]
LOWEST = [1 << STRIDE * column for column in range(COLUMNS)]
WHOLE = [lowest * ((1 << STRIDE) - 1) for lowest in LOWEST]  # columns


class ConnectFour(Board):
    """Six rows of seven columns: move a drops a stone into column a; four in a line win."""

    moves = COLUMNS
    cells = CELLS
    columns = COLUMNS
    start = (0, 0)

    def legal(self, position: Position) -> list[int]:
        """Columns with room."""
        taken = position[0] | position[1]
        return [column for column, top in TOP if not taken & top]

    def after(self, position: Position, move: int) -> Position:
        """Drop a stone; added to a column's lowest bit, 1 is carried to its lowest empty cell."""
        mine, theirs = position
        return theirs, mine | (mine | theirs) + LOWEST[move] & WHOLE[move]

    def outcome(self, position: Position) -> int | None:
        """Who moved last may have won."""
        mine, theirs = position
        for step in (1, STRIDE, STRIDE - 1, STRIDE + 1):
            pairs = theirs & theirs >> step
            if pairs & pairs >> 2 * step:
                return -1
        return 0 if mine | theirs == FULL else None
