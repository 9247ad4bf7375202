"""Stops: the provider refuses the account, or a clinic's number. Texts wait, and one at a time tries again. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from services.reminders.rules.judging import LEASE
from services.reminders.rules.outcome import back_off

ACCOUNT: Final = ""
"""Stands for the clinic in a stop of the whole account."""


class Stop(NamedTuple):
    """Whose texts the provider takes none of for now.

    Attributes:
        clinic: whose number is refused; `ACCOUNT` where everybody's texts are.
        told_at: when it was last refused. An attempt that had begun before tells nothing new.
        tries: how often in a row it was refused.
        next_try_at: when one text is sent to see whether it still is.
    """

    clinic: str
    began_at: datetime
    told_at: datetime
    code: str
    tries: int
    next_try_at: datetime


Stops = Mapping[str, Stop]
"""The stops in force, by clinic; none, most of the time."""


def stop_of(stops: Stops, clinic: str) -> Stop | None:
    """The stop that a clinic's texts wait for; of one of its number and one of the account, that which tries later."""
    both = [stop for stop in (stops.get(ACCOUNT), stops.get(clinic)) if stop is not None]
    return max(both, key=lambda stop: stop.next_try_at, default=None)


def refused(stop: Stop | None, clinic: str, code: str, now: datetime) -> Stop:
    """The stop after one more refusal: each next try comes later, by a quarter of an hour at most."""
    tries = stop.tries + 1 if stop is not None else 1
    return Stop(clinic, stop.began_at if stop is not None else now, now, code, tries, now + back_off(tries))


def tried(stop: Stop, now: datetime) -> Stop:
    """The stop while a text tries: no other does before its outcome is on record, or whoever tried is dead."""
    return stop._replace(next_try_at=now + LEASE)
