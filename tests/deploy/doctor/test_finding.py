"""How bad a finding is."""

import pytest

from deploy.doctor.finding import State, clock


@pytest.mark.parametrize(
    ("ahead", "state"), [(0.4, State.OK), (-1.9, State.OK), (5, State.WARNING), (-61, State.FAILED)]
)
def test_a_clock_that_is_off_is_worse_the_more_it_is(ahead: float, state: State) -> None:
    assert clock("clock", "its clock", ahead).state is state
