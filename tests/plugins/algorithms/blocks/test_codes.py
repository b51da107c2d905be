"""Codes of observations: vectors' are certain, frames' are laws, learned from every copy and time."""

import gymnasium
import numpy as np
import pytest
import torch

from harness_algorithms.blocks.codes import Autoencoded, Seeing, Standard, unfit
from harness_algorithms.blocks.environment_model import Sight
from harness_algorithms.blocks.vae import vae

FRAMES = gymnasium.spaces.Box(0, 255, (1, 8, 8), np.uint8)


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def autoencoded(*seeds, updates=2):
    how = Seeing(size=3, channels=4, updates=updates, batch_size=8, learning_rate=3e-3)
    return Autoencoded(vae(Sight(FRAMES), 4, 3, generators(*seeds)), (generators(*seeds), generators(*seeds)), how)


def frames(*shape):
    return torch.randint(0, 256, (*shape, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_a_vector_s_code_is_its_deviation_and_certain():
    v, obs = Standard(2), torch.randn(50, 2, 3, 2, generator=torch.Generator().manual_seed(0)) * 4 + 7
    assert v.fit(obs).tolist() == [0.0, 0.0]
    mean, std = v.law(obs)
    assert torch.allclose(mean.mean((0, 2)), torch.zeros(2, 2), atol=1e-5)
    assert torch.allclose(mean.transpose(0, 1).flatten(1, 2).std(1), torch.ones(2, 2), atol=1e-5)
    assert torch.equal(mean[3], v(obs[3]))
    assert not std.any()


def test_a_controller_sees_the_mean_of_a_frame_s_code():
    v, obs = autoencoded(0, 1), frames(4, 2, 3)
    mean, std = v.law(obs)
    assert mean.shape == std.shape == (4, 2, 3, 3)
    assert torch.allclose(v(obs[2]), mean[2])
    assert (std > 0).all()


def test_frames_of_all_copies_and_times_are_learned_from_and_what_is_lost_falls(monkeypatch):
    v, obs, seen = autoencoded(0, 1, updates=40), frames(3, 2, 2), []
    original = v.network.loss
    monkeypatch.setattr(v.network, "loss", lambda batch, normal: seen.append(batch) or original(batch, normal))
    last = v.fit(obs)
    for seed in range(2):
        drawn = {bytes(frame.flatten().tolist()) for batch in seen for frame in batch[seed]}
        assert drawn == {bytes(frame.flatten().tolist()) for frame in obs[:, seed].flatten(0, 1)}
    fresh = autoencoded(0, 1).network
    before, after = (sum(net.loss(obs[0], torch.zeros(2, 2, 3))) for net in (fresh, v.network))
    assert (after < before).all()
    assert (last > 0).all()


def test_a_seed_s_codes_are_what_they_are_alone():
    both, alone, obs = autoencoded(0, 1), autoencoded(1), frames(3, 2, 2)
    both.fit(obs)
    alone.fit(obs[:, 1:])
    assert torch.equal(both(obs[0])[1], alone(obs[0, 1:])[0])


@pytest.mark.parametrize(
    ("space", "why"),
    [
        (gymnasium.spaces.Box(0, 255, (64, 64, 3), np.uint8), ""),
        (gymnasium.spaces.Box(-1, 1, (2,)), ""),
        (gymnasium.spaces.Box(-1, 1, (3, 64, 64)), "vectors"),
        (gymnasium.spaces.Box(0, 255, (64, 64, 64, 3), np.uint8), "frames"),
        (gymnasium.spaces.Box(0, 255, (4,), np.uint8), "vectors"),
    ],
)
def test_what_has_codes(space, why):
    said = unfit(space, gymnasium.spaces.Discrete(2))
    assert why in said
    assert bool(said) == bool(why)
