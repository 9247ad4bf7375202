"""A trace is handed on as it came, or made of what the message is: always the same for the same message."""

from uuid import uuid4

import pytest

from shared.decision import trace

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        GIVEN.upper(),
        GIVEN + "-more",
        f"ff-{GIVEN[3:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        "a person's name",
    ],
)
def test_what_is_no_trace_is_left_behind(text: str | None) -> None:
    assert trace.given(text) is None


def test_a_made_trace_is_one_that_others_take_and_the_same_each_time() -> None:
    for id in (str(uuid4()), "payment-1043", "x", "00000000-0000-0000-0000-000000000000"):
        made = trace.made_of(id)
        assert trace.given(made) == made == trace.made_of(id)
    assert trace.made_of("payment-1043") != trace.made_of("payment-1044")


def test_of_a_uuid_the_trace_id_can_be_told_at_once() -> None:
    assert trace.id_of(trace.made_of("5f4c2a1e-8d36-4b8e-9a53-0c6f1b2d7e01")) == "5f4c2a1e8d364b8e9a530c6f1b2d7e01"
