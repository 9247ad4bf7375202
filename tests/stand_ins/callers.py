"""Who calls a service's HTTP in tests: a key for each role, and a socket for clients that are not asynchronous."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from fastapi import FastAPI

from shared.configuration.api_keys import Role
from shared.service.process import HttpServer

SECOND_DESK: Final = "second desk"
"""The name of another key that has the desk's role."""

OWNERS: Final[dict[str, Role]] = {role: role for role in Role} | {SECOND_DESK: Role.FRONT_DESK}
"""Whose keys there are, and what they may do."""


def key_of(name: str) -> str:
    """The API key of somebody with this role or name."""
    return f"a key of the {name}"


def keys_file(folder: Path) -> Path:
    """A file of keys, one for each owner, named by it."""
    file = folder / "keys.toml"
    digests = {name: hashlib.sha256(key_of(name).encode()).hexdigest() for name in OWNERS}
    keys = (f'[[keys]]\nname = "{n}"\nsha256 = "{digests[n]}"\nroles = ["{role}"]\n' for n, role in OWNERS.items())
    file.write_text("".join(keys))
    return file


@asynccontextmanager
async def served(app: FastAPI, port: int = 0) -> AsyncIterator[str]:
    """The app on a socket; yields its address."""
    server = HttpServer(app, port=port)
    serving = asyncio.create_task(server.serve())
    await server.listens.wait()
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
