"""Who may speak to a live page: only the person at this machine who started it, in the tab that labkit opened.

A page of labkit's can do what its person can do at the terminal, so nothing else in the same browser may use it: not a
page on the internet, and not an app on another port of this machine, which every browser counts as the same site.

- The server listens on the loopback interface only.
- `Host` has to be one of the server's own names, so that no other name can be pointed at this machine (DNS rebinding).
- A browser says where a request comes from (`Origin`, `Sec-Fetch-Site`); all but the page itself is refused.
- The token comes in the fragment of the address, which browsers never send, stays in the tab, and goes as a bearer
  token. It is no cookie: those are sent to every port of a host.
- Answers can be framed or read by no other page.
"""

import secrets
from collections.abc import Iterable
from urllib.parse import urlsplit

from asgi_signalr import bearer_token
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


class Gate:
    """Stands before a live page's app.

    Args:
        app: the ASGI app.
        port: the server's port.
        token: what every request below one of the `guarded` paths has to bring.
        guarded: the beginnings of those paths.
        host_names: further names of the server, as a forwarding proxy has them.

    """

    def __init__(
        self, app: ASGIApp, *, port: int, token: str, guarded: tuple[str, ...], host_names: Iterable[str] = ()
    ) -> None:
        self._app = app
        self._token = token
        self._guarded = guarded
        own = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._hosts = own | {name.lower() for name in host_names}
        # A proxy may rewrite only one of the two names.
        self._origins = {f"{scheme}://{host}" for host in self._hosts for scheme in ("http", "https")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, _guarding(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403, "reason": refusal})
        else:
            await JSONResponse({"error": {"message": refusal}}, status_code=403)(scope, receive, _guarding(send))

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        if [host.lower() for host in headers.getlist("host")] not in [[host] for host in self._hosts]:
            return "This server has another name."
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in self._origins:
            return "Other pages may not use this server."
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "Other pages may not use this server."
        path = scope["path"]
        if any(path.startswith(beginning) for beginning in self._guarded) and not self.knows(scope):
            return "The token is missing: open the address that labkit printed."
        return None

    def knows(self, scope: Scope) -> bool:
        """Whether a request brings the token."""
        return secrets.compare_digest((bearer_token(scope) or "").encode(), self._token.encode())


def _guarding(send: Send) -> Send:
    """Add the headers that keep an answer from other pages."""

    async def sending(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(raw=list(message.get("headers", ())))
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            message = {**message, "headers": headers.raw}
        await send(message)

    return sending


def address(port: int, token: str, host_name: str | None = None) -> str:
    """The address to open: the token is in the fragment."""
    base = f"https://{urlsplit(f'//{host_name}').netloc}" if host_name else f"http://127.0.0.1:{port}"
    return f"{base}/#token={token}"
