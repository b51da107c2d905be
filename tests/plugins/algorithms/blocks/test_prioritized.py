"""Prioritized replay: its trees against naive sums, and a test for everything that is easily got wrong."""

from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_algorithms import per_dqn, rainbow
from harness_algorithms.blocks.prioritized import PrioritizedReplay, SumTree, Tree

CAPACITY, BATCH = 6, 64
LARGEST = 1 - 2**-53  # of the doubles below 1


class Row(NamedTuple):
    """A record that tells which one it is."""

    number: torch.Tensor  # int64 [S, N]
    image: torch.Tensor  # uint8 [S, N, 2]


def doubles(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def filled_tree(leaves, fanout=2):
    """A tree with given leaves [S, capacity]."""
    tree = SumTree(*leaves.shape, "cpu", fanout)
    tree.set_(torch.arange(leaves.shape[1]).expand(leaves.shape), leaves)
    return tree


def replay_of(added, num_seeds=2, copies=1, seeds=None, capacity=CAPACITY, batch=BATCH, **options):
    """Record numbers 0, 1, …: seed s counts from 100 s."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds or range(num_seeds)]
    options = {"alpha": 0.6, "epsilon": 0.01, "weight_scale": "batch", **options}
    replay = PrioritizedReplay(Row, capacity, batch, generators, **options)
    for first in range(0, added, copies):
        number = first + 100 * torch.arange(num_seeds)[:, None] + torch.arange(copies)
        replay.add(Row(number, number.to(torch.uint8)[..., None].expand(-1, -1, 2)))
    return replay


def slots(replay, num_seeds=2):
    return torch.arange(len(replay)).expand(num_seeds, -1)


# ---- the trees


def test_the_published_example_of_a_sum_tree():
    tree = filled_tree(doubles([3, 10, 12, 4, 1, 2, 8, 2]))

    assert [level.sum(1).tolist() for level in tree._levels] == [[13, 16, 3, 10], [29, 13], [42]]
    assert tree.root.tolist() == [42]
    assert tree.leaves(tree.find(doubles([24]))).item() == 12
    segments = doubles([0, 7, 14, 21, 28, 35])
    assert tree.leaves(tree.find(segments)).tolist() == [[3, 10, 12, 12, 4, 8]]


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_trees_are_naive_sums_and_minima_whatever_is_written(data):
    num_seeds, capacity = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 40))
    fanout = data.draw(st.sampled_from([2, 3, 32]))
    sums = SumTree(num_seeds, capacity, "cpu", fanout)
    minima = Tree(num_seeds, capacity, "cpu", lambda children: children.amin(1), torch.inf, fanout)
    leaves = torch.zeros(num_seeds, capacity, dtype=torch.float64)
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**16)))
    for _ in range(3):
        size = data.draw(st.integers(1, capacity))
        index = torch.rand(num_seeds, capacity, generator=generator).argsort(1)[:, :size]  # without repetition
        values = torch.randint(1, 9, (num_seeds, size), generator=generator).double()
        sums.set_(index, values)
        minima.set_(index, values)
        leaves.scatter_(1, index, values)

    everything = torch.arange(capacity).expand(num_seeds, -1)
    assert torch.equal(sums.leaves(everything), leaves)
    assert torch.equal(sums.root, leaves.sum(1))
    assert torch.equal(minima.root, leaves.masked_fill(leaves == 0, torch.inf).amin(1))
    value = leaves.sum(1, keepdim=True) * torch.rand(num_seeds, 20, generator=generator).double()
    value = torch.cat([value.floor(), value], 1)  # on the boundaries between leaves, and within them
    naive = (leaves.cumsum(1)[:, None] <= value[:, :, None]).sum(2)
    assert torch.equal(sums.find(value), naive)


@pytest.mark.parametrize("fanout", [2, 3, 32])
def test_a_leaf_written_twice_in_a_batch_leaves_consistent_sums(fanout):
    tree = filled_tree(torch.ones(2, 40, dtype=torch.float64), fanout)
    tree.set_(torch.tensor([[7, 7, 8], [39, 0, 39]]), doubles([5, 6, 2], [3, 4, 9]))
    leaves = tree.leaves(torch.arange(40).expand(2, -1))

    assert leaves[0, 7] in (5, 6) and leaves[1, 39] in (3, 9)
    assert torch.equal(tree.root, leaves.sum(1))
    for child, parent in zip(tree._levels[:-1], tree._levels[1:], strict=True):
        assert torch.equal(child.sum(1), parent.flatten())


def test_sums_do_not_drift():
    tree = filled_tree(torch.ones(1, 100, dtype=torch.float64), 2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(500):
        tree.set_(
            torch.randint(0, 100, (1, 8), generator=generator),
            10 ** (20 * torch.rand(1, 8, generator=generator).double()),
        )
    tree.set_(torch.arange(100)[None], torch.full((1, 100), 0.5, dtype=torch.float64))

    assert tree.root.tolist() == [50]


@given(st.integers(0, 2**16), st.sampled_from([2, 3, 32]))
@settings(max_examples=60, deadline=None)
def test_a_value_at_the_total_or_between_roundings_finds_a_positive_leaf(seed, fanout):
    generator = torch.Generator().manual_seed(seed)
    leaves = torch.rand(2, 70, generator=generator, dtype=torch.float64) ** 9
    leaves *= torch.rand(2, 70, generator=generator) < 0.3
    leaves[:, 35] = 0.1
    leaves[:, 60:] = 0  # never filled
    tree = filled_tree(leaves, fanout)
    boundaries = torch.cat([leaves.cumsum(1).minimum(tree.root[:, None]), tree.root[:, None]], 1)
    above = torch.nextafter(boundaries, torch.tensor(torch.inf).double())
    for value in (boundaries, boundaries * LARGEST, above):
        index = tree.find(value)
        assert int(index.min()) >= 0 and int(index.max()) < 60
        assert bool((tree.leaves(index) > 0).all())


# ---- the replay


@pytest.mark.parametrize("added", [1, 4, CAPACITY, CAPACITY + 1, 3 * CAPACITY + 2])
def test_exactly_the_latest_records_are_sampled_with_their_indices(added):
    replay = replay_of(added)
    index, weight, record = replay.sample(0.4)
    latest = set(range(max(0, added - CAPACITY), added))

    assert len(replay) == len(latest)
    assert {n - 100 for n in record.number[1].tolist()} == latest
    assert torch.equal(index[0], record.number[0] % CAPACITY)
    assert record.image.dtype == torch.uint8
    assert torch.equal(record.image[..., 1], record.number.to(torch.uint8))
    assert weight.shape == index.shape == (2, BATCH)


def test_sampling_from_an_empty_memory_is_refused():
    with pytest.raises(ValueError, match="nothing is stored"):
        replay_of(0).sample(0.4)


def test_an_epsilon_of_zero_is_refused():
    with pytest.raises(ValueError, match="positive"):
        replay_of(0, epsilon=0.0)


def test_records_are_sampled_as_often_as_their_priorities_say():
    replay = replay_of(CAPACITY, num_seeds=1, alpha=0.5, epsilon=1.0, batch=7)
    error = doubles([0, -3, 8, 24, 0, 15])  # priorities 1, 2, 3, 5, 1, 4
    replay.update(slots(replay, 1), error)
    draws = 3000
    counts = torch.bincount(torch.cat([replay.sample(0.4)[0].flatten() for _ in range(draws)]))
    expected = draws * 7 * doubles(1, 2, 3, 5, 1, 4) / 16

    # stratified draws vary less than independent ones: 99.9 % of χ² with 5 degrees of freedom is a loose bound
    assert float(((counts - expected) ** 2 / expected).sum()) < 20.5


def test_samples_are_stratified():
    replay = replay_of(CAPACITY, alpha=1.0, epsilon=1.0, batch=CAPACITY)
    for _ in range(5):
        assert replay.sample(0.4)[0].tolist() == [list(range(CAPACITY))] * 2  # six equal parts, six records


def test_weights_are_those_of_the_paper_relative_to_the_memorys_largest():
    replay = replay_of(4, num_seeds=1, alpha=1.0, epsilon=1.0, weight_scale="memory")
    replay.update(slots(replay, 1), doubles([0, 1, 3, 15]))  # priorities 1, 2, 4, 16
    index, weight, _ = replay.sample(0.5)
    probability = doubles(1, 2, 4, 16) / 23
    published = (4 * probability) ** -0.5

    torch.testing.assert_close(weight, (published / published.max())[index].float())


def test_weights_relative_to_the_batchs_largest():
    replay = replay_of(4, num_seeds=1, alpha=1.0, epsilon=1.0, batch=2)
    replay.update(slots(replay, 1), doubles([0, 0, 15, 63]))  # priorities 1, 1, 16, 64: a 1 is rare
    for _ in range(20):
        index, weight, _ = replay.sample(0.5)
        priority = doubles(1, 1, 16, 64)[index]
        torch.testing.assert_close(weight, (priority / priority.min()).pow(-0.5).float())


@pytest.mark.parametrize("weight_scale", ["memory", "batch"])
def test_weights_are_finite_before_the_memory_is_full(weight_scale):
    replay = replay_of(2, weight_scale=weight_scale)
    replay.update(torch.zeros(2, 1, dtype=torch.int64), doubles([0.5], [0.0]))
    weight = replay.sample(1.0)[1]

    assert bool((weight.isfinite() & (weight > 0) & (weight <= 1)).all())
    assert float(weight.max()) == 1


def test_the_least_priority_is_forgotten_with_its_record():
    replay = replay_of(CAPACITY, num_seeds=1, alpha=1.0, weight_scale="memory")
    replay.update(torch.zeros(1, 1, dtype=torch.int64), doubles([1e-6]))
    assert float(replay.sample(1.0)[1].min()) < 0.011
    replay.add(Row(torch.tensor([[9]]), torch.zeros(1, 1, 2, dtype=torch.uint8)))  # over it, at priority 1

    assert torch.equal(replay.sample(1.0)[1], torch.ones(1, BATCH))


def test_beta_zero_corrects_nothing():
    replay = replay_of(4)
    replay.update(slots(replay), doubles([0, 1, 2, 3], [3, 2, 1, 0]))

    assert torch.equal(replay.sample(0.0)[1], torch.ones(2, BATCH))


def test_priorities_follow_the_latest_errors():
    replay = replay_of(3, alpha=1.0, epsilon=1e-9)
    for favourite in (0, 2, 1):
        error = torch.zeros(2, 3)
        error[:, favourite] = -5
        replay.update(slots(replay), error)
        assert set(replay.sample(0.4)[2].number[0].tolist()) == {favourite}


@pytest.mark.parametrize("config", [per_dqn.Config, rainbow.Config])
def test_records_without_error_are_hardly_replayed_at_the_defaults(config):
    options = {"alpha": config.alpha, "epsilon": config.priority_epsilon}
    replay = replay_of(100, num_seeds=1, capacity=100, batch=1_000, **options)
    replay.update(slots(replay, 1), 0.1 * (slots(replay, 1) == 7))  # the other 99 have none

    assert float((replay.sample(0.4)[0] == 7).double().mean()) > 0.7


def test_a_new_record_gets_the_largest_priority_of_its_seed():
    replay = replay_of(2, capacity=8, alpha=1.0, epsilon=1.0)
    index = torch.arange(3).expand(2, -1)
    assert replay._sums.leaves(index[:, :2]).tolist() == [[1, 1], [1, 1]]  # since the memory was empty

    replay.update(index[:, :2], doubles([0, 6], [1, 2]))
    replay.add(Row(torch.tensor([[2], [102]]), torch.zeros(2, 1, 2, dtype=torch.uint8)))
    assert replay._sums.leaves(index).tolist() == [[1, 7, 7], [2, 3, 3]]


def test_priorities_of_errors_by_hand():
    replay = replay_of(3, num_seeds=1, alpha=0.5, epsilon=0.25, largest_error=1.0)
    replay.update(slots(replay, 1), doubles([0.0, -0.5, 30.0]))

    torch.testing.assert_close(replay._sums.leaves(slots(replay, 1)), doubles([0.5, 0.75**0.5, 1.0]))


def test_an_error_that_is_differentiated_can_be_given_and_is_not_changed():
    replay, error = replay_of(3), torch.tensor([[-1.0, 2, 3], [1, 2, 3]], requires_grad=True)
    replay.update(slots(replay), error * 1)

    assert error.tolist() == [[-1, 2, 3], [1, 2, 3]]
    assert not replay.sample(0.4)[1].requires_grad


def test_records_of_several_copies_are_stored_side_by_side():
    replay = replay_of(8, copies=2)

    assert set(replay.sample(0.4)[2].number[1].tolist()) == {102, 103, 104, 105, 106, 107}


def test_a_seeds_sample_depends_on_itself_alone():
    together = replay_of(50, num_seeds=3, capacity=40)
    alone = replay_of(50, num_seeds=1, seeds=[2], capacity=40)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        (index, weight, record), (own_index, own_weight, own_record) = together.sample(0.5), alone.sample(0.5)
        assert torch.equal(index[2], own_index[0])
        assert torch.equal(weight[2], own_weight[0])
        assert torch.equal(record.number[2] - 200, own_record.number[0])
        error = torch.randn(3, BATCH, generator=generator)
        error = error.gather(1, index % BATCH)  # one error per record, however often it was sampled
        together.update(index, error)
        alone.update(own_index, error[2:])


@pytest.mark.parametrize("error", [torch.nan, torch.inf, 3.4e38])
@pytest.mark.parametrize("diverged", [0, 1])
def test_a_seed_that_diverged_leaves_the_samples_of_the_others_alone(error, diverged):
    other = 1 - diverged
    sound, broken = (replay_of(50, capacity=40) for _ in range(2))
    for _ in range(5):
        (index, weight, record), (found, found_weight, found_record) = sound.sample(0.5), broken.sample(0.5)
        assert torch.equal(found[other], index[other])
        assert torch.equal(found_weight[other], weight[other])
        assert torch.equal(found_record.number[other], record.number[other])
        assert (found_record.number[diverged] // 100 == diverged).all()
        errors = index / 40
        sound.update(index, errors)
        broken.update(found, errors.index_fill(0, torch.tensor(diverged), error))
