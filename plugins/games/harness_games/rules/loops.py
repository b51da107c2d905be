"""The rules as loops over boards, compiled: what a move leads to, which are legal, and what is seen.

Positions [n, D] are laid out as `bitboards` and `hex` say; the last argument of every loop is what it writes. All loops
are in this file, as numba compiles a function again when its own file has changed. Compiled code is kept beside this
file, or where numba can write.
"""

import numba
import numpy as np

GOING_ON, DRAWN, FIRST_WON, SECOND_WON = range(4)  # what came of a game

compiled = numba.njit(cache=True)


@compiled
def _turned_round(after, mine, theirs, player, told):
    """The position after a move of ``player``, who now has the stones ``mine``, as the other sees it."""
    after[0], after[1], after[2], after[3] = theirs, mine, 1 - player, told


@compiled
def _told(won, player, full):
    """What came of a move: it may win and leave no cell free."""
    return FIRST_WON + player if won else DRAWN if full else GOING_ON


@compiled
def free(state, cells, legal):
    """Which cells, numbers of bits [A], are empty while the game goes on: bool [n, A]."""
    for i in range(len(state)):
        left = ~(state[i, 0] | state[i, 1]) if state[i, 3] == GOING_ON else 0
        for a in range(len(cells)):
            legal[i, a] = left >> cells[a] & 1


@compiled
def planes(state, cells, legal, seen):
    """Own stones, the other's, and legal moves [n, A]: float32 [n, 2 cells + A]."""
    count = len(cells)
    for i in range(len(state)):
        own, other = state[i, 0], state[i, 1]
        for c in range(count):
            seen[i, c] = own >> cells[c] & 1
            seen[i, count + c] = other >> cells[c] & 1
        for a in range(legal.shape[1]):
            seen[i, 2 * count + a] = legal[i, a]


@compiled
def mark(state, action, lines, full, after):
    """Tic-tac-toe: a mark on a cell, which wins where it fills one of the lines, sets of cells."""
    for i in range(len(state)):
        mine, theirs, player = state[i, 0] | 1 << action[i], state[i, 1], state[i, 2]
        won = False
        for line in lines:
            won |= mine & line == line
        _turned_round(after[i], mine, theirs, player, _told(won, player, (mine | theirs) == full))


@compiled
def drop(state, action, stride, steps, full, after):
    """Connect four: a stone falls into a column. Added to its lowest bit, 1 is carried to its lowest empty cell."""
    for i in range(len(state)):
        mine, theirs, player = state[i, 0], state[i, 1], state[i, 2]
        column = ((1 << stride) - 1) << stride * action[i]
        mine |= ((mine | theirs) + (1 << stride * action[i])) & column
        won = False
        for step in steps:
            pairs = mine & mine >> step
            won |= pairs & pairs >> 2 * step != 0
        _turned_round(after[i], mine, theirs, player, _told(won, player, (mine | theirs) == full))


@compiled
def empty_cells(state, legal):
    """Hex: which cells are empty while the game goes on, bool [n, cells]."""
    for i in range(len(state)):
        for c in range(legal.shape[1]):
            legal[i, c] = state[i, c] == 0 and state[i, -1] == GOING_ON


@compiled
def sides(state, legal, seen):
    """Hex: own stones, the other's, and empty cells, float32 [n, 3 cells]."""
    count = legal.shape[1]
    for i in range(len(state)):
        for c in range(count):
            seen[i, c] = state[i, c] > 0
            seen[i, count + c] = state[i, c] < 0
            seen[i, 2 * count + c] = legal[i, c]


@compiled
def join(state, action, beside, after):
    """Hex: a stone, which joins the groups beside it, [cells, 6], and wins where these reach two sides."""
    count = len(beside)
    size = int(np.sqrt(count))
    joined = np.zeros(count + 1, np.bool_)  # groups, by their numbers
    for i in range(len(state)):
        joined[:] = False
        for cell in beside[action[i]]:
            joined[max(state[i, cell], 0)] = True
        joined[0] = False
        first_side = last_side = False
        for c in range(count):
            number = state[i, c]
            if c == action[i] or (number > 0 and joined[number]):
                number = action[i] + 1
                first_side |= c < size
                last_side |= c >= count - size
            after[i, c % size * size + c // size] = -number
        player = state[i, count]
        after[i, count] = 1 - player
        after[i, count + 1] = FIRST_WON + player if first_side and last_side else GOING_ON


@compiled
def _line(ends, enclosed, left, right, longest):
    """The unbroken line of ``enclosed`` discs that begins beside ``ends``, and the cells beyond it, in a direction."""
    line = ((ends << left) >> right) & enclosed
    for _ in range(longest - 1):
        line |= ((line << left) >> right) & enclosed
    return line, (line << left) >> right


@compiled
def _places(mine, theirs, directions, size, everywhere):
    """Empty cells at the other end of a line that a disc of mine begins."""
    found = 0
    for left, right, through in directions:
        found |= _line(mine, theirs & through, left, right, size - 2)[1]
    return found & ~(mine | theirs) & everywhere


@compiled
def with_places(state, directions, size, everywhere, after):
    """Othello: positions with the cells where who is to move may set a disc."""
    for i in range(len(state)):
        after[i, :4] = state[i, :4]
        after[i, 4] = _places(state[i, 0], state[i, 1], directions, size, everywhere)


@compiled
def discs_to_set(state, legal):
    """Othello: cells where a disc may be set, and passing where there is none, bool [n, cells + 1]."""
    count = legal.shape[1] - 1
    for i in range(len(state)):
        goes_on = state[i, 3] == GOING_ON
        for c in range(count):
            legal[i, c] = goes_on and state[i, 4] >> c & 1
        legal[i, count] = goes_on and state[i, 4] == 0


@compiled
def _count(discs):
    """How many bits are set."""
    count = 0
    while discs:
        discs &= discs - 1
        count += 1
    return count


@compiled
def turn(state, action, directions, size, everywhere, after):
    """Othello: a disc, which turns lines that it encloses with one of its own; or a pass."""
    for i in range(len(state)):
        mine, theirs, player = state[i, 0], state[i, 1], state[i, 2]
        disc = 1 << action[i] if action[i] < size * size else 0
        turned = 0
        for left, right, through in directions:
            line, beyond = _line(disc, theirs & through, left, right, size - 2)
            if beyond & mine:
                turned |= line
        mine, theirs = mine | disc | turned, theirs ^ turned
        moves = _places(theirs, mine, directions, size, everywhere)
        over = not moves and not _places(mine, theirs, directions, size, everywhere)
        lead = _count(mine) - _count(theirs)
        told = _told(lead != 0, player if lead > 0 else 1 - player, True) if over else GOING_ON
        _turned_round(after[i], mine, theirs, player, told)
        after[i, 4] = moves


# Random games. Every position has a generator of its own: what is drawn follows from its seed alone. Each game has its
# loop, since a loop that is given functions would be compiled anew in every process.


@compiled
def _next(chance):
    """A linear congruential generator of 64 bits (Knuth's MMIX); of its numbers the upper bits are used."""
    return chance * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)


@compiled
def _drawn(legal, chance):
    """A legal move, each as likely, as the remainder of 33 bits is as good as uniform; −1 where there is none.

    There is none in what looks like the end of a game, made a position again of what was observed.
    """
    count = legal.sum()
    left = int(chance >> np.uint64(31)) % count if count else 0
    for a in range(len(legal)):
        if legal[a]:
            if left == 0:
                return a
            left -= 1
    return -1


@compiled
def _begun(state, i, actions):
    """Room for a game from position i: two positions [1, D], moves [1] and legal moves [1, A]."""
    return state[i : i + 1].copy(), state[i : i + 1].copy(), np.empty(1, np.int64), np.empty((1, actions), np.bool_)


@compiled
def mark_at_random(state, seed, cells, lines, full, ended):
    """Tic-tac-toe: what came of random games, [n, 1]."""
    for i in range(len(state)):
        board, after, move, legal = _begun(state, i, len(cells))
        chance = np.uint64(seed[i])
        while board[0, 3] == GOING_ON:
            chance = _next(chance)
            free(board, cells, legal)
            move[0] = _drawn(legal[0], chance)
            if move[0] < 0:
                break
            mark(board, move, lines, full, after)
            board, after = after, board
        ended[i, 0] = board[0, 3]


@compiled
def drop_at_random(state, seed, top, stride, steps, full, ended):
    """Connect four: what came of random games, [n, 1]."""
    for i in range(len(state)):
        board, after, move, legal = _begun(state, i, len(top))
        chance = np.uint64(seed[i])
        while board[0, 3] == GOING_ON:
            chance = _next(chance)
            free(board, top, legal)
            move[0] = _drawn(legal[0], chance)
            if move[0] < 0:
                break
            drop(board, move, stride, steps, full, after)
            board, after = after, board
        ended[i, 0] = board[0, 3]


@compiled
def join_at_random(state, seed, beside, ended):
    """Hex: what came of random games, [n, 1]."""
    for i in range(len(state)):
        board, after, move, legal = _begun(state, i, len(beside))
        chance = np.uint64(seed[i])
        while board[0, -1] == GOING_ON:
            chance = _next(chance)
            empty_cells(board, legal)
            move[0] = _drawn(legal[0], chance)
            if move[0] < 0:
                break
            join(board, move, beside, after)
            board, after = after, board
        ended[i, 0] = board[0, -1]


@compiled
def turn_at_random(state, seed, directions, size, everywhere, ended):
    """Othello: what came of random games, [n, 1]."""
    for i in range(len(state)):
        board, after, move, legal = _begun(state, i, size * size + 1)
        chance = np.uint64(seed[i])
        while board[0, 3] == GOING_ON:
            chance = _next(chance)
            discs_to_set(board, legal)
            move[0] = _drawn(legal[0], chance)
            if move[0] < 0:
                break
            turn(board, move, directions, size, everywhere, after)
            board, after = after, board
        ended[i, 0] = board[0, 3]
