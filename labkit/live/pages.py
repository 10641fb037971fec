"""The texts of a live page, in the reader's language: those of its HTML, and those of its script."""

import json
import re
from html import escape
from importlib import resources
from pathlib import Path

from starlette.responses import HTMLResponse, Response

from labkit import language
from labkit.files import read_text

_MARKED = re.compile(r'\{\{ t\("(.+?)"\) \}\}')
"""A message in a page."""


def page(path: Path) -> Response:
    """A page, `{{ t("…") }}` translated."""
    html = _MARKED.sub(lambda match: escape(language.said(match[1])), read_text(path))
    return HTMLResponse(html.replace('lang="en"', f'lang="{language.chosen() or "en"}"'))


def texts(script: Path) -> Response:
    """A module with what a script says by `t("…")`: each message with its translation."""
    found = {text: language.translated(text) for text in language.of_page(read_text(script))}
    return Response(f"export default {json.dumps(found, ensure_ascii=False)};", media_type="text/javascript")


def client() -> Response:
    """The SignalR client, which asgi-signalr carries."""
    text = (resources.files("asgi_signalr") / "client" / "signalr.js").read_text(encoding="utf-8")
    return Response(text, media_type="text/javascript")
