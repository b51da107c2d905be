"""CartPole seen as images as array functions."""

import torch

from harness_environments.arrays import cartpole

initial, step, state_of = cartpole.initial, cartpole.step, cartpole.state_of

SIDE = 16  # pixels
MIDDLE = 7.5  # column of the middle of the track
PER_METRE = 5 / cartpole.FARTHEST  # columns: the cart and its pole are seen wherever an episode goes on
CART = (13, 14)  # rows; the pole is drawn from the row above them
POLE = 12  # rows: longer than in true proportion, so that its angle is seen
CART_WIDTH = 1.5  # columns either way from its middle to its edge


def observe(state: torch.Tensor) -> torch.Tensor:
    """Images, uint8 [..., 1, 16, 16], of position and angle: soft edges show both to a fraction of a pixel."""
    cart = state[..., 0, None, None] * PER_METRE + MIDDLE
    rows, columns = (torch.arange(SIDE, device=state.device, dtype=state.dtype) for _ in range(2))
    above = CART[0] - rows[:, None]
    pole = cart + above * state[..., 2, None, None].tan()
    on_pole = (1 - (columns - pole).abs()).clamp(0, 1) * ((above > 0) & (above <= POLE))
    on_cart = (CART_WIDTH + 0.5 - (columns - cart).abs()).clamp(0, 1) * ((above <= 0) & (rows[:, None] <= CART[1]))
    return ((on_pole + on_cart) * 255).round().byte().unsqueeze(-3)
