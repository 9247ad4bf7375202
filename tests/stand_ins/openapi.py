"""What each service's OpenAPI document is held to: everything that is sent is answered as it says."""

from collections.abc import Iterator
from typing import Any, Final

from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

AS_DOCUMENTED: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
CHECKS: Final = [*AS_DOCUMENTED, negative_data_rejection]


def bounded(examples: int) -> settings:
    """So many of each operation, good or bad ones; the same each time."""
    return settings(
        derandomize=True, max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


def name_known(case: Any, known: dict[str, str]) -> None:
    """Put what is there into a case: with invented ids alone, nothing but 404 would be seen."""
    for place in (case.path_parameters, case.query, case.body):
        if isinstance(place, dict):
            place.update({name: value for name, value in known.items() if name in place})


def operations(document: dict[str, Any], *paths: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Method and path, and what the document says of it, of the routes that begin like this."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path.startswith(paths):
                yield f"{method.upper()} {path}", operation


def lacking_examples(document: dict[str, Any], *paths: str) -> list[str]:
    """Parameters, bodies and answers without an example."""
    lacking = []
    for name, operation in operations(document, *paths):
        for parameter in operation.get("parameters", ()):
            if not (parameter.get("examples") or parameter["schema"].get("examples")):
                lacking.append(f"{name}: {parameter['name']}")
        bodies = operation.get("requestBody", {}).get("content", {})
        if name.startswith("POST") and not bodies:
            lacking.append(f"{name}: body")
        lacking += (f"{name}: {kind}" for kind, content in bodies.items() if not content.get("examples"))
        for status, answer in operation["responses"].items():
            for kind, content in answer.get("content", {}).items() if status < "300" else ():
                if not _has_example(kind, content, document):
                    lacking.append(f"{name}: {status}")
    return lacking


def _has_example(kind: str, content: dict[str, Any], document: dict[str, Any]) -> bool:
    """Of its own, or in its schema; of a list in its items'. TwiML that says nothing is its own example."""
    if "example" in content or kind != "application/json":
        return "example" in content or kind == "text/xml"
    schema = content["schema"].get("items", content["schema"])
    reference = schema.get("$ref")
    found = document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
    return bool(found.get("examples"))
