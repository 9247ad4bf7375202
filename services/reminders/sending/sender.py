"""What can send a text: the protocol of a provider, and the console, which only shows it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from services.reminders.text.provider import Accepted, Found, Outcome, OutgoingText, Sought


class Sender(Protocol):
    """Who sends texts. Never called inside a transaction.

    `traceable`: whether what became of an attempt can still be learned afterwards.
    """

    traceable: bool

    async def find(self, sought: Sought) -> Sequence[Found]:
        """Every message of the provider's list that can be this attempt; the list may lag by hours."""
        ...

    async def send(self, text: OutgoingText) -> Outcome:
        """Try once."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class ConsoleSender:
    """Shows texts instead of sending them.

    Args:
        show: gets each text once.
    """

    traceable = False

    def __init__(self, show: Callable[[OutgoingText], None]) -> None:
        self._show = show

    async def send(self, text: OutgoingText) -> Outcome:
        self._show(text)
        return Accepted(f"SM{text.attempt_id.hex}")  # as a provider has them: its reports can be tried

    async def find(self, sought: Sought) -> Sequence[Found]:
        return ()

    async def close(self) -> None:
        pass
