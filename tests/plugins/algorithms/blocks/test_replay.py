"""The replay memory and the random streams: what is stored, what is drawn, and from which stream."""

from typing import NamedTuple

import pytest
import torch

from harness_algorithms.blocks.replay import Replay
from harness_algorithms.blocks.streams import BLOCK, Uniforms

CAPACITY, BATCH = 6, 64


class Row(NamedTuple):
    """A record that tells which one it is: the same number in every field."""

    number: torch.Tensor  # int64 [S, N]
    image: torch.Tensor  # uint8 [S, N, 2, 2]
    real: torch.Tensor  # float32 [S, N, 3]


def generators(seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def row(first, num_seeds, copies=1):
    """Record numbers first, first + 1, …: seed s counts from 100 s."""
    number = first + 100 * torch.arange(num_seeds)[:, None] + torch.arange(copies)
    image = number.to(torch.uint8)[..., None, None].expand(-1, -1, 2, 2)
    return Row(number, image, number.float()[..., None].expand(-1, -1, 3))


def filled(added, num_seeds=2, copies=1, seeds=None):
    replay = Replay(Row, CAPACITY, BATCH, generators(seeds or range(num_seeds)))
    for first in range(0, added, copies):
        replay.add(row(first, num_seeds, copies))
    return replay


@pytest.mark.parametrize("added", [1, 4, CAPACITY, CAPACITY + 1, 3 * CAPACITY + 2])
def test_exactly_the_latest_records_are_sampled(added):
    replay = filled(added)
    latest = set(range(max(0, added - CAPACITY), added))
    samples = [replay.sample().number for _ in range(5)]

    assert len(replay) == len(latest)
    for seed in range(2):
        assert {n for sample in samples for n in sample[seed].tolist()} == {n + 100 * seed for n in latest}


class Pair(NamedTuple):
    """An observation and its successor."""

    obs: torch.Tensor  # [S, N]
    next_obs: torch.Tensor  # [S, N]


def test_successors_are_not_shared_with_the_next_record():
    """Memories that keep one frame for s' and the next s are wrong at ends of episodes and where the oldest is lost."""
    replay = Replay(Pair, 4, BATCH, generators([0]))
    for time in range(7):  # an episode ends at time 4: its successor, 45, is not where the next begins
        replay.add(Pair(torch.tensor([[10 * time]]), torch.tensor([[10 * time + 10 if time != 4 else 45]])))
    sample = replay.sample()

    assert set(zip(sample.obs[0].tolist(), sample.next_obs[0].tolist(), strict=True)) == {
        (30, 40),
        (40, 45),
        (50, 60),
        (60, 70),
    }


def test_fields_of_a_record_stay_together_and_keep_their_dtypes_and_shapes():
    sample = filled(CAPACITY + 2).sample()

    assert sample.number.shape == (2, BATCH)
    assert sample.image.shape == (2, BATCH, 2, 2)
    assert (sample.number.dtype, sample.image.dtype, sample.real.dtype) == (torch.int64, torch.uint8, torch.float32)
    assert torch.equal(sample.image[..., 0, 0], sample.number.to(torch.uint8))
    assert torch.equal(sample.real[..., 2], sample.number.float())


def test_records_of_several_copies_are_stored_side_by_side():
    replay = filled(added=8, copies=2)

    assert {n for _ in range(5) for n in replay.sample().number[1].tolist()} == {102, 103, 104, 105, 106, 107}


def test_a_capacity_that_copies_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="no multiple of 4"):
        filled(added=4, copies=4)


def test_a_stored_record_does_not_follow_later_changes_of_what_was_added():
    replay, record = Replay(Row, CAPACITY, BATCH, generators(range(2))), row(7, 2)
    replay.add(record)
    record.number.zero_()

    assert set(replay.sample().number[0].tolist()) == {7}


def test_a_seeds_sample_depends_on_its_own_stream_alone():
    together, alone = filled(4, num_seeds=3), filled(4, num_seeds=1, seeds=[2])

    for _ in range(3):
        assert torch.equal(together.sample().number[2] - 200, alone.sample().number[0])


def test_seeds_sample_differently():
    numbers = filled(CAPACITY).sample().number

    assert not torch.equal(numbers[0], numbers[1] - 100)


def test_sampling_is_uniform():
    replay = filled(CAPACITY)
    draws = 200 * BATCH
    counts = torch.bincount(torch.cat([replay.sample().number[0] for _ in range(200)]), minlength=CAPACITY)

    assert (counts - draws / CAPACITY).abs().max() < 5 * (draws / CAPACITY) ** 0.5


def test_the_largest_uniform_number_samples_a_stored_record():
    largest = 1 - 2**-53
    for stored in (1, 3, 10_000, 2**20 - 1, 2**20, 10**6):
        assert int(torch.tensor(largest, dtype=torch.float64) * stored) == stored - 1


def test_uniforms_are_the_generators_numbers_in_order_across_blocks():
    drawn = Uniforms(generators([3, 5]), 2)
    numbers = torch.stack([drawn() for _ in range(2 * BLOCK)], 1)  # [S, calls, 2]

    for seed, seen in zip([3, 5], numbers, strict=True):
        generator = torch.Generator().manual_seed(seed)
        expected = [torch.rand(BLOCK, 2, generator=generator, dtype=torch.float64) for _ in range(2)]
        assert torch.equal(seen, torch.cat(expected))


def test_uniforms_drawn_before_are_not_overwritten():
    drawn = Uniforms(generators([0]), 2)
    first = drawn()
    kept = first.clone()
    for _ in range(2 * BLOCK):
        drawn()

    assert torch.equal(first, kept)
