"""One contestant, one spelling: labels must not depend on how somebody typed a selection."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.discovery.selection import Selection, SelectionError, parse_selection


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("dqn", "dqn"),
        (" sb3/dqn ", "sb3/dqn"),
        ("dqn:paper", "dqn:paper"),
        ("dqn[lr=1e-3]", "dqn[lr=0.001]"),
        ("dqn[ b = 2,a=1 ]", "dqn[a=1, b=2]"),
        ("dqn:paper[epsilon={until=0.3, start=1_000}]", "dqn:paper[epsilon.start=1000, epsilon.until=0.3]"),
        ("dqn[hidden=[64,64,], dueling=true]", "dqn[dueling=true, hidden=[64, 64]]"),
        ("dqn[schedule='linear, \"fast\"']", r'dqn[schedule="linear, \"fast\""]'),
        ("dqn[clip=inf, tiny=1e-9, huge=1e400]", "dqn[clip=inf, huge=inf, tiny=1e-09]"),
        ("dqn[layers=[{width=2, act='relu'}], extra={}]", 'dqn[extra={}, layers=[{act="relu", width=2}]]'),
        ("dqn['a.b'=1, 'ü'=2]", 'dqn["a.b"=1, "ü"=2]'),
        ("dqn[path='C:\\new]']", r'dqn[path="C:\\new]"]'),
    ],
)
def test_a_selection_has_one_spelling_and_reading_it_again_changes_nothing(written: str, text: str):
    selection = parse_selection(written)
    assert selection.text == text
    assert selection.id + selection.variant == text
    assert parse_selection(text) == selection


@pytest.mark.parametrize("value", ["2024-01-01", "07:32:00", "[1979-05-27T07:32:00Z]", "{when=2024-01-01}"])
def test_dates_are_no_configuration(value: str):
    with pytest.raises(SelectionError, match="is a date or a time"):
        parse_selection(f"dqn[since={value}]")


VALUES = st.recursive(
    st.booleans() | st.integers(-10, 10**18) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


KEYS = st.text(max_size=4).filter(lambda key: key != "]")  # which the reader keeps for itself


@settings(deadline=None)  # a loaded machine is no failure
@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
@example({"a": {"b": {}}, "text": "zero\u200bwidth"})
@example({"a": "\x7f"})
def test_any_legible_overrides_survive_being_written_and_read(overrides: dict[str, object]):
    text = Selection("dqn", "paper", overrides).text
    try:
        selection = parse_selection(text)
    except SelectionError:
        assert not text.isprintable() or len(text) > 1_000
    else:
        assert selection.overrides == overrides
        assert selection.text == text


@pytest.mark.parametrize("value", [r'"\u200B"', "[" + "1e15, " * 120 + "]"])
def test_what_would_make_no_label_is_refused(value: str):
    with pytest.raises(SelectionError, match="short and printable"):
        parse_selection(f"dqn[value={value}]")
