"""Which pages may connect. Browsers send cookies along with WebSockets of any page, so the server has to look.

A request without an Origin comes from no page and is let through; authentication is not this module's affair.
"""

import re
from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
_SUBDOMAIN = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
# As browsers send it: a scheme, a host and maybe a port, and nothing behind them. Some pages in apps have no host.
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d+))?/?|file://|null"
)


AllowedOrigins = Collection[str] | Callable[[str], bool]
"""The origins whose pages may connect, `https://*.example.com` for all subdomains; or a function that says of each."""


def check_origin(origin: object) -> None:
    """See that a page may have an origin that the application allows.

    Raises:
        ValueError: no browser sends it like this, so that it would allow nothing.

    """
    if origin == "*":
        return
    form = "such as 'https://app.example.com', 'https://*.example.com' or 'http://localhost:5173', or '*' for any"
    found = _ORIGIN.fullmatch(origin.lower().replace("://*.", "://", 1)) if isinstance(origin, str) else None
    if found is None:
        raise ValueError(f"In allowed_origins, {origin!r} is no origin. Write each as browsers send it, {form}.")
    if found["port"] is not None and int(found["port"]) == _PORTS.get(found["scheme"]):
        raise ValueError(f"In allowed_origins, leave the port out of {origin!r}: browsers do, as it is the usual one.")


def is_allowed(headers: Mapping[str, str], allowed: AllowedOrigins) -> bool:
    """Decide about a request by its Origin: the own one is allowed, and those listed."""
    origin = headers.get("origin")
    return origin is None or is_listed(origin, allowed) or _is_own(origin, headers.get("host", ""))


def is_listed(origin: str, allowed: AllowedOrigins) -> bool:
    """Say whether an origin is among those that the application allows."""
    if callable(allowed):
        return bool(allowed(origin))
    if "*" in allowed:
        return True
    origin = origin.lower().removesuffix("/")
    return any(_is_same(origin, each.lower().removesuffix("/")) for each in allowed)


def _is_same(origin: str, allowed: str) -> bool:
    before, is_pattern, behind = allowed.partition("*")
    if not is_pattern:
        return origin == allowed
    between = origin[len(before) : len(origin) - len(behind)]
    is_around = origin.startswith(before) and origin.endswith(behind) and len(origin) > len(before) + len(behind)
    return is_around and _SUBDOMAIN.fullmatch(between) is not None


def _is_own(origin: str, host: str) -> bool:
    """Compare host and port. The scheme may be http or https, since a proxy may have taken the TLS off."""
    found = _ORIGIN.fullmatch(origin.lower())
    if found is None or found["scheme"] not in _PORTS:  # as no page has that a browser has fetched from here
        return False
    try:
        parts = urlsplit(origin)
        own = urlsplit(f"{parts.scheme}://{host}")
        default = _PORTS.get(parts.scheme)
        return bool(parts.hostname) and (parts.hostname, parts.port or default) == (own.hostname, own.port or default)
    except ValueError:  # no port, but something else
        return False


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Say whether a request is a browser's question whether another request would be allowed."""
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def cors_headers(headers: Mapping[str, str], allowed: AllowedOrigins) -> dict[str, str]:
    """The headers by which a listed origin's page may read the answer; the official client sends credentials."""
    if not allowed:
        return {}
    vary = {"Vary": "Origin"}  # also where the answer is to another origin or to none: a cache must not mix them up
    origin = headers.get("origin")
    if origin is None or not is_listed(origin, allowed):
        return vary
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"} | vary


def preflight_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """What a page of another origin may ask: the methods of the transports, with whatever headers its client sets."""
    return {
        "Access-Control-Allow-Methods": "GET, POST, DELETE",
        "Access-Control-Allow-Headers": headers.get("access-control-request-headers", ""),
        "Access-Control-Max-Age": "600",
    }
