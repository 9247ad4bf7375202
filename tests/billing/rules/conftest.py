"""Stories of one course, to be told on."""

import pytest

from tests.facts.booking import accepted, confirmed
from tests.facts.clinic import paid
from tests.stand_ins.billed_clinics import PRICE
from tests.stand_ins.billing_story import Story


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def paid_story() -> Story:
    """Two sessions, paid and confirmed."""
    story = Story()
    story.hear_all(accepted(2), paid(2 * PRICE), confirmed(1), confirmed(2))
    return story
