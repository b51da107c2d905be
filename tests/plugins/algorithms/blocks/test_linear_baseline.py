"""The linear baseline: exact where values are linear in its features, least squares elsewhere, a fit for every row."""

import numpy as np
import torch

from harness_algorithms.blocks.linear_baseline import REGULARISATION, features, linear_values

ROWS, BATCH, HORIZON, OBS = 3, 5, 30, 2


def trajectories(seed=0):
    generator = torch.Generator().manual_seed(seed)
    obs = torch.randn(ROWS, BATCH, HORIZON, OBS, generator=generator)
    return obs, torch.ones(ROWS, BATCH, HORIZON, dtype=torch.bool), generator


def test_features_are_state_time_and_their_powers():
    obs = torch.tensor([[[0.5, -20.0], [1.0, 2.0]]])
    expected = [[0.5, -10, 0.25, 100, 0, 0, 0, 1], [1.0, 2.0, 1.0, 4.0, 0.01, 1e-4, 1e-6, 1]]

    torch.testing.assert_close(features(obs), torch.tensor([expected], dtype=torch.float64), rtol=0, atol=1e-15)


def test_returns_that_are_linear_in_the_features_are_met_by_every_row_with_its_own_weights():
    obs, counted, generator = trajectories()
    weights = torch.randn(ROWS, 1, 2 * OBS + 4, 1, generator=generator, dtype=torch.float64)
    returns = (features(obs) @ weights).squeeze(3)

    torch.testing.assert_close(linear_values(obs, returns, counted), returns, atol=1e-3, rtol=0)  # regularised


def test_values_are_the_regularised_least_squares_of_numpy():
    obs, counted, generator = trajectories()
    returns = torch.randn(ROWS, BATCH, HORIZON, generator=generator, dtype=torch.float64)
    values = linear_values(obs, returns, counted)
    for row in range(ROWS):
        x, y = features(obs[row]).flatten(0, 1).numpy(), returns[row].flatten().numpy()
        root = np.sqrt(REGULARISATION) * np.eye(x.shape[1])
        weights, *_ = np.linalg.lstsq(np.vstack((x, root)), np.concatenate((y, np.zeros(x.shape[1]))), rcond=None)
        torch.testing.assert_close(values[row].flatten(), torch.from_numpy(x @ weights), atol=1e-8, rtol=0)


def test_what_never_happens_is_not_fitted():
    obs, counted, generator = trajectories()
    returns = torch.randn(ROWS, BATCH, HORIZON, generator=generator, dtype=torch.float64)
    counted[:, 2, 11:] = False
    other = torch.where(counted, returns, 1e6)
    with_other_obs = torch.where(counted.unsqueeze(3), obs, 77.0)
    expected = linear_values(obs, returns, counted)

    assert torch.equal(linear_values(obs, other, counted), expected)
    assert torch.equal(linear_values(with_other_obs, other, counted)[counted], expected[counted])


def test_observations_that_do_not_vary_are_no_trouble():
    """Then features repeat each other, and only the regularisation keeps the equations solvable."""
    _, counted, _ = trajectories()
    returns = torch.arange(HORIZON, dtype=torch.float64).expand(ROWS, BATCH, HORIZON)
    values = linear_values(torch.full((ROWS, BATCH, HORIZON, OBS), 10.0), returns, counted)

    torch.testing.assert_close(values, returns.contiguous(), atol=1e-2, rtol=0)
