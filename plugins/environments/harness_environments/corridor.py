"""The corridor with actions that do nothing (Wang et al., "Dueling network architectures", 2016, section 4.1)."""

import gymnasium

from harness_environments.finite import FiniteWorld

HEIGHT, WIDTH = 10, 50  # states of each vertical corridor, and of the horizontal one
JOIN = HEIGHT // 2  # row of the horizontal corridor
MOVES = ((0, 1), (0, -1), (-1, 0), (1, 0))  # up, down, left, right; column, row
REWARDS = {(0, HEIGHT - 1): 0.1, (WIDTH + 1, HEIGHT - 1): 1.0}  # on arrival, which ends the episode


def cells() -> list[tuple[int, int]]:
    """Column and row, counted from the bottom left, of each of the 70 states."""
    left = [(0, row) for row in range(HEIGHT)]
    across = [(column, JOIN) for column in range(1, WIDTH + 1)]
    right = [(WIDTH + 1, row) for row in range(HEIGHT)]
    return left + across + right


def corridor(actions: int) -> FiniteWorld:
    """Three corridors joined to an H, from the bottom left (start) to the top right (reward 1, the end).

    Actions 0 to 3 move up, down, left and right, where there is a cell; all others do nothing. With every
    transition in `FiniteWorld.P`, the values of a policy can be computed exactly, which is what the paper
    compares learnt ones to: it evaluates the policy that is optimal except for a random action once in 1,000.

    From the paper: 10 states in each vertical corridor and 50 in the horizontal one, the start, two states that
    pay and end the episode, the larger reward at the top right, and 5, 10 or 20 actions. It gives neither the
    rewards nor the place of the lesser one nor where the corridors meet; here the lesser is 0.1, at the top left,
    and they meet halfway up.

    Observation: the state's indicator, float32 [70].

    Args:
        actions: how many, 5 or more.
    """
    places = cells()
    index = {cell: state for state, cell in enumerate(places)}

    def outcome(cell: tuple[int, int], action: int) -> tuple[float, int, float, bool]:
        if cell in REWARDS:
            return 1.0, index[cell], 0.0, True
        right, up = MOVES[action] if action < len(MOVES) else (0, 0)
        target = cell[0] + right, cell[1] + up
        arrived = target if target in index else cell
        return 1.0, index[arrived], REWARDS.get(arrived, 0.0), arrived in REWARDS

    table = {state: {action: [outcome(cell, action)] for action in range(actions)} for state, cell in enumerate(places)}
    return FiniteWorld(table, one_hot=True)


# The paper gives no limit. The shortest path to the larger reward has 60 steps.
gymnasium.register("harness_environments/Corridor-v0", f"{__name__}:corridor", max_episode_steps=200)
