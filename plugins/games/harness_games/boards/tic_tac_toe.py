"""Tic-tac-toe on one board."""

from harness_games.boards import Board, Position

FULL = (1 << 9) - 1
LINES = (0o7, 0o70, 0o700, 0o111, 0o222, 0o444, 0o421, 0o124)
WON = tuple(any(marks & line == line for line in LINES) for marks in range(FULL + 1))
FREE = tuple([cell for cell in range(9) if not taken >> cell & 1] for taken in range(FULL + 1))


class TicTacToe(Board):
    """Three in a row win; move a marks cell a, row by row."""

    moves = 9
    cells = tuple(range(9))
    columns = 3
    start = (0, 0)

    def legal(self, position: Position) -> list[int]:
        """Empty cells."""
        return FREE[position[0] | position[1]]

    def after(self, position: Position, move: int) -> Position:
        """Mark a cell."""
        return position[1], position[0] | 1 << move

    def outcome(self, position: Position) -> int | None:
        """Who moved last may have won."""
        mine, theirs = position
        return -1 if WON[theirs] else 0 if mine | theirs == FULL else None
