"""What several wait for is computed at once, when the first of them needs it."""

from harness_algorithms.parallel.together import Together


def squares(most=10):
    """A function together, and the arguments of each of its calls."""
    calls = []

    def function(asked):
        calls.append(asked)
        return [number**2 for (number,) in asked]

    return Together(function, most), calls


def test_nothing_is_computed_before_it_is_needed_and_then_all_that_was_asked_for():
    together, calls = squares()
    first, second = together.later(2), together.later(3)
    assert calls == []
    assert second() == 9
    third = together.later(4)
    assert (first(), second(), third()) == (4, 9, 16)
    assert calls == [[(2,), (3,)], [(4,)]]


def test_no_more_are_computed_at_once_than_may_be():
    together, calls = squares(most=2)
    asked = [together.later(number) for number in range(5)]
    assert [each() for each in asked] == [0, 1, 4, 9, 16]
    assert [len(call) for call in calls] == [2, 2, 1]
