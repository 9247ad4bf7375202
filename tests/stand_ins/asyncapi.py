"""The AsyncAPI documents of the three services."""

from typing import Any, Final

from deploy.preparing.heard import LISTENS
from shared.http import asyncapi

DOCUMENTS: Final[dict[str, dict[str, Any]]] = {
    service: asyncapi.document(service, topics) for service, topics in LISTENS.items()
}
"""By service; `tests/contracts/test_asyncapi.py` sees that each service gives its own at `/asyncapi`."""
