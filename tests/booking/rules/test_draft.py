"""A draft moves a session along the table of transitions and nowhere else."""

import pytest

from services.booking.chairs.calendar import Calendar
from services.booking.rules.course import TRANSITIONS
from services.booking.rules.draft import Draft, IllegalTransition
from shared.contract.closed_sets import SessionState
from shared.decision.message import Message
from tests.facts.billing import prepayment_satisfied
from tests.facts.course import NOW
from tests.stand_ins.booking_places import PLACES
from tests.stand_ins.booking_story import accepted


@pytest.mark.parametrize(
    ("state", "to"), [(a, b) for a in SessionState for b in SessionState if b not in TRANSITIONS[a]]
)
def test_no_rule_can_move_a_session_off_the_table(state: SessionState, to: SessionState) -> None:
    story = accepted(1)
    message = Message("m", "", "", NOW, NOW, prepayment_satisfied())
    draft = Draft(PLACES, story.course(), message, NOW, Calendar())
    with pytest.raises(IllegalTransition, match=f"{state} -> {to}"):
        draft.move(story.session()._replace(state=state), to, grant=1)
