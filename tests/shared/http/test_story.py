"""What an operator reads over HTTP of one course: on a real database."""

from tests.facts.course import COURSE, session_id
from tests.stand_ins.booking_desk import Desk, wish

STORY = f"/ops/courses/{COURSE}/story"


async def test_the_story_of_a_course_tells_states_in_order_and_nothing_of_its_patient(booking: Desk) -> None:
    assert (await booking.get(STORY, role="operator")).status_code == 404
    await booking.post("/v1/courses", wish(2))
    await booking.post(f"/v1/sessions/{session_id(1)}/cancel", {"by": "patient"})
    answer = await booking.get(STORY, role="operator")
    told = answer.json()
    assert [event["type"] for event in told["events"]] == [
        "booking.course.accepted.v1",
        "booking.session.cancelled.v1",
    ]
    sessions = told["events"][0]["data"]["sessions"]
    assert [(session["number"], session["state"]) for session in sessions] == [(1, "held"), (2, "held")]
    assert told["events"][1]["data"]["by"] == "patient"
    assert told["events"][1]["published_at"] is None
    for private in ("patient-1", "patient_id", "ketamine", "chair"):
        assert private not in answer.text
    assert (told["dead_letters"], told["attention"]) == ([], [])
