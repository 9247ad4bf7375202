"""What an operator is shown of a letter: on a real database."""

from tests.stand_ins.booking_desk import Desk
from tests.stand_ins.road import raw


async def test_a_letter_shows_its_place_and_attributes_but_neither_its_bytes_nor_headers_that_nobody_knows(
    booking: Desk,
) -> None:
    garbage = raw("clinic.requests", b"Robin Example", [("ce_id", b"a"), ("x-name", b"Robin")], at=booking.clock.now())
    await booking.service.worker.on_records([garbage])
    (letter,) = (await booking.get("/ops/dead-letters", role="operator")).json()
    answer = await booking.get(f"/ops/dead-letters/{letter['id']}", role="operator")
    shown = answer.json()
    assert (shown["kind"], shown["status"], shown["value_bytes"], shown["behind"]) == ("unreadable", "open", 13, 0)
    assert (shown["topic"], shown["partition"], shown["kafka_offset"]) == garbage[:3]
    assert shown["headers"] == [["ce_id", "a"], ["x-name", None]]
    assert "Robin" not in answer.text
    assert (await booking.get("/ops/dead-letters/99", role="operator")).status_code == 404
