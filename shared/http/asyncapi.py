"""What a service hears and tells on Kafka, as an AsyncAPI 3.0 document made from the contract, and as a page.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0 and the Kafka bindings 0.5.0.
"""

import json
from collections.abc import Iterable, Mapping, Set
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, Template
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from shared import VERSION
from shared.contract.internal import PersonErased
from shared.contract.register import EVENTS, CourseEvent, EventData
from shared.contract.topics import ERASABLE, SERVICE_TOPICS
from shared.http.examples import EVENT_ID, INSTANT, TRACEPARENT, example
from shared.kafka.topics import TOPICS, Topic

Document = dict[str, Any]

BINDING: Final = {"bindingVersion": "0.5.0"}
ERASED: Final = "person-erased"

_WRITTEN_BY: Final = {
    "clinic.requests": "clinic systems",
    "clinic.sessions": "the clinic floor",
    "clinic.payments": "the till and the payment provider",
    "clinic.contacts": "clinic systems",
    "clinic.patients": "clinic systems",
} | {topic: topic.partition(".")[0] for topic in SERVICE_TOPICS}

_TOPICS: Final = {topic.name: topic for topic in TOPICS}


class WithoutTitles(GenerateJsonSchema):
    """JSON Schema without the titles that only repeat the names of fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def document(service: str, listens: Mapping[str, Set[str]]) -> Document:
    """The whole document of a service.

    Args:
        listens: the types that it acts upon, by topic.
    """
    heard = {topic: sorted(types - {PersonErased.type}) for topic, types in sorted(listens.items())}
    own = f"{service}.events"
    published = sorted(name for name, model in EVENTS.items() if model.topic == own)
    letters = f"{service}.dead-letters"
    channels = {topic: _channel(topic, _names(topic, types)) for topic, types in heard.items()}
    channels[own] = _channel(own, sorted({*published, *heard.get(own, ())}))
    channels[letters] = _channel(letters, ["dead-letter"])
    operations = {
        f"hear-{topic}": _operation("receive", service, topic, _names(topic, types)) for topic, types in heard.items()
    }
    operations[f"tell-{own}"] = _operation("send", service, own, published)
    operations[f"tell-{letters}"] = _operation("send", service, letters, ["dead-letter"])
    names = sorted({*published, *(name for types in heard.values() for name in types)})
    payloads = _payloads(tuple(names))
    messages = {name: _message(EVENTS[name], payloads) for name in names}
    if any(topic in ERASABLE for topic in heard):
        messages[ERASED] = _erased()
    messages["dead-letter"] = _dead_letter(service)
    return {
        "asyncapi": "3.0.0",
        "id": f"urn:chairtime:{service}",
        "info": {
            "title": f"Chairtime {service}",
            "version": VERSION,
            "description": "What the service hears and tells on Kafka: CloudEvents 1.0 in binary mode. On input, "
            "structured mode is understood, too, and fields that are not known are ignored.",
            "license": {"name": "Apache 2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [{"name": "kafka"}, {"name": "cloudevents"}],
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "Keys are put on partitions by murmur2, Java's default.",
                "variables": {"bootstrap": {"default": "kafka:9092", "description": "CHAIRTIME_KAFKA"}},
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": {**_HEADERS, **payloads}},
    }


def _names(topic: str, types: Iterable[str]) -> list[str]:
    return [*types, *([ERASED] if topic in ERASABLE else ())]


def _channel(topic: str, names: Iterable[str]) -> Document:
    writer = _WRITTEN_BY.get(topic)
    about = f"Written by {writer}." if writer else "What had no effect, with its reason, for whoever published it."
    return {
        "address": topic,
        "description": about,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"kafka": {"topic": topic, **_made(_TOPICS[topic]), **BINDING}},
    }


def _made(topic: Topic) -> Document:
    configured: Document = {"cleanup.policy": [topic.configs["cleanup.policy"]]}
    for name in ("retention.ms", "max.message.bytes"):
        if name in topic.configs:
            configured[name] = int(topic.configs[name])
    return {"partitions": topic.partitions, "topicConfiguration": configured}


def _operation(action: str, service: str, topic: str, names: Iterable[str]) -> Document:
    group = {"groupId": {"type": "string", "enum": [service]}} if action == "receive" else {}
    summary = (
        "Each message has its one effect, however often it comes."
        if action == "receive"
        else ("In order for each key; an event may stand there twice, with one ce_id.")
    )
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in names],
        "bindings": {"kafka": {**group, **BINDING}},
    }


def _message(model: type[EventData], payloads: Mapping[str, Document]) -> Document:
    shown = example(payloads[model.__name__], payloads)
    key = model.model_validate(shown).key
    source = (
        f"/chairtime/{model.topic.removesuffix('.events')}" if model.topic in SERVICE_TOPICS else "/clinics/stella/desk"
    )
    headers = {
        "ce_specversion": "1.0",
        "ce_id": EVENT_ID,
        "ce_type": model.type,
        "ce_source": source,
        "ce_subject": key,
        "ce_time": INSTANT,
        "content-type": "application/json",
        "ce_traceparent": TRACEPARENT,
    }
    return {
        "name": model.type,
        "title": model.type,
        "summary": " ".join((model.__doc__ or "").split()),
        "contentType": "application/json",
        "headers": _headers(model),
        "correlationId": {
            "description": "The trace, from what began it to all that followed.",
            "location": "$message.header#/ce_traceparent",
        },
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": _key(model), "examples": [key]}, **BINDING}},
        "examples": [{"name": "example", "headers": headers, "payload": shown}],
    }


def _key(model: type[EventData]) -> str:
    if issubclass(model, CourseEvent):
        return "the course's id"
    if model.topic == "clinic.patients":
        return "the patient's id"
    return (
        "the course's id where it has one, else the contact's"
        if "course_id" in model.model_fields
        else "the contact's id"
    )


_ENVELOPE: Final[Document] = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "description": "Unique among all that is published here; a repeat has no second effect.",
    },
    "ce_type": {"type": "string", "description": "The type of the event, which is the name of the message."},
    "ce_source": {"type": "string", "minLength": 1, "description": "Who sends it."},
    "ce_subject": {"type": "string", "description": "The record's key."},
    "ce_time": {"type": "string", "format": "date-time", "description": "When it happened."},
    "content-type": {"type": "string", "const": "application/json"},
    "ce_traceparent": {
        "type": "string",
        "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        "description": "W3C Trace Context: handed on to all that follows; made where there is none.",
    },
}

_HEADERS: Final[Mapping[str, Document]] = {
    "HeadersOfServices": {
        "type": "object",
        "description": "What stands on every event that a service of ours tells.",
        "required": list(_ENVELOPE),
        "properties": _ENVELOPE,
    },
    "HeadersOfClinics": {
        "type": "object",
        "description": "What must, and may, stand on an event that a clinic's system publishes.",
        "required": ["ce_specversion", "ce_id", "ce_type", "ce_source"],
        "properties": _ENVELOPE,
    },
}


def _headers(model: type[EventData]) -> Document:
    whose = "HeadersOfServices" if model.topic in SERVICE_TOPICS else "HeadersOfClinics"
    own = {"type": "object", "properties": {"ce_type": {"const": model.type}}}
    return {"allOf": [{"$ref": f"#/components/schemas/{whose}"}, own]}


def _erased() -> Document:
    return {
        "name": ERASED,
        "title": "a person is erased",
        "summary": "A null value erases the person whose id is the key; no header is needed.",
        "payload": {"type": "null"},
        "bindings": {"kafka": {"key": {"type": "string", "description": "the person's id"}, **BINDING}},
        "examples": [{"name": "example", "payload": None}],
    }


def _dead_letter(service: str) -> Document:
    reasons = {
        "x-error-type": "The reason, as a stable code.",
        "x-error": "The reason for people: fields and rules, never a value.",
        "x-topic": "Where it stood.",
        "x-partition": "Where it stood.",
        "x-offset": "Where it stood.",
    }
    return {
        "name": "dead-letter",
        "title": "a message without effect",
        "summary": f"What {service} could not read, or a rule failed on, to the byte; of personal topics no value.",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "description": "Those of the message, and:",
            "required": list(reasons),
            "properties": {name: {"type": "string", "description": about} for name, about in reasons.items()},
        },
        "payload": {"description": "The bytes of the message, or null."},
        "bindings": {"kafka": {"key": {"type": "string", "description": "the message's own"}, **BINDING}},
    }


@cache
def _payloads(names: tuple[str, ...]) -> Mapping[str, Document]:
    """The schemas of these types' data and of all parts, by the names of their classes."""
    _, whole = models_json_schema(
        [(EVENTS[name], "validation") for name in names],
        ref_template="#/components/schemas/{model}",
        schema_generator=WithoutTitles,
    )
    schemas: dict[str, Document] = whole["$defs"]
    return dict(sorted(schemas.items()))


def page(content: Document) -> str:
    """A service's document as a page of HTML that loads nothing."""
    return _template().render(content=content)


def _name_of(reference: Mapping[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


@cache
def _template() -> Template:
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    templates.globals |= {"name_of": _name_of, "as_json": _as_json}
    return templates.get_template("asyncapi.html")
