"""What the outside may rely on, written from the code: a JSON Schema for every event type.

`export` refuses to write what would break somebody: a change that is not additive needs a new type. So the files in
`docs/` say what was promised.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema

from deploy.reference.events_page import Schema, page
from shared.contract.register import EVENTS, EventData
from shared.http.asyncapi import WithoutTitles


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
    files = {folder / "events.md": page(written)}
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


def schemas() -> dict[str, Schema]:
    """The JSON Schema (2020-12) of each event's data, by type."""
    return {name: _schema(name, EVENTS[name]) for name in sorted(EVENTS)}


def _schema(name: str, model: type[EventData]) -> Schema:
    generated = model.model_json_schema(mode="validation", schema_generator=WithoutTitles)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:chairtime:events:{name}",
        "title": name,
        **{key: value for key, value in generated.items() if key not in ("title", "$defs")},
        **({"$defs": generated["$defs"]} if "$defs" in generated else {}),
    }


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
