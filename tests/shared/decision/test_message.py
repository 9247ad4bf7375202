"""A message as it is stored, and ids that follow from names."""

import json
from datetime import datetime
from uuid import uuid5

from hypothesis import given
from hypothesis import strategies as st

from shared.decision.message import NAMESPACE, derived_id, event_id, from_stored, to_stored
from shared.kafka.envelope import read
from tests.stand_ins.clinic_records import NOW, TRACE, contact, payment, request


def test_a_message_that_waits_in_a_state_comes_back_the_same() -> None:
    for record in (payment(traceparent=TRACE.encode()), request({"plan": {"first_day": "2026-11-09"}}), contact({})):
        message = read(record, NOW)
        stored = json.loads(json.dumps(to_stored(message), default=datetime.isoformat))
        assert from_stored(stored) == message._replace(record=None)


@given(st.text(), st.integers(0, 99))
def test_ids_that_follow_from_a_name_are_uuids_of_version_5(name: str, number: int) -> None:
    assert derived_id(name) == uuid5(NAMESPACE, name)
    assert event_id("booking", name, number) == str(uuid5(NAMESPACE, f"booking/{name}/{number}"))
