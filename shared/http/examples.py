"""Data of an event as an example, made from its JSON Schema: each field has a value that looks like the real one."""

from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

EVENT_ID: Final = "0d4c7f0e-3a55-4a52-8f0e-6a1f2f7f3b10"
INSTANT: Final = "2030-01-07T15:00:00Z"
TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

_VALUES: Final[Mapping[str, Any]] = {
    "course_id": "5f4c2a1e-8d36-4b8e-9a53-0c6f1b2d7e01",
    "session_id": "3f0c9a44-0d6e-4a7e-9f41-6f2f5a3a1c01",
    "text_id": "1b671a64-40d5-491e-99b0-da01ff1f3341",
    "estimate_id": "9c7a6a1e-9a44-4f0a-8f6c-2f0d3f1b7a01",
    "superbill_id": "7b3a0c55-6f1f-4e0a-a7a3-5f9a2d1c4e01",
    "refund_id": "2a8f4d6e-71c3-4d0b-bb1e-8f6a5c3d2b01",
    "patient_id": "p-1043",
    "contact_id": "p-1043",
    "payment_id": "pay-2071",
    "reversal_id": "rev-311",
    "companions": ["c-77"],
    "location": "stella",
    "treatment": "ketamine_induction",
    "chair": "chair-2",
    "provider": "provider-1",
    "time_zone": "America/Chicago",
    "currency": "USD",
    "phone": "+16305550188",
    "locale": "en-US",
    "region": "US-IL",
    "number": 1,
    "of": 6,
    "amount_cents": 57917,
    "total_cents": 347500,
    "name": "Robin Example",
    "diagnoses": ["F33.2"],
    "earliest": "09:00",
    "latest": "16:00",
    "born_on": "1984-05-17",
    "wording": "intake form, version 3",
    "modifiers": ["25"],
}
"""By the name of the field, where its type alone would say too little."""

_FORMATS: Final = {"uuid": EVENT_ID, "date-time": INSTANT, "date": "2030-01-07", "time": "09:00:00"}


def example(schema: Schema, parts: Mapping[str, Schema], field: str = "") -> Any:
    """A value that the schema takes; of alternatives the first.

    Args:
        parts: the schemas that references name, by their last word.
    """
    if field in _VALUES:
        return _VALUES[field]
    if "$ref" in schema:
        return example(parts[schema["$ref"].rpartition("/")[2]], parts, field)
    if "anyOf" in schema:
        return example(next(one for one in schema["anyOf"] if one.get("type") != "null"), parts, field)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            others = {name for one in schema.get("oneOf", ())[1:] for name in one.get("required", ())}
            return {name: example(fields[name], parts, name) for name in fields if name not in others}
        case "array":
            return [example(schema["items"], parts)]
        case "integer":
            return int(schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1))
        case "boolean":
            return True
    return _FORMATS.get(schema.get("format", ""), field.replace("_", " ") or "x")
