"""Dying on purpose: `CRASH_AT=<step>` kills this process (SIGKILL) the first time that it reaches a step.

For tests of what a crash leaves behind. The variable is read once, when the process starts; without it a step costs one
comparison.
"""

import os
import signal
from typing import Final

STEPS: Final = (
    "worker.read",  # a batch is parsed, no transaction yet
    "worker.claimed",  # its ids stand in the inbox
    "worker.decided",
    "worker.before_commit",  # states, deadlines, events: all is written down
    "worker.committed",
    "worker.before_offsets",  # the handler is done, Kafka does not know
    "relay.read",
    "relay.sent",  # Kafka has the events, the outbox does not know
    "relay.marked",
    "timers.taken",
    "timers.decided",
    "timers.committed",
    "dispatch.claimed",  # judged and written down, not committed
    "dispatch.committed",  # the attempt stands, nothing is sent
    "dispatch.sent",  # the provider has it, the outcome is not on record
    "dispatch.recorded",
)
"""Every step that `CRASH_AT` can name, as `<where>.<step>`, in the order in which work passes them."""

_AT: Final = os.environ.get("CRASH_AT")


def step(name: str) -> None:
    """Die here if `CRASH_AT` says so."""
    if name == _AT:
        os.kill(os.getpid(), signal.SIGKILL)
