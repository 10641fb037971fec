"""Who may: the page that a request comes from, its user, and the rule of the endpoint."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from asgi_signalr import origins
from asgi_signalr.connections.hooks import HookTimeoutError, in_time
from asgi_signalr.context import Authorize, HubCallerContext, is_authorized, take_secrets
from asgi_signalr.endpoints.refusals import LONGEST
from asgi_signalr.http import Refusal, Response, Scope
from asgi_signalr.options import Options
from asgi_signalr.users import expiry, find_user, identifier, revalidation

T = TypeVar("T")


@dataclass(repr=False)  # what it brings is to be in no log
class Request:
    """A request that is not refused at first sight: from which page, and from whom."""

    scope: Scope
    headers: Mapping[str, str]
    query: Mapping[str, str]
    """With the tokens, which the scope does not have any more."""
    user: object | None
    user_identifier: str | None
    expires_at: float | None
    revalidate: Callable[[], object] | None


class Admission:
    """Decides about the requests to one endpoint.

    Args:
        name: of the endpoint, for the log.
        authorize: who may connect.
        options: the application's.

    """

    def __init__(self, name: str, authorize: Authorize, options: Options) -> None:
        self._name = name
        self._authorize = authorize
        self._options = options

    async def read(self, scope: Scope, headers: Mapping[str, str]) -> Request:
        """Take a request in: the page it comes from may ask, and its user is found.

        Raises:
            Refusal: it comes from a page of another origin, or its user's authentication has expired.

        """
        try:
            self.check_origin(headers)
            # Before the tokens are taken out: an application may look for its user in the query string.
            user = await self.in_time(find_user(scope, self._options.user))
        finally:
            query = take_secrets(scope)
        expires_at = expiry(user, self._options.expires)
        if expires_at is not None and expires_at <= time.time():
            raise unauthorized()
        name = identifier(user, self._options.user_identifier)
        return Request(scope, headers, query, user, name, expires_at, revalidation(user, self._options.revalidate))

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Check the page that a request comes from.

        Raises:
            Refusal: pages of its origin may not connect.

        """
        if not origins.is_allowed(headers, self._options.allowed_origins):
            origin = headers["origin"][:LONGEST]
            raise Refusal(
                403,
                "Pages of this origin may not connect.",
                advice=f"Pages of {origin!a} were refused by {self._name}. "
                f"If they may connect: SignalR(allowed_origins=[{origin!a}, …]).",
            )

    async def in_time(self, answer: Awaitable[T]) -> T:
        """Wait for what a function of the application says about a request.

        Raises:
            Refusal: it takes too long.

        """
        try:
            return await in_time(answer, self._options.hook_timeout, "A function that says who may connect")
        except HookTimeoutError as error:
            raise Refusal(503, "The server cannot decide in time.", advice=str(error)) from None

    async def check_user(self, context: HubCallerContext) -> None:
        """Check the user by the rule of the endpoint.

        Raises:
            Refusal: the rule says no.

        """
        if not await self.in_time(is_authorized(self._authorize, context)):
            raise unauthorized() if context.user is None else Refusal(403, "Forbidden")

    def context(self, connection_id: str, request: Request) -> HubCallerContext:
        """Describe the connection that a request is about."""
        context = HubCallerContext(connection_id, request.scope, request.user, request.user_identifier, self._name)
        context.expires_at = request.expires_at
        context.revalidate = request.revalidate
        return context

    def preflight(self, scope: Scope, headers: Mapping[str, str]) -> Response:
        """Answer what a browser asks before a request to another origin; it sends no credentials along.

        Raises:
            Refusal: pages of its origin may not connect.

        """
        take_secrets(scope)  # the URL that it asks about may have them
        self.check_origin(headers)
        return Response(204, headers=origins.preflight_headers(headers))


def unauthorized() -> Refusal:
    """Make the refusal of a request without a user where one is required."""
    # In its body as well: not every server writes the reason phrase, and HTTP/2 has none.
    return Refusal(401, "Unauthorized")
