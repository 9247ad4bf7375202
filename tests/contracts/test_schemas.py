"""The published schemas are what the code says, and they only grow."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.reference.schemas import NotAdditive, breaking, dump, export, read_schemas, schemas
from shared.contract.register import EVENTS
from shared.contract.topics import SERVICE_TOPICS

DOCS = Path(__file__).parents[2] / "docs"
HOW = "run `chairtime export-schemas docs`"


def test_every_type_has_its_schema_and_no_schema_is_left_of_a_type_that_is_gone() -> None:
    assert read_schemas(DOCS).keys() == EVENTS.keys(), HOW


def test_the_code_takes_nothing_back_that_the_published_schemas_promise() -> None:
    now = schemas()
    assert [line for name, old in read_schemas(DOCS).items() for line in breaking(name, old, now.get(name))] == []


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_published_schema_is_what_the_code_generates(name: str) -> None:
    assert (DOCS / "schemas" / f"{name}.json").read_text() == dump(schemas()[name]), HOW


def test_the_page_about_events_is_what_the_code_generates(tmp_path: Path) -> None:
    export(tmp_path)
    assert (DOCS / "events.md").read_text() == (tmp_path / "events.md").read_text(), HOW


def test_export_twice_writes_the_same_files(tmp_path: Path) -> None:
    first = {file: file.read_bytes() for file in export(tmp_path)}
    assert {file: file.read_bytes() for file in export(tmp_path)} == first
    assert len(first) == len(EVENTS) + 1


def test_export_refuses_to_overwrite_a_promise_and_writes_nothing(tmp_path: Path) -> None:
    export(tmp_path)
    file = tmp_path / "schemas" / "clinic.course.cancel_requested.v1.json"
    promise = json.loads(file.read_text())
    promise["properties"]["note"] = {"type": "string"}
    file.write_text(dump(promise))
    (tmp_path / "events.md").write_text("untouched")
    with pytest.raises(NotAdditive, match=r"^clinic\.course\.cancel_requested\.v1: data\.note: is gone$"):
        export(tmp_path)
    assert json.loads(file.read_text()) == promise
    assert (tmp_path / "events.md").read_text() == "untouched"


def test_a_type_of_a_service_is_known_by_its_name_because_breaking_judges_by_it() -> None:
    for name, model in EVENTS.items():
        assert name.startswith("clinic.") != (model.topic in SERVICE_TOPICS)


OLD: dict[str, Any] = {
    "$defs": {
        "Color": {"type": "string", "enum": ["red", "green"], "description": "A color."},
        "Leg": {"type": "object", "properties": {"cm": {"type": "integer"}}, "required": ["cm"]},
    },
    "type": "object",
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 64},
        "color": {"$ref": "#/$defs/Color"},
        "legs": {"type": "array", "items": {"$ref": "#/$defs/Leg"}, "minItems": 1},
        "price": {"anyOf": [{"type": "integer", "maximum": 100}, {"type": "null"}], "default": None},
        "day": {"type": "string", "format": "date"},
        "code": {"type": "string", "pattern": "^[A-Z]$"},
        "fast": {"type": "boolean", "default": False},
    },
    "required": ["id", "color", "day"],
}

CASES: list[tuple[str, str, Any, list[str], list[str]]] = [
    # path (dots), "set" value or None to remove; expected for clinic types; expected for our types
    ("nothing changes", "properties.id.type", "string", [], []),
    ("prose changes", "$defs.Color.description", "A hue.", [], []),
    ("an optional field comes", "properties.note", {"type": "string"}, [], []),
    ("a field goes", "properties.code", None, ["data.code: is gone"], ["data.code: is gone"]),
    (
        "an optional field becomes required",
        "required",
        ["id", "color", "day", "price"],
        ["data.price: is newly required"],
        ["data.price: is newly required"],
    ),
    ("a required field becomes optional", "required", ["id", "color"], [], ["data.day: may now be missing"]),
    (
        "a part's field becomes optional",
        "$defs.Leg.required",
        None,
        [],
        ["data.legs[].cm: may now be missing"],
    ),
    (
        "a new field is required in a part",
        "$defs.Leg.required",
        ["cm", "kind"],
        ["data.legs[].kind: is newly required"],
        ["data.legs[].kind: is newly required"],
    ),
    ("a set grows", "$defs.Color.enum", ["red", "green", "blue"], [], ["data.color: may now be blue"]),
    (
        "a set shrinks",
        "$defs.Color.enum",
        ["red"],
        ["data.color: no longer takes green"],
        ["data.color: no longer takes green"],
    ),
    ("a set opens", "$defs.Color.enum", None, [], ["data.color: enum was ['red', 'green'], is None"]),
    (
        "free text becomes a set",
        "properties.id.enum",
        ["a"],
        ["data.id: enum was None, is ['a']"],
        ["data.id: enum was None, is ['a']"],
    ),
    (
        "a type changes",
        "$defs.Leg.properties.cm.type",
        "string",
        ["data.legs[].cm: no longer takes integer"],
        ["data.legs[].cm: no longer takes integer", "data.legs[].cm: may now be string"],
    ),
    (
        "null is no longer taken",
        "properties.price",
        {"type": "integer", "maximum": 100},
        ["data.price: no longer takes null"],
        ["data.price: no longer takes null"],
    ),
    (
        "null comes",
        "properties.id",
        {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 64}, {"type": "null"}]},
        [],
        ["data.id: may now be null"],
    ),
    ("a most rises", "properties.id.maxLength", 65, [], ["data.id: maxLength was 64, is 65"]),
    ("a most goes", "properties.id.maxLength", None, [], ["data.id: maxLength was 64, is None"]),
    (
        "a most falls inside a choice",
        "properties.price",
        {"anyOf": [{"type": "integer", "maximum": 99}, {"type": "null"}], "default": None},
        ["data.price: maximum was 100, is 99"],
        ["data.price: maximum was 100, is 99"],
    ),
    (
        "a least rises",
        "properties.legs.minItems",
        2,
        ["data.legs: minItems was 1, is 2"],
        ["data.legs: minItems was 1, is 2"],
    ),
    ("a least falls", "properties.legs.minItems", 0, [], ["data.legs: minItems was 1, is 0"]),
    (
        "a least comes",
        "properties.code.minLength",
        1,
        ["data.code: minLength was None, is 1"],
        ["data.code: minLength was None, is 1"],
    ),
    (
        "a pattern changes",
        "properties.code.pattern",
        "^[A-Y]$",
        ["data.code: pattern was ^[A-Z]$, is ^[A-Y]$"],
        ["data.code: pattern was ^[A-Z]$, is ^[A-Y]$"],
    ),
    (
        "a format changes",
        "properties.day.format",
        "date-time",
        ["data.day: format was date, is date-time"],
        ["data.day: format was date, is date-time"],
    ),
    (
        "a default changes",
        "properties.fast.default",
        True,
        ["data.fast: leaving it out means something else"],
        ["data.fast: leaving it out means something else"],
    ),
]


@pytest.mark.parametrize("ours", [False, True], ids=["clinic", "ours"])
@pytest.mark.parametrize(("path", "value", "clinic", "service"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_change_is_named_when_it_breaks_somebody(
    path: str, value: Any, clinic: list[str], service: list[str], ours: bool
) -> None:
    new = copy.deepcopy(OLD)
    *way, last = path.split(".")
    place = new
    for step in way:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    name = "booking.chair.v1" if ours else "clinic.chair.v1"
    assert breaking(name, OLD, new) == [f"{name}: {line}" for line in (service if ours else clinic)]


def test_a_type_that_is_gone_is_named() -> None:
    assert breaking("clinic.chair.v1", OLD, None) == ["clinic.chair.v1: the type is gone"]
