"""The AsyncAPI documents as the official parser reads them (Node 20; `npm ci` installs it from its lock file)."""

import copy
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.stand_ins.asyncapi import DOCUMENTS

PARSER = Path(__file__).parent / "asyncapi"

WORTH_A_FAILURE = (0, 1)
"""Errors and warnings; what is left tells that there is a newer version of AsyncAPI."""


@pytest.fixture(scope="module")
def node() -> str:
    """Node with the parser beside it."""
    found = shutil.which("node")
    if found is None or shutil.which("npm") is None:
        line = "this test needs Node 20 or newer with npm (Debian: apt install nodejs npm)"
        raise pytest.fail.Exception(line, pytrace=False)
    installed = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=PARSER,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if installed.returncode != 0:
        line = f"this test needs `npm ci` in {PARSER.name}/ to work: {installed.stderr.strip()[-300:]}"
        raise pytest.fail.Exception(line, pytrace=False)
    return found


def parse(node: str, *files: Path) -> list[dict[str, object]]:
    """What the parser says of each file."""
    done = subprocess.run(
        [node, "check.mjs", *map(str, files)],
        cwd=PARSER,
        env=os.environ | {"NODE_NO_WARNINGS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(420)
def test_the_official_parser_takes_every_document(node: str, tmp_path: Path) -> None:
    broken = copy.deepcopy(DOCUMENTS["billing"])
    del broken["channels"]["clinic.requests"]["messages"]["clinic.course.requested.v1"]
    files = [tmp_path / f"{name}.json" for name in (*sorted(DOCUMENTS), "broken")]
    for file, document in zip(files, (*(DOCUMENTS[name] for name in sorted(DOCUMENTS)), broken), strict=True):
        file.write_text(json.dumps(document))

    *told, of_broken = parse(node, *files)
    assert [Path(str(one["file"])).stem for one in told] == ["billing", "booking", "reminders"]
    for one in told:
        against = [d for d in one["diagnostics"] if d["severity"] in WORTH_A_FAILURE]  # type: ignore[attr-defined]
        assert against == []
        assert one["told"], "a document came of it"
    assert of_broken["told"] is None, "the parser finds what is missing"
