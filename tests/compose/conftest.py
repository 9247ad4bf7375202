"""One stack for all tests of the folder: building and starting it is what takes time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.stack import Stack, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """docker-compose.yml, running."""
    folder: Path = tmp_path_factory.mktemp("compose")
    with running(folder) as stack:
        yield stack
