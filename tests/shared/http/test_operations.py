"""How far a service has come, as an operator reads it over HTTP: on a real database."""

from tests.stand_ins.booking_desk import Desk
from tests.stand_ins.openapi import lacking_examples


async def test_how_far_it_has_heard_is_told_by_partition(booking: Desk) -> None:
    assert (await booking.get("/ops/heard", role="operator")).json() == []
    await booking.service.worker.pass_over({("clinic.requests", 2): 17, ("billing.events", 0): 4})
    assert (await booking.get("/ops/heard", role="operator")).json() == [
        {"topic": "billing.events", "partition": 0, "next_offset": 4},
        {"topic": "clinic.requests", "partition": 2, "next_offset": 17},
    ]


async def test_what_is_read_here_has_examples(booking: Desk) -> None:
    document = booking.app.openapi()
    reads = ("/ops/courses/{course_id}/story", "/ops/heard", "/ops/dead-letters/{id}")
    only = document | {"paths": {path: {"get": document["paths"][path]["get"]} for path in reads}}
    assert lacking_examples(only, "/ops/") == []
