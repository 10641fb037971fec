"""A page that says how often it was opened. Run it with: python app.py 8000"""

import string
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = Path(__file__).parent / "page.html"


class Pages(BaseHTTPRequestHandler):
    """Answers every request for the page."""

    visits = 0

    def do_GET(self) -> None:
        """Answer / with the page, and /healthz as soon as the app is ready."""
        if self.path == "/healthz":
            self.answer(200, "ok")
        elif self.path == "/":
            # TODO count-visits: count this visit
            page = string.Template(PAGE.read_text(encoding="utf-8"))
            self.answer(200, page.safe_substitute(visits=Pages.visits))
        else:
            self.answer(404, "There is no such page.")

    def answer(self, status: int, text: str) -> None:
        """Send one answer to the browser."""
        content = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Pages).serve_forever()
