"""What is at which path: the hubs and persistent connections of an application, the status, the client's scripts."""

from collections.abc import Collection, Iterator

from asgi_signalr import client
from asgi_signalr.context import Authorize, checked_rule
from asgi_signalr.endpoints.endpoint import Endpoint
from asgi_signalr.endpoints.negotiate import FindRedirect
from asgi_signalr.http import normal_path
from asgi_signalr.transports import checked

# What paths have in frameworks that take parameters from them, and in URLs behind the path.
PARAMETERS = frozenset("{}<>?#")


class Routes:
    """The paths of one application, and the classes that are served there.

    Args:
        status_path: where the status is served; None: nowhere.

    """

    def __init__(self, status_path: str | None) -> None:
        self.status_path = None if status_path is None else normal_path(status_path)
        self._endpoints: dict[str, Endpoint] = {}
        self._served: dict[str, type] = {}

    def __iter__(self) -> Iterator[str]:
        """Name the paths of the endpoints."""
        return iter(self._endpoints)

    def check(
        self,
        decorator: str,
        path: str,
        authorize: Authorize,
        transports: Collection[str],
        redirect: FindRedirect | None,
    ) -> None:
        """See that something can be served like this, before it is known what.

        Raises:
            ValueError: the path is taken or has parameters, or there is no such transport.
            TypeError: an argument is not what it should be.

        """
        if not isinstance(path, str):
            raise TypeError(f"A path is wanted, not {path!r}: write @signalr.{decorator}('/chat').")
        if not PARAMETERS.isdisjoint(path):
            raise ValueError(
                f"The path {path!r} has parameters. A client may give such a thing as an argument of a method, or in "
                "its query string: self.context.query."
            )
        checked_rule(authorize)
        if redirect is not None and not callable(redirect):
            raise TypeError(f"redirect is a function that returns Redirect(url) or None, not {redirect!r}.")
        checked(transports)
        for address in (normal_path(path), normal_path(f"{path}/negotiate")):
            if (there := self._name_of(address)) is not None:
                raise ValueError(f"{there} is already served at {address}.")

    def _name_of(self, path: str) -> str | None:
        """Name what is at an address already."""
        if path == self.status_path:
            return "The status"
        if path.lstrip("/") in client.SCRIPTS:
            return "The official client"
        for hub, endpoint in self._endpoints.items():
            if path == hub:
                return endpoint.handler.name
            if path == f"{hub.rstrip('/')}/negotiate":
                return f"The negotiation of {endpoint.handler.name}"
        return None

    def add(self, path: str, served: type, endpoint: Endpoint) -> None:
        """Serve a class at a path.

        Raises:
            ValueError: another class has the same name.

        """
        name = served.__name__
        if self._served.setdefault(name, served) is not served:
            raise ValueError(f"There are two hub classes named {name}; hubs are known by their names.")
        self._endpoints[normal_path(path)] = endpoint

    def serves(self, served: type) -> bool:
        """Say whether a class is served."""
        return self._served.get(served.__name__) is served

    def endpoint(self, path: str) -> Endpoint | None:
        """Find what is served at a path."""
        return self._endpoints.get(path)

    def negotiation(self, path: str) -> Endpoint | None:
        """Find the endpoint whose negotiation is at a path."""
        return self._endpoints.get(normal_path(path[: -len("negotiate")])) if path.endswith("/negotiate") else None
