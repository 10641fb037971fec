"""What whoever manages a machine may keep its browser from, how that shows, and a look at it.

A school's policy may take scripts, cookies or the machine's own pages from every browser. An app then fails its checks
although nothing is wrong with it; so a page of labkit's own tries what apps need.
"""

import base64
import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from labkit.errors import MachineError
from labkit.language import marked

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE = 10.0
"""Seconds after which a look that has found nothing is given up: a machine that is busy is no policy."""

_NO_PAGES, _NO_SCRIPTS, _NO_COOKIES, _NO_SOCKETS = marked(
    "opens no pages for a program", "runs no scripts", "keeps no cookies", "opens no WebSockets"
)
_BLOCKED, _PROXY, _WINDOW, _STEERED = marked(
    "is kept from pages of this machine, 127.0.0.1",
    "asks a proxy for pages of this machine, 127.0.0.1, and the proxy does not answer",
    "may not run without a window",
    "may not be steered by programs",
)
(THE_BROWSER,) = marked("This machine's browser")

_SIGNS = {
    "ERR_BLOCKED_BY_ADMINISTRATOR": _BLOCKED,
    "ERR_PROXY_CONNECTION_FAILED": _PROXY,
    "Headless mode is disallowed": _WINDOW,
    "remote debugging is disallowed": _STEERED,
    **{each: each for each in (_NO_PAGES, _NO_SCRIPTS, _NO_COOKIES, _NO_SOCKETS)},
}
"""What Chromium, or the look, says of a policy, and that in words."""

_WAITING = "waiting"

_PAGE = f"""<title>{_NO_SCRIPTS}</title><script>
document.title = "{_WAITING}";
fetch("/kept").then((answer) => {{
  if (!answer.ok) {{ document.title = "{_NO_COOKIES}"; return; }}
  const socket = new WebSocket(`ws://${{location.host}}/`);
  socket.onopen = () => {{ document.title = "ready"; }};
  socket.onerror = () => {{ if (document.title === "{_WAITING}") document.title = "{_NO_SOCKETS}"; }};
}});
</script>"""


def forbidden(said: str) -> str | None:
    """What a policy keeps the browser from, if that shows in its words."""
    return next((words for sign, words in _SIGNS.items() if sign in said), None)


def refusal(name: str, fault: str, variable: str) -> MachineError:
    """The error that a policy keeps this browser from something; `variable` can name another one."""
    return MachineError(
        f"{name} {fault}: a policy of whoever manages this machine has it so.",
        "Ask them to allow it for http://127.0.0.1 (the address chrome://policy lists what is set), "
        f"or name another browser: {variable}=PATH",
    )


def look(browser: "Browser") -> str | None:
    """What a policy keeps this browser from that apps need; None if nothing is found.

    Raises Playwright's Error, or TimeoutError, if the page itself is not reached: `forbidden` tells whether that, too,
    is a policy's doing.
    """
    from playwright.sync_api import Error

    with contextlib.closing(browser.new_context()) as context, _serving() as address:
        try:
            page = context.new_page()
        except Error:
            if browser.is_connected():
                return _NO_PAGES
            raise
        page.goto(address, timeout=PATIENCE * 1000)
        return forbidden(_title(page))


def _title(page: "Page") -> str:
    """The page's title, once there is no more to wait for."""
    until = time.monotonic() + PATIENCE
    while (title := page.title()) == _WAITING:
        if time.monotonic() > until:
            raise TimeoutError(f"A page of labkit's own is not ready within {PATIENCE:g} s.")
        page.wait_for_timeout(10)
    return title


@contextlib.contextmanager
def _serving() -> Iterator[str]:
    """The address of a page that tries what apps do."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


class _Answer(BaseHTTPRequestHandler):
    """The page, with a cookie; whether the cookie came back; the beginning of a WebSocket."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer one request; the connection ends with it."""
        self.close_connection = True
        if key := self.headers.get("Sec-WebSocket-Key"):
            accepted = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False)
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(accepted.digest()).decode())
            self.end_headers()
            return
        self.send_response(200 if self.path != "/kept" or "kept=1" in self.headers.get("Cookie", "") else 403)
        self.send_header("Content-Type", "text/html")
        self.send_header("Connection", "close")
        self.send_header("Set-Cookie", "kept=1;HttpOnly;SameSite=Lax")
        self.end_headers()
        self.wfile.write(_PAGE.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing: nobody has asked for these pages."""
