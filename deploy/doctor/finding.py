"""What a look at one thing has found."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How it stands."""

    OK = "ok"
    WARNING = "warning"
    """It works, and should not stay so; or it could not be looked at from here."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome.

    Attributes:
        check: what was looked at; stable, for those who read JSON.
        told: what was seen, in a line, without a secret or a person in it.
        fix: what to do about it; None where it is ok.
    """

    check: str
    state: State
    told: str
    fix: str | None = None


def ok(check: str, told: str) -> Finding:
    """As it should be."""
    return Finding(check, State.OK, told)


def warning(check: str, told: str, fix: str) -> Finding:
    """Not as it should be, or not seen."""
    return Finding(check, State.WARNING, told, fix)


def failed(check: str, told: str, fix: str) -> Finding:
    """It cannot work like this."""
    return Finding(check, State.FAILED, told, fix)


NTP = "let NTP set the clock of this machine and of that server"


def clock(check: str, whose: str, ahead_seconds: float) -> Finding:
    """Whether another clock shows what ours does: deadlines count by both.

    Args:
        ahead_seconds: by how much it is ahead of ours; negative where it is behind.
    """
    off = f"{whose} is {abs(ahead_seconds):.1f} s {'ahead of' if ahead_seconds > 0 else 'behind'} this machine's"
    if abs(ahead_seconds) > 60:
        return failed(check, off, NTP)
    return warning(check, off, NTP) if abs(ahead_seconds) > 2 else ok(check, off)
