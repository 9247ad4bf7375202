"""The register of every event type, and what each of them is: data with a type, a topic and a key."""

from functools import cached_property
from typing import Any, ClassVar, Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict

EVENTS: Final[dict[str, type["EventData"]]] = {}
"""Every event type by its name, filled as the classes below are read."""

INNER: Final[dict[str, type["EventData"]]] = {}
"""Every type that a service tells to itself, by its name: these have no topic."""


class Part(BaseModel):
    """A piece of an event's data."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventData(Part):
    """The data of one CloudEvent. A class with a `type` and a `topic` is registered in `EVENTS`, else in `INNER`."""

    type: ClassVar[str]
    topic: ClassVar[str]

    def __init_subclass__(cls, type: str | None = None, topic: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if topic is not None:
            cls.topic = topic
        if type is not None:
            cls.type = type

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if "type" in cls.__dict__:
            (EVENTS if hasattr(cls, "topic") else INNER)[cls.type] = cls

    @property
    def key(self) -> str:
        """The Kafka key: what must stay in order together."""
        raise NotImplementedError


class CourseEvent(EventData):
    """An event about a course: its key is the course id."""

    course_id: UUID

    @cached_property
    def key(self) -> str:  # asked for several times on a message's way
        return str(self.course_id)
