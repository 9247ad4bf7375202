"""How long a text is on the air."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reminders.text.segments import segments


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("é" * 160, 1),
        ("á" * 70, 1),
        ("á" * 71, 2),
        ("á" * 134, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
    ],
)
def test_parts_are_counted_as_carriers_do(body: str, parts: int) -> None:
    assert segments(body) == parts


@given(st.text(min_size=1, max_size=400), st.text(max_size=100))
def test_a_longer_text_never_takes_fewer_parts(body: str, more: str) -> None:
    assert segments(body) <= segments(body + more)
