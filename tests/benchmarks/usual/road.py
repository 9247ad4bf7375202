"""What the three usual services share: inbox and outbox as ORM classes, the handler's session, the polling relay."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

from faststream import FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from sqlalchemy import make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Mapped, MappedAsDataclass, mapped_column

from shared.contract.register import EVENTS, EventData

Handle = Callable[[AsyncSession, EventData], Awaitable[None]]


class Inbox(MappedAsDataclass):
    """A message that had its effect."""

    __tablename__ = "inbox"
    id: Mapped[str] = mapped_column(primary_key=True)


class Outbox(MappedAsDataclass):
    """An event that is to be published."""

    __tablename__ = "outbox"
    topic: Mapped[str]
    key: Mapped[str]
    type: Mapped[str]
    value: Mapped[str]
    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    published: Mapped[bool] = mapped_column(default=False, index=True)


def run(service: str, topics: tuple[str, ...], inbox: type[Inbox], outbox: type[Outbox], handle: Handle) -> None:
    """Run one of the three processes until SIGTERM."""
    url = make_url(os.environ[f"CHAIRTIME_{service.upper()}_DATABASE"]).set(drivername="postgresql+asyncpg")
    sessions = async_sessionmaker(create_async_engine(url), expire_on_commit=False)
    broker = KafkaBroker(os.environ["CHAIRTIME_KAFKA"], logger=None)
    app = FastStream(broker, logger=None)

    for topic in topics:

        @broker.subscriber(topic, group_id=f"usual-{service}", auto_offset_reset="earliest")
        async def on_message(message: KafkaMessage) -> None:
            event = EVENTS[message.headers["ce_type"]].model_validate_json(message.body)
            async with sessions() as session:
                if await session.get(inbox, message.headers["ce_id"]) is None:
                    session.add(inbox(id=message.headers["ce_id"]))
                    await handle(session, event)
                    await session.commit()

    async def relay() -> None:
        while True:
            async with sessions() as session:
                waiting = (
                    await session.scalars(select(outbox).where(~outbox.published).order_by(outbox.id).limit(100))
                ).all()
                for row in waiting:
                    headers = {"ce_specversion": "1.0", "ce_id": str(uuid4()), "ce_type": row.type}
                    headers |= {"ce_source": "/usual", "ce_time": datetime.now(UTC).isoformat()}
                    await broker.publish(row.value.encode(), row.topic, key=row.key.encode(), headers=headers)
                    row.published = True
                await session.commit()
            if not waiting:
                await asyncio.sleep(0.1)

    @app.after_startup
    async def begin() -> None:
        app.context.set_global("relay", asyncio.create_task(relay()))

    asyncio.run(app.run())


def told(outbox: type[Outbox], event: EventData) -> Outbox:
    """An event as a row."""
    return outbox(topic=event.topic, key=event.key, type=event.type, value=event.model_dump_json(exclude_none=True))
