"""One trace from what began something to all that followed, across Kafka, timers and texts: W3C Trace Context.

It is handed on as it came. Where a publisher gave none, it is made of the message's id, so that the same message,
decided again, tells the same events; of an id that is a UUID the trace id is that UUID without its dashes. Nothing is
sampled or sent anywhere: a trace stands on events and in the log.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Final

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_UUID: Final = re.compile(r"(?!0{8}(-0{4}){3}-0{12})[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def given(text: str | None) -> str | None:
    """What a publisher or caller gave, or None where it is no traceparent (W3C Trace Context, 3.2.2): it is handed on
    with our own events, so anything else is left behind.
    """
    return text if text is not None and _TRACEPARENT.fullmatch(text) else None


@lru_cache(64)  # all events of one cause have the same
def made_of(id: str) -> str:
    """The traceparent of a message that brought none."""
    digest = sha256(id.encode()).hexdigest()
    trace = id.replace("-", "") if _UUID.fullmatch(id) else digest[:32]
    return f"00-{trace}-{digest[-16:]}-00"


def id_of(traceparent: str) -> str:
    """The trace id in it: 32 hexadecimal digits."""
    return traceparent[3:35]


def of_headers(headers: Iterable[tuple[str, bytes | None]], id: str) -> str:
    """The traceparent of a record that could not be read; `id` is what it is made of where nothing was given."""
    known = {name: value.decode(errors="replace") for name, value in headers if value is not None}
    return given(known.get("ce_traceparent")) or made_of(known.get("ce_id") or id)
