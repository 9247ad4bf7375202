"""How rows become texts and texts rows, and texts that are looked up by what they are about."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from services.reminders.text.provider import Sent
from services.reminders.text.text import KnownAppointment, Text
from shared.postgres.query import rows
from shared.postgres.row_values import reader
from shared.postgres.values import Connection

TEXT: Final = Text._fields
READ: Final = (*TEXT[:-1], "tells::text")
"""The same as they are read: JSON inside a row comes as text."""

_read_text: Final = reader(Text)

SOONER: Final = {
    "look_at": """CASE WHEN texts.state = 'scheduled' AND excluded.state = 'scheduled'
                  THEN least(texts.look_at, excluded.look_at) ELSE excluded.look_at END"""
}
"""Of a waiting text that is to be looked at sooner meanwhile, because a pause ended or a person moved, that counts."""


def text_from_row(columns: Iterable[Any]) -> Text:
    """A text of its columns, in the order of `READ`."""
    *plan, tells = columns
    told = (
        ()
        if tells == "[]"
        else tuple(KnownAppointment(UUID(id), datetime.fromisoformat(at)) for id, at in orjson.loads(tells))
    )
    return _read_text((*plan, told))


def row_from_text(text: Text) -> dict[str, Any]:
    """A row of `texts`; its columns are `TEXT`."""
    row = text._asdict()
    if text.tells:
        row["tells"] = [tuple(known) for known in text.tells]
    return row


async def load_answers(connection: Connection, contact_id: str) -> list[Text]:
    """The texts that answered what a person wrote: they belong to no course."""
    found = await rows(
        connection,
        f"SELECT {', '.join(READ)} FROM texts WHERE contact_id = :id AND course_id IS NULL",
        id=contact_id,
    )
    return [text_from_row(row) for row in found]


async def texts_on_record(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Sent]:
    """Bodies and outcomes of texts."""
    found = await rows(
        connection,
        """SELECT text_id, body, segments, attempts, attempted_at, sent_at, delivered_at, code, provider_status,
                  wording, source, recorded_at, provider_sid
           FROM texts LEFT JOIN consents USING (consent_id) WHERE text_id = ANY(CAST(:ids AS uuid[]))""",
        ids=list(ids),
    )
    return {row.text_id: Sent(*row[1:]) for row in found}
