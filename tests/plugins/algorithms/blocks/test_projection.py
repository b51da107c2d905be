"""The categorical projection: numbers by hand, two vectorised formulas and the algorithm as it was published."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness_algorithms.blocks.projection import project, scattered, weighted

SUPPORT = torch.linspace(-2, 2, 5)  # −2, −1, 0, 1, 2


def law(*masses):
    return torch.tensor([[masses]])  # [1, 1, M]


def projected(probabilities, reward, discount, support=SUPPORT):
    return project(probabilities, torch.tensor([[reward]]), torch.tensor([[discount]]), support)


def published(probabilities, reward, discount, support):
    """Algorithm 1 with its loops, in Python floats; the mass at an atom that is met goes to it."""
    low, high, last = float(support[0]), float(support[-1]), len(support) - 1
    out = torch.zeros_like(probabilities)
    for s in range(len(reward)):
        for row in range(reward.shape[1]):
            for j in range(last + 1):
                moved = min(max(float(reward[s, row]) + float(discount[s, row]) * float(support[j]), low), high)
                b = min((moved - low) / ((high - low) / last), last)
                lower, upper = math.floor(b), math.ceil(b)
                mass = float(probabilities[s, row, j])
                if lower == upper:
                    out[s, row, lower] += mass
                else:
                    out[s, row, lower] += mass * (upper - b)
                    out[s, row, upper] += mass * (b - lower)
    return out


@st.composite
def cases(draw):
    """Probabilities [S, B, M], reward and discount [S, B], support [M], in float64."""
    num_seeds, batch, atoms = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(2, 12))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    support = torch.linspace(-draw(st.floats(0, 10)), draw(st.floats(0.5, 10)), atoms, dtype=torch.float64)
    probabilities = torch.randn(num_seeds, batch, atoms, generator=generator).double().softmax(-1)
    reward = draw(st.sampled_from([0.0, 0.3, 30.0])) * torch.randn(num_seeds, batch, generator=generator)
    discount = draw(st.sampled_from([0.0, 0.5, 0.99, 1.0])) * torch.ones(num_seeds, batch)
    return probabilities, reward.double(), discount.double(), support


def test_a_projection_by_hand():
    # atoms go to −0.75, −0.25, 0.25, 0.75, 1.25
    result = projected(law(0.0, 0.5, 0.25, 0.0, 0.25), 0.25, 0.5)

    torch.testing.assert_close(result, law(0.0, 0.125, 0.375 + 0.1875, 0.0625 + 0.1875, 0.0625))


def test_an_atom_that_meets_an_atom_loses_no_mass():
    probabilities = law(0.125, 0.25, 0.25, 0.25, 0.125)

    assert torch.equal(projected(probabilities, 0.0, 1.0), probabilities)
    assert torch.equal(projected(law(0.5, 0.5, 0.0, 0.0, 0.0), 1.0, 1.0), law(0.0, 0.5, 0.5, 0.0, 0.0))


@pytest.mark.parametrize(
    ("reward", "expected"),
    [(1.0, (0, 0, 0, 1, 0)), (0.25, (0, 0, 0.75, 0.25, 0)), (9.0, (0, 0, 0, 0, 1)), (-9.0, (1, 0, 0, 0, 0))],
)
def test_a_terminal_row_puts_all_mass_at_its_clipped_reward(reward, expected):
    torch.testing.assert_close(projected(law(0.1, 0.2, 0.3, 0.2, 0.2), reward, 0.0), law(*map(float, expected)))


def test_what_leaves_the_support_gathers_at_its_end():
    torch.testing.assert_close(
        projected(law(0.125, 0.125, 0.25, 0.25, 0.25), 1.5, 1.0), law(0.0, 0.0625, 0.125, 0.1875, 0.625)
    )


@given(cases())
@settings(max_examples=60, deadline=None)
def test_the_projection_is_the_published_algorithm(case):
    torch.testing.assert_close(project(*case), published(*case))


@given(cases())
@settings(max_examples=60, deadline=None)
def test_scattering_and_weighting_agree(case):
    probabilities, reward, _, support = case
    last = len(support) - 1
    for position in (
        (reward[..., None] + torch.arange(last + 1)).clamp(0, last),  # between atoms as a rule
        torch.arange(last + 1).flip(0).double().expand_as(probabilities),  # on them
    ):
        torch.testing.assert_close(scattered(probabilities, position), weighted(probabilities, position))


@given(cases())
@settings(max_examples=60, deadline=None)
def test_mass_is_kept_always_and_the_mean_where_nothing_is_clipped(case):
    probabilities, reward, discount, support = case
    result = project(*case)
    mean = (result * support).sum(-1)
    moved = reward[..., None] + discount[..., None] * support
    inside = ((moved >= support[0]) & (moved <= support[-1])).all(-1)

    assert bool((result >= 0).all())
    torch.testing.assert_close(result.sum(-1), torch.ones_like(reward))
    torch.testing.assert_close(mean[inside], (probabilities * moved).sum(-1)[inside])


def test_the_mass_of_the_published_support_is_kept_in_float32():
    support = torch.linspace(-10, 10, 51)
    generator = torch.Generator().manual_seed(0)
    probabilities = (5 * torch.randn(10, 32, 51, generator=generator)).softmax(-1)
    reward = torch.randint(-12, 12, (10, 32), generator=generator).float()
    result = project(probabilities, reward, 0.99 * torch.ones(10, 32), support)

    assert float((result.sum(-1) - 1).abs().max()) < 1e-6


def test_rows_have_rewards_and_discounts_of_their_own():
    probabilities = law(0.25, 0.25, 0.25, 0.25, 0.0).expand(1, 2, 5)
    result = project(probabilities, torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0]]), SUPPORT)

    assert result.tolist() == [[[0, 0.25, 0.25, 0.25, 0.25], [0, 0, 1, 0, 0]]]


@pytest.mark.parametrize("formula", [scattered, weighted])
@pytest.mark.parametrize("position", [math.nan, 2.5])
def test_a_seed_that_diverged_leaves_the_laws_of_the_others_alone(formula, position):
    probabilities = torch.full((2, 3, 5), 0.2)
    positions = torch.arange(5.0).expand(2, 3, 5).clone()
    positions[0] = position

    assert torch.equal(formula(probabilities, positions)[1], probabilities[1])


def test_the_probabilities_given_are_not_changed():
    probabilities = law(0.25, 0.25, 0.25, 0.25, 0.0)
    before = probabilities.clone()
    projected(probabilities, 0.5, 0.5)

    assert torch.equal(probabilities, before)
