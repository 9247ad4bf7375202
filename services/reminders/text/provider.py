"""What is handed to a provider of texts, and what comes of it. Pure values."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final
from uuid import UUID

from shared.contract.closed_sets import TextKind


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has it, under this id."""

    label: ClassVar[str] = "accepted"

    sid: str


@dataclass(frozen=True, slots=True)
class ProviderRefused:
    """The provider will never send it; `code` is the provider's."""

    label: ClassVar[str] = "refused"

    code: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """Proven not sent: it may be tried again."""

    label: ClassVar[str] = "unsent"

    code: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been sent: it must not be tried again."""

    label: ClassVar[str] = "unknown"

    code: str


@dataclass(frozen=True, slots=True)
class Barred:
    """Nothing was sent, and nothing would be: the provider refuses who sends, whatever the text.

    Attributes:
        number: the clinic's own number is refused, not the account.
    """

    label: ClassVar[str] = "barred"

    code: str
    number: bool = False


Outcome = Accepted | ProviderRefused | Unsent | Unknown | Barred
"""What came of one call; `label` is its word in metrics and logs."""

OPTED_OUT: Final = "21610"
"""Twilio's code for a number whose owner has opted out."""


@dataclass(frozen=True, slots=True)
class OutgoingText:
    """One attempt at one text.

    Attributes:
        to: E.164. Never for a log.
        at: our clock at the attempt.
        valid_for: how long the provider may keep it in its queue.
    """

    text_id: UUID
    attempt_id: UUID
    clinic: str
    kind: TextKind
    to: str
    body: str
    segments: int
    at: datetime
    valid_for: timedelta


@dataclass(frozen=True, slots=True)
class Sought:
    """An attempt that is looked for in the provider's list: what went where, in whose name, and when."""

    clinic: str
    to: str
    body: str
    attempted_at: datetime


@dataclass(frozen=True, slots=True)
class Found:
    """A message in the provider's list."""

    sid: str
    status: str
    code: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """What is on record of one text besides its plan.

    Attributes:
        code: the provider's, of the last attempt that failed.
        provider_status: the provider's last word.
        wording, source: of the consent that allowed it.
    """

    body: str | None
    segments: int | None
    attempts: int
    attempted_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    code: str | None
    provider_status: str | None
    wording: str | None
    source: str | None
    recorded_at: datetime | None
    provider_sid: str | None = None
