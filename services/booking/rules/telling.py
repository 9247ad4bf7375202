"""The fields of a course and its sessions in booking's events. Pure."""

from typing import Any

from services.booking.rules.course import Course, Session
from shared.contract.booking import BookedSession


def booked_fields(course: Course, session: Session) -> dict[str, Any]:
    """The fields of a session that every event about it has."""
    return {
        "session_id": session.session_id,
        "number": session.number,
        "of": len(course.sessions),
        "state": session.state,
        "starts_at": session.starts_at,
        "ends_at": session.ends_at,
        "time_zone": session.time_zone,
        "chair": session.chair,
        "provider": session.provider,
        "version": session.version,
    }


def course_in_events(course: Course) -> dict[str, Any]:
    """The fields of `CourseAccepted` and `CourseChanged`."""
    assert course.request is not None
    request = course.request
    return {
        "course_id": course.course_id,
        "patient_id": request.patient_id,
        "companions": request.companions,
        "location": request.location,
        "treatment": request.treatment,
        "payer": request.payer,
        "insurance": request.insurance,
        "package": request.package,
        "hold_expires_at": course.hold_expires_at,
        "sessions": tuple(BookedSession.model_construct(**booked_fields(course, s)) for s in course.sessions),
    }
