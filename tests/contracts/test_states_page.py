"""The page of a session's states is the table of the code, and the table says what each way tells."""

from pathlib import Path

import pytest

from deploy.reference.states_page import page
from services.booking.rules.course import OCCUPYING, OVER, TRANSITIONS
from shared.contract.closed_sets import SessionState

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_what_the_code_says() -> None:
    assert (DOCS / "states.md").read_text() == page(), "run `chairtime export-schemas docs`"


@pytest.mark.parametrize("state", SessionState)
def test_every_way_of_the_table_is_in_the_picture_and_none_besides(state: SessionState) -> None:
    picture = page().partition("```mermaid")[2].partition("```")[0]
    ways = {line.split()[2].rstrip(":") for line in picture.splitlines() if line.strip().startswith(f"{state} --> ")}
    assert ways == set(TRANSITIONS[state]) or (ways == {"[*]"} and not TRANSITIONS[state])


def test_every_state_has_its_row_and_stands_in_the_table() -> None:
    assert set(TRANSITIONS) == set(SessionState) == OCCUPYING | OVER
    for state in SessionState:
        assert f"\n| `{state}` | " in page()


def test_what_is_over_never_has_a_chair() -> None:
    assert not OCCUPYING & OVER
