"""Who calls: the service that a request came to, and the API key that it came with."""

from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.configuration.api_keys import Role
from shared.http.problem import Problem
from shared.service.service import Service


def service_of(request: Request) -> Service[Any, Any]:
    """The service that a request came to."""
    service: Service[Any, Any] = request.app.state.service
    return service


_bearer = HTTPBearer(auto_error=False, description="An API key")


class RequiresRole:
    """A dependency that gives the name of the API key that a request came with.

    Raises:
        Problem: 401 no key or one that is not known, 403 none of its roles is one of `roles`.
    """

    def __init__(self, *roles: Role) -> None:
        self._roles = frozenset(roles)

    async def __call__(
        self, request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)] = None
    ) -> str:
        key = service_of(request).keys.owner(given.credentials) if given else None
        if key is None:
            raise Problem(401, "unauthorized", "an API key is needed: Authorization: Bearer <key>")
        if self._roles.isdisjoint(key.roles):
            raise Problem(403, "forbidden", f"this needs one of the roles {', '.join(sorted(self._roles))}")
        return key.name
