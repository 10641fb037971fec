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

_TRANSLATE = """\
const texts = %s;
export const t = (text, fields = {}) =>
  (texts[text] ?? text).replace(/\\{(\\w+)\\}/g, (field, name) => fields[name] ?? field);
"""
"""A module; its texts are put in."""


def page(path: Path) -> Response:
    """A page, `{{ t("…") }}` translated."""
    html = _MARKED.sub(lambda match: escape(language.said(match[1])), read_text(path))
    return HTMLResponse(html.replace('lang="en"', f'lang="{language.chosen() or "en"}"'))


def texts(script: Path) -> Response:
    """A module with the function `t` for a script: what it says by `t("…")`, in the reader's language."""
    found = {text: language.translated(text) for text in language.of_page(read_text(script))}
    return Response(_TRANSLATE % json.dumps(found, ensure_ascii=False), media_type="text/javascript")


def client() -> Response:
    """The SignalR client, which asgi-signalr carries."""
    text = (resources.files("asgi_signalr") / "client" / "signalr.js").read_text(encoding="utf-8")
    return Response(text, media_type="text/javascript")
