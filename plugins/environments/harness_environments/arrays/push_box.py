"""Push-box as array functions, and the levels that both forms of it draw.

A board has 5 x 5 cells inside a wall, hence 7 x 7, numbered row by row. A state is int64 [..., 4]: walls, goals and
boxes, each a sum of 2ⁱ over their cells i, and the agent's cell. Actions 0 to 3 go up, right, down and left.

A level is drawn backwards, so that it can be solved (as in Racanière et al., 2017, arXiv:1707.06203, section 5.1):
boxes stand on their goals, an agent walks at random and pulls what it can, and of what it comes by, the farthest
displacement is kept. Then it walks on without pulling. Levels with a box on a goal are drawn again.
"""

import math

import gymnasium
import torch

SIDE = 7  # cells, with the wall
WALLS = 2  # on the 25 cells inside
STEP, ON_GOAL, SOLVED = -0.1, 1.0, 10.0  # paid: for each step, for a box onto a goal (or off it, less), at the end
ROOM = 4  # levels drawn for one that fits: of two boxes a quarter of levels have none on a goal
PULLS, WALK = 48, 16  # steps of the agent that draws a level, pulling and then not
MOVES = (-SIDE, 1, SIDE, -1)  # what an action adds to the agent's cell
INSIDE = [SIDE * row + column for row in range(1, SIDE - 1) for column in range(1, SIDE - 1)]
BORDER = sum(1 << cell for cell in range(SIDE**2) if cell not in INSIDE)


def initial(generator: torch.Generator, shape: tuple[int, ...], boxes: int = 2) -> torch.Tensor:
    """Levels [*shape, 4] that can be solved, with as many goals as boxes."""
    levels = torch.zeros(0, 4, dtype=torch.int64, device=generator.device)
    while (missing := math.prod(shape) - len(levels)) > 0:
        drawn = _drawn(generator, ROOM * missing + ROOM**2, boxes)
        fit = drawn[:, 1] & drawn[:, 2] == 0
        levels = torch.cat((levels, drawn[fit][:missing]))
    return levels.view(*shape, 4)


def _drawn(generator: torch.Generator, number: int, count: int) -> torch.Tensor:
    """Levels [number, 4], some with boxes on goals."""
    device = generator.device
    inside, steps = torch.tensor(INSIDE, device=device), torch.tensor(MOVES, device=device)
    cells = inside[torch.rand(number, len(INSIDE), generator=generator, device=device).argsort(1)]
    walls = (1 << cells[:, :WALLS]).sum(1) + BORDER
    boxes = goals = cells[:, WALLS : WALLS + count]  # [number, count]: which box is which matters for displacement
    agent = cells[:, WALLS + count]
    best, most = (boxes, agent), torch.zeros_like(agent)
    moves = steps[torch.randint(4, (PULLS + WALK, number), generator=generator, device=device)]
    distances = _distances(device)
    for move in moves[:PULLS]:
        boxes, agent = _back(walls, boxes, agent, move, pulling=True)
        displacement = distances[boxes, goals].sum(1)
        farther = displacement > most
        best = torch.where(farther[:, None], boxes, best[0]), torch.where(farther, agent, best[1])
        most = torch.maximum(most, displacement)
    boxes, agent = best
    for move in moves[PULLS:]:
        boxes, agent = _back(walls, boxes, agent, move, pulling=False)
    return torch.stack((walls, (1 << goals).sum(1), (1 << boxes).sum(1), agent), 1)


def _back(
    walls: torch.Tensor, boxes: torch.Tensor, agent: torch.Tensor, move: torch.Tensor, pulling: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes and agent one step before: it goes a step, and takes along a box that stands behind it."""
    ahead = agent + move
    free = ((walls | (1 << boxes).sum(1)) >> ahead) & 1 == 0
    if pulling:
        behind = boxes == (agent - move)[:, None]
        boxes = torch.where(behind & free[:, None], agent[:, None], boxes)
    return boxes, torch.where(free, ahead, agent)


def _distances(device: torch.device) -> torch.Tensor:
    """Rows and columns between any two cells, added: int64 [49, 49]."""
    cells = torch.arange(SIDE**2, device=device)
    places = torch.stack((cells // SIDE, cells % SIDE), 1)
    return (places[:, None] - places).abs().sum(2)


def step(state: torch.Tensor, action: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Successors, rewards and terminations of an action."""
    walls, goals, boxes, agent = state.unbind(-1)
    by = torch.tensor(MOVES, device=state.device)[action]
    ahead = agent + by
    beyond = (ahead + by).clamp(0, SIDE**2 - 1)  # outside only where a wall is ahead
    box_ahead = (boxes >> ahead) & 1
    open_ahead = 1 - ((walls >> ahead) & 1)
    room = 1 - (((walls | boxes) >> beyond) & 1)
    pushed = open_ahead * box_ahead * room
    moved = open_ahead * (1 - box_ahead) + pushed
    boxes = boxes ^ (pushed << ahead) ^ (pushed << beyond)
    came_on = pushed * (((goals >> beyond) & 1) - ((goals >> ahead) & 1))
    solved = boxes == goals
    reward = STEP + came_on * ON_GOAL + solved * SOLVED
    return torch.stack((walls, goals, boxes, agent + moved * by), -1), reward.double(), solved


def observe(state: torch.Tensor) -> torch.Tensor:
    """Planes of walls, goals, boxes and the agent: bool [..., 4, 7, 7]."""
    walls, goals, boxes, agent = state.unbind(-1)
    masks = torch.stack((walls, goals, boxes, 1 << agent), -1).unsqueeze(-1)
    cells = torch.arange(SIDE**2, device=state.device)
    return ((masks >> cells) & 1).bool().unflatten(-1, (SIDE, SIDE))


def state_of(env: gymnasium.Env) -> torch.Tensor:
    """The state [4] of the environment."""
    return torch.from_numpy(env.state)
