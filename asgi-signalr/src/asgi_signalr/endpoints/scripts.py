"""Serving the scripts of the official client: kept by browsers for good where the address names the version."""

from collections.abc import Mapping

from asgi_signalr import client
from asgi_signalr.http import Refusal, Response, Scope, headers_of

VERSION_PARAMETER = "v"
# They are public, and a page of another origin that pins one has to be able to check what it gets.
HEADERS = {
    "Content-Type": "text/javascript; charset=utf-8",
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Allow-Origin": "*",
}
FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "public, no-cache"


def serve(name: str, scope: Scope, query: Mapping[str, str]) -> Response:
    """Answer a request for a script.

    Raises:
        Refusal: there is none of this name, or it is not to be fetched.

    """
    if name not in client.SCRIPTS:
        raise Refusal(404, "Not Found")
    if scope["method"] not in ("GET", "HEAD"):
        raise Refusal(405, "Method Not Allowed", Allow="GET, HEAD")
    script = client.script(name)
    pinned = query.get(VERSION_PARAMETER) == client.version()
    caching = {"ETag": script.etag, "Cache-Control": FOREVER if pinned else ASK_AGAIN}
    if script.etag in headers_of(scope).get("if-none-match", ""):
        return Response(304, headers=caching)
    return Response(200, script.body, caching | HEADERS)


def pinned_tag(url: str) -> str:
    """Write the tag that loads a script of this very version, so that it is fetched but once.

    Raises:
        LookupError: there is no such script.

    """
    return client.script_tag(f"{url}?{VERSION_PARAMETER}={client.version()}")
