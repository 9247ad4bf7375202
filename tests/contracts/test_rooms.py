"""The house stays one to live in: no folder of the product has more rooms than one can see at a glance."""

from collections import Counter
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
MOST = 11
"""Modules in one folder. The plan has ten; one more is a reason to look for a new folder, not to fail at once."""


def test_no_folder_has_more_rooms_than_one_can_see_at_a_glance() -> None:
    modules = [file for top in ("shared", "services", "deploy") for file in (REPOSITORY / top).rglob("*.py")]
    rooms = Counter(
        file.parent.relative_to(REPOSITORY)
        for file in modules
        if not file.name.startswith("__") and "migrations" not in file.relative_to(REPOSITORY).parts
    )
    assert rooms, "no rooms found: has the product moved?"
    assert {folder: count for folder, count in rooms.items() if count > MOST} == {}
