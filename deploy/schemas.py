"""What the outside may rely on, written from the code: a JSON Schema for every event type, and one page about all.

`export` refuses to write what would break somebody: a change that is not additive needs a new type. So the files in
`docs/` are the memory of what was promised.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from shared import contract
from shared.contract import CLINIC_TOPICS, EVENTS, SERVICE_TOPICS, CourseEvent, EventData, SessionEvent
from shared.kafka import TOPICS

Schema = Mapping[str, Any]

WRITERS: Final = {
    "clinic.requests": "clinic systems",
    "clinic.sessions": "the clinic floor",
    "clinic.payments": "the till and the payment provider",
    "clinic.contacts": "clinic systems; only reminders may read it",
    "clinic.patients": "clinic systems; only billing may read it",
}


class NotAdditive(Exception):
    """The code takes back a promise that the files make; each line names one place."""


def export(folder: Path) -> list[Path]:
    """Write `schemas/<type>.json` and `events.md` into a folder such as `docs`; returns the files that it has now.

    Raises:
        NotAdditive: a file that is there promises more than the code keeps; nothing has been written.
    """
    promised = read_schemas(folder)
    written = schemas()
    if broken := [line for name, old in promised.items() for line in breaking(name, old, written.get(name))]:
        raise NotAdditive("\n".join(broken))
    (folder / "schemas").mkdir(parents=True, exist_ok=True)
    files = {folder / "events.md": page()}
    files |= {folder / "schemas" / f"{name}.json": dump(schema) for name, schema in written.items()}
    for file, text in files.items():
        file.write_text(text)
    return sorted(files)


def read_schemas(folder: Path) -> dict[str, Schema]:
    """The schemas that a folder holds, by type."""
    return {file.stem: json.loads(file.read_text()) for file in sorted((folder / "schemas").glob("*.json"))}


def dump(schema: Schema) -> str:
    """A schema as it stands in its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


# ---------------------------------------------------------------------------------------------------------------------
# Schemas
# ---------------------------------------------------------------------------------------------------------------------


class _WithoutTitles(GenerateJsonSchema):
    """A title that only repeats the field's name is noise."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def schemas() -> dict[str, Schema]:
    """The JSON Schema (2020-12) of each event's data, by type."""
    return {name: _schema(name, EVENTS[name]) for name in sorted(EVENTS)}


def _schema(name: str, model: type[EventData]) -> Schema:
    generated = model.model_json_schema(mode="validation", schema_generator=_WithoutTitles)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:chairtime:events:{name}",
        "title": name,
        **{key: value for key, value in generated.items() if key not in ("title", "$defs")},
        **({"$defs": generated["$defs"]} if "$defs" in generated else {}),
    }


# ---------------------------------------------------------------------------------------------------------------------
# What only grows
# ---------------------------------------------------------------------------------------------------------------------

_PROSE: Final = frozenset({"$schema", "$id", "$defs", "title", "description", "examples"})
_MOST: Final = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems"})
_LEAST: Final = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems"})


def breaking(name: str, old: Schema, new: Schema | None) -> list[str]:
    """Every difference from the old schema of a type that is not additive, a line each; `new` is None for a type gone.

    What clinics write may become wider, never narrower: their old messages stay good. What we write must stay as it
    is, but for new optional fields: a wider set would be unreadable to those who know the old one (also to our own
    services during an upgrade), a narrower one would make unreadable what already stands on Kafka.
    """
    if new is None:
        return [f"{name}: the type is gone"]
    ours = not name.startswith("clinic.")
    return [f"{name}: {line}" for line in _differences("data", _resolved(old, old), _resolved(new, new), ours)]


def _resolved(node: Any, root: Schema) -> Any:
    """The same with every reference replaced by what it names, and without prose."""
    if isinstance(node, list):
        return [_resolved(item, root) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = root["$defs"][node["$ref"].removeprefix("#/$defs/")]
        return _resolved({**target, **{key: value for key, value in node.items() if key != "$ref"}}, root)
    return {
        key: {field: _resolved(inner, root) for field, inner in value.items()}
        if key == "properties"
        else _resolved(value, root)
        for key, value in node.items()
        if key not in _PROSE
    }


def _differences(at: str, old: Schema, new: Schema, ours: bool) -> Iterator[str]:
    before, after = _alternatives(old), _alternatives(new)
    for kind in before.keys() - after.keys():
        yield f"{at}: no longer takes {kind}"
    for kind in after.keys() - before.keys() if ours else ():
        yield f"{at}: may now be {kind}"
    for kind in sorted(before.keys() & after.keys()):
        yield from _within(at, before[kind], after[kind], ours)
    if "default" in old and "default" in new and old["default"] != new["default"]:
        yield f"{at}: leaving it out means something else"


def _alternatives(schema: Schema) -> dict[str, Schema]:
    return {str(one.get("type", "anything")): one for one in schema.get("anyOf", (schema,))}


def _within(at: str, old: Schema, new: Schema, ours: bool) -> Iterator[str]:
    for keyword in sorted((old.keys() | new.keys()) - {"type", "default", "anyOf"}):
        before, after = old.get(keyword), new.get(keyword)
        if keyword == "properties":
            yield from _fields(at, old, new, ours)
        elif keyword == "required" or before == after:
            pass
        elif keyword == "enum":
            yield from _members(at, before, after, ours)
        elif keyword == "items" and before and after:
            yield from _differences(f"{at}[]", before, after, ours)
        elif keyword in _MOST | _LEAST:
            narrower = before is None or (
                after is not None and (after < before if keyword in _MOST else after > before)
            )
            if narrower or ours:
                yield f"{at}: {keyword} was {before}, is {after}"
        else:
            yield f"{at}: {keyword} was {before}, is {after}"


def _fields(at: str, old: Schema, new: Schema, ours: bool) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    needed, needed_now = set(old.get("required", ())), set(new.get("required", ()))
    for field in before.keys() - after.keys():
        yield f"{at}.{field}: is gone"
    for field in sorted(needed_now - needed):
        yield f"{at}.{field}: is newly required"
    for field in sorted((needed - needed_now) & after.keys()) if ours else ():
        yield f"{at}.{field}: may now be missing"
    for field in sorted(before.keys() & after.keys()):
        yield from _differences(f"{at}.{field}", before[field], after[field], ours)


def _members(at: str, old: list[Any] | None, new: list[Any] | None, ours: bool) -> Iterator[str]:
    if old is None or new is None:
        if old is None or ours:
            yield f"{at}: enum was {old}, is {new}"
        return
    for member in old:
        if member not in new:
            yield f"{at}: no longer takes {member}"
    for member in new if ours else ():
        if member not in old:
            yield f"{at}: may now be {member}"


# ---------------------------------------------------------------------------------------------------------------------
# The page
# ---------------------------------------------------------------------------------------------------------------------

INTRO: Final = """\
# Events

Generated by `chairtime export-schemas docs` from `shared/contract.py`; change that, not this page.
The JSON Schema of each type lies in [`schemas/`](schemas/).

## How to write and read them

Every record is a [CloudEvent 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md).

**Binary mode**, which we always write: the record's value is the JSON object of the tables below, in UTF-8, and these
headers stand beside it.

| header | value |
|---|---|
| `ce_specversion` | `1.0` |
| `ce_id` | 1 to 64 printable characters, unique among all that you send: a repeat with the same id has no second effect |
| `ce_type` | the type |
| `ce_source` | who sends it, such as `/clinics/stella/front-desk` |
| `ce_subject` | the record's key; may be left out on input |
| `ce_time` | RFC 3339 with an offset: when it happened; may be left out on input, then it is when Kafka got it |
| `content-type` | `application/json` |
| `ce_traceparent` | optional, W3C Trace Context; handed on to the events that follow from it |

**Structured mode** is understood on input: header `content-type: application/cloudevents+json`, and the value is one
JSON object with `specversion`, `id`, `type`, `source`, `subject`, `time` and `data` (or `data_base64`).

**Keys** keep things in order: the course id for most types, as UUIDs are written in lower case with hyphens. A record
whose key is not the one that its type asks for is refused. Use the murmur2 partitioner (the default in Java;
`partitioner=murmur2_random` in librdkafka), so that all records of one course lie in one partition. No order between
topics is needed.

**Unknown fields** are ignored on Kafka. **Optional fields** (marked `?`) may be null or missing; we leave them out.
Types only grow by optional fields; anything else is a new type that ends in `.v2`. On the topics that we write, skip
types that you do not know.

**A record that cannot be understood** blocks nothing. It goes, with its headers and bytes, to the topic
`<service>.dead-letters` of each service that listens; the headers `x-error-type`, `x-error`, `x-topic`, `x-partition`
and `x-offset` say why and which. Of the two topics with personal data only headers and place travel. A request that
can be understood but breaks a rule is answered by a `rejected` or `refused` event instead.

**A null value** on `clinic.contacts` or `clinic.patients` erases the person whose id is the key; no headers are
needed. Anywhere else it is a dead letter.

**Time and money**: an *instant* is RFC 3339 with an offset (never a number), a *day* is YYYY-MM-DD, *cents* are
integers.
"""

TERMS: Final[Mapping[str, tuple[Any, str]]] = {
    "id": (contract.Id, "1 to 64 printable characters; whoever owns the thing makes it"),
    "name": (contract.Name, "1 to 200 printable characters, a name or code"),
    "line": (contract.Line, "at most 2000 printable characters"),
    "instant": (contract.Instant, "RFC 3339 with an offset, between 1900 and 2999; we write UTC with `Z`"),
    "day": (contract.Day, "YYYY-MM-DD"),
    "cents": (contract.Cents, "integer, 0 to 100000000"),
    "cents > 0": (contract.PositiveCents, "integer, 1 to 100000000"),
    "currency": (contract.Currency, "three capital letters of ISO 4217; only USD is booked"),
    "count": (contract.Count, "integer, 1 to 200"),
    "minutes": (contract.Minutes, "integer, 1 to 600"),
    "phone": (contract.Phone, "E.164, such as `+16305550188`"),
    "wall time": (contract.WallTime, "HH:MM on the clinic's clock"),
    "UUID": (contract.UUID, "lower case, with hyphens"),
    "text": (str, "a string"),
    "integer": (int, "a whole number"),
    "flag": (contract.Flag, "true or false"),
}
"""The terms that the page uses for field types, and what they mean."""

_TERM_OF: Final = {
    json.dumps(TypeAdapter(kind).json_schema(), sort_keys=True): term for term, (kind, _) in TERMS.items()
}
_SESSION: Final = "SESSION"


def page() -> str:
    """`events.md`."""
    every = schemas()
    parts: dict[str, Schema] = {}
    for schema in every.values():
        parts |= schema.get("$defs", {})
    objects = {name: part for name, part in sorted(parts.items()) if "properties" in part}
    sets = {name: part for name, part in sorted(parts.items()) if "enum" in part}
    session = SessionEvent.model_json_schema(schema_generator=_WithoutTitles)
    retention = {topic.name: topic.retention for topic in TOPICS}
    lines = [INTRO, "## Topics"]
    for topic in (*CLINIC_TOPICS, *SERVICE_TOPICS):
        kept = f"{kept.days} days" if (kept := retention[topic]) else "the newest record of each key, for ever"
        lines += ["", f"### {topic}", ""]
        lines += [f"Written by {WRITERS.get(topic, topic.removesuffix('.events'))}. Kept: {kept}."]
        lines += ["", "| type | key | fields |", "|---|---|---|"]
        lines += [
            f"| [`{model.type}`](schemas/{model.type}.json)<br>{_prose(model.__doc__)} | `{key_fields(model)}` "
            f"| {_fields_of(model, every[model.type])} |"
            for model in EVENTS.values()
            if model.topic == topic
        ]
    lines += ["", "## Parts", "", "| part | fields |", "|---|---|"]
    lines += [f"| **{_SESSION}**<br>{_prose(SessionEvent.__doc__)} | {_listed(session)} |"]
    lines += [
        f"| **{name}**<br>{_prose(part.get('description'))} | {_listed(part)} |" for name, part in objects.items()
    ]
    lines += ["", "## Closed sets", "", "| set | members |", "|---|---|"]
    lines += [
        f"| **{name}**<br>{_prose(part.get('description'))} | {' · '.join(f'`{member}`' for member in part['enum'])} |"
        for name, part in sets.items()
    ]
    lines += ["", "## Field types", "", "| written here as | means |", "|---|---|"]
    lines += [f"| {term} | {meaning} |" for term, (_, meaning) in TERMS.items()]
    return "\n".join(lines) + "\n"


def key_fields(model: type[EventData]) -> str:
    """The field whose value is the key, or `a, else b` where the first may be missing."""
    fields = model.model_fields
    if issubclass(model, CourseEvent):
        return "course_id"
    person = "patient_id" if model.topic == "clinic.patients" else "contact_id"
    return f"course_id, else {person}" if "course_id" in fields else person


def _fields_of(model: type[EventData], schema: Schema) -> str:
    if not issubclass(model, SessionEvent):
        return _listed(schema)
    own = {name for name in model.model_fields if name not in SessionEvent.model_fields}
    return " · ".join(filter(None, [f"**{_SESSION}**", _listed(schema, own)]))


def _listed(schema: Schema, only: Iterable[str] | None = None) -> str:
    required = set(schema.get("required", ()))
    return " · ".join(
        f"`{name}`{'' if name in required else '?'} {_term(field)}"
        for name, field in schema["properties"].items()
        if only is None or name in only
    )


def _term(field: Schema) -> str:
    """A field's type in a word."""
    if "anyOf" in field:
        return " or ".join(_term(one) for one in field["anyOf"] if one != {"type": "null"})
    if "$ref" in field:
        return "**" + field["$ref"].rpartition("/")[2] + "**"
    if field.get("type") == "array":
        return f"[{_term(field['items'])}]"
    plain = {key: value for key, value in field.items() if key not in ("default", "title", "description")}
    return _TERM_OF.get(json.dumps(plain, sort_keys=True)) or f"`{plain.get('pattern', plain.get('type'))}`"


def _prose(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
