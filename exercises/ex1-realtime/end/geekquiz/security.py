"""What a browser may do with the pages, and what pages of other sites may not do with the quiz."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import answer_error

HEADERS = {
    # Nothing but the quiz's own files: no script in a page, none of another site, no page that frames this one.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class SecurityHeaders:
    """Adds the headers to every answer; pages are not stored, files are asked for again before they are used."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                is_file = "etag" in headers
                headers.setdefault("Cache-Control", "no-cache" if is_file else "no-store")
            await send(message)

        await self.app(scope, receive, send_with_headers)


class RefuseOtherSites:
    """Refuses what another site's page sends with the user's cookies, unless it only reads; and long bodies unread."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket, whose origin the hub looks at by itself."""
        only_reads = scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS")
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        if not only_reads and not comes_from_here(headers):
            refused = HTTPException(403, "Cross-site request refused.")
        elif "transfer-encoding" in headers or int(headers.get("content-length", 0)) > 64 * 1024:
            refused = HTTPException(413, "The request is too long, or hides its length.")
        else:
            await self.app(scope, receive, send)
            return
        answer = await answer_error(Request(scope), refused)
        await answer(scope, receive, send)


def comes_from_here(headers: Headers) -> bool:
    """Whether a page of this very origin sent the request, or no page at all."""
    if site := headers.get("sec-fetch-site"):
        return site in ("same-origin", "none")
    # Browsers leave Sec-Fetch-Site out where there is no https; they always send the origin with unsafe methods.
    origin = headers.get("origin")
    return origin is None or origin in {f"{scheme}://{headers.get('host')}" for scheme in ("http", "https")}
