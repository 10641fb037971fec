"""A page of labkit's own that tries in a browser what apps need: a policy may take it from every page.

A school's policy may take scripts, cookies or the machine's own pages from every browser. An app then fails its checks
although nothing is wrong with it.
"""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from websockets.utils import accept_key

from labkit.policies import NO_COOKIES, NO_PAGES, NO_SCRIPTS, NO_SOCKETS, forbidden

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PATIENCE = 10.0
"""Seconds after which a look that has found nothing is given up: a machine that is busy is no policy."""

_WAITING = "waiting"

_PAGE = f"""<title>{NO_SCRIPTS}</title><script>
document.title = "{_WAITING}";
fetch("/kept").then((answer) => {{
  if (!answer.ok) {{ document.title = "{NO_COOKIES}"; return; }}
  const socket = new WebSocket(`ws://${{location.host}}/`);
  socket.onopen = () => {{ document.title = "ready"; }};
  socket.onerror = () => {{ if (document.title === "{_WAITING}") document.title = "{NO_SOCKETS}"; }};
}});
</script>"""


def look(browser: "Browser") -> str | None:
    """What a policy keeps this browser from that apps need; None if nothing is found.

    Raises Playwright's Error if the page is not reached, or not ready in time: `forbidden` tells whether that, too, is
    a policy's doing.
    """
    from playwright.sync_api import Error

    with contextlib.closing(browser.new_context()) as context, _serving() as address:
        try:
            page = context.new_page()
        except Error:
            if browser.is_connected():
                return NO_PAGES
            raise
        page.goto(address, timeout=PATIENCE * 1000)
        page.wait_for_function(f"document.title !== '{_WAITING}'", polling=10, timeout=PATIENCE * 1000)
        return forbidden(page.title())


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
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", accept_key(key))
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
