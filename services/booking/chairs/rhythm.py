"""The rhythm of a series: how close and how far apart its sessions may lie. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from services.booking.chairs.protocol import Protocol
from shared.configuration.clinic import Location
from shared.contract.booking import Conflict
from shared.contract.closed_sets import Refusal


def rhythm(protocol: Protocol, location: Location, starts: Iterable[tuple[UUID, datetime]]) -> list[Conflict]:
    """What is wrong with the gaps and the length of a series; the later session is named."""
    conflicts: list[Conflict] = []
    wall = sorted(
        ((id, location.local(starts_at).replace(tzinfo=None)) for id, starts_at in starts), key=lambda one: one[1]
    )
    for number, ((_, earlier), (session_id, later)) in enumerate(pairwise(wall), start=2):
        gaps = protocol.gaps_before(number)
        if later - earlier < gaps.smallest:
            conflicts.append(Conflict(session_id=session_id, code=Refusal.TOO_CLOSE))
        elif later - earlier > gaps.largest:
            conflicts.append(Conflict(session_id=session_id, code=Refusal.TOO_FAR))
    if wall and wall[-1][1] - wall[0][1] > timedelta(days=protocol.window_days):
        conflicts.append(Conflict(session_id=wall[-1][0], code=Refusal.OUTSIDE_WINDOW))
    return conflicts


def clashes(
    protocol: Protocol,
    location: Location,
    before: Sequence[tuple[UUID, datetime]],
    after: Sequence[tuple[UUID, datetime]],
) -> list[Conflict]:
    """What a change does to the rhythm; what was wrong before, as around a cancelled session, does not count."""
    known = rhythm(protocol, location, before)
    return [clash for clash in rhythm(protocol, location, after) if clash not in known]


def fits(
    protocol: Protocol, location: Location, others: Sequence[tuple[UUID, datetime]], one: tuple[UUID, datetime]
) -> bool:
    """Whether a session stands in the rhythm between its neighbours, whatever is wrong with the others."""
    after = next((id for id, at in sorted(others, key=lambda other: other[1]) if at > one[1]), one[0])
    known = rhythm(protocol, location, others)
    found = rhythm(protocol, location, [*others, one])
    return all(clash in known and clash.session_id not in (one[0], after) for clash in found)
