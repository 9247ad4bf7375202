"""Stories of one course, to be told on."""

import pytest

from tests.facts.booking import course_accepted, session_confirmed
from tests.facts.clinic import payment_captured
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_story import Story


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def paid_story() -> Story:
    """Two sessions, paid and confirmed."""
    story = Story()
    story.hear_all(course_accepted(2), payment_captured(2 * PRICE), session_confirmed(1), session_confirmed(2))
    return story
