"""What a policy of whoever manages a machine keeps its browser from, and how that shows."""

from labkit.language import marked

NO_PAGES, NO_SCRIPTS, NO_COOKIES, NO_SOCKETS = marked(
    "opens no pages for a program", "runs no scripts", "keeps no cookies", "opens no WebSockets"
)
_BLOCKED, _PROXY, _WINDOW, _STEERED = marked(
    "is kept from pages of this machine, 127.0.0.1",
    "asks a proxy for pages of this machine, 127.0.0.1, and the proxy does not answer",
    "may not run without a window",
    "may not be steered by programs",
)

_SIGNS = {
    "ERR_BLOCKED_BY_ADMINISTRATOR": _BLOCKED,
    "ERR_PROXY_CONNECTION_FAILED": _PROXY,
    "Headless mode is disallowed": _WINDOW,
    "remote debugging is disallowed": _STEERED,
    **{each: each for each in (NO_PAGES, NO_SCRIPTS, NO_COOKIES, NO_SOCKETS)},
}
"""What Chromium, or the look, says of a policy, and that in words."""


def forbidden(said: str) -> str | None:
    """What a policy keeps the browser from, if that shows in its words."""
    return next((words for sign, words in _SIGNS.items() if sign in said), None)
