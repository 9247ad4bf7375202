"""Each event is made by one function of `tests/facts`, which has its name; what is short for it calls that function."""

import ast
import re
from importlib import import_module
from pathlib import Path

from shared.contract.register import EventData

FACTS = Path(__file__).parents[1] / "facts"


def test_each_event_has_one_builder_that_is_named_as_the_event() -> None:
    makers: dict[str, set[str]] = {}
    for page in FACTS.glob("*.py"):
        known = vars(import_module(f"tests.facts.{page.stem}"))
        events = {name for name, one in known.items() if isinstance(one, type) and issubclass(one, EventData)}
        for function in ast.parse(page.read_text()).body:
            if isinstance(function, ast.FunctionDef):
                used = {one.id for part in function.body for one in ast.walk(part) if isinstance(one, ast.Name)}
                for event in used & events:
                    makers.setdefault(event, set()).add(f"{page.stem}.{function.name}")
    named = {event: re.sub(r"(?<!^)(?=[A-Z])", "_", event).lower() for event in makers}
    assert len(makers) > 30
    assert {event: [name.partition(".")[2] for name in names] for event, names in makers.items()} == {
        event: [name] for event, name in named.items()
    }
