"""A chapter's Markdown as HTML with live parts.

The Markdown is the very one that people read elsewhere: a step is an item of a task's numbered list, a `console` block
is commands, and so on (see `labkit.chapter`). What a browser needs to make it live is added as `data-` attributes, so
that the page's script has nothing to guess.
"""

import json
import posixpath
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from html import escape
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import TextLexer, get_lexer_by_name, get_lexer_for_filename
from pygments.util import ClassNotFound

from labkit import language
from labkit.chapter import items

_FORMATTER = HtmlFormatter(nowrap=True)
_EXTERNAL = re.compile(r"^(https?:)?//", re.IGNORECASE)


def action_of(command: str) -> dict[str, Any] | None:
    """What a button beside this command does: `do` with its arguments; None if the page cannot do it."""
    try:
        program, *words = shlex.split(command)
    except ValueError:
        return None
    if program != "labkit" or not words:
        return None
    options = _options(words)
    names = [word for word in words if not word.startswith("-")]
    match names:
        case ["start", exercise]:
            return {"do": "start", "exercise": exercise}
        case ["run", *_] if "--solution" not in options:
            return {"do": "run"}
        case ["snippet", "insert", name, *_]:
            return {"do": "insert", "name": name, "value": options.get("--set")}
        case ["verify", *_] if "--solution" not in options:
            return {"do": "verify", "task": options.get("--task")}
        case ["db", "start"]:
            return {"do": "db-start"}
        case ["db", "stop"]:
            return {"do": "db-stop"}
        case ["db", "create", name]:
            return {"do": "db-create", "name": name}
        case ["db", "tables", *rest]:
            return {"do": "db-tables", "name": rest[0] if rest else None, "table": rest[1] if len(rest) > 1 else None}
        case ["db", "tail", *rest]:
            return {"do": "db-tail", "name": rest[0] if rest else None}
        case ["undo"] | ["diff"]:
            return {"do": names[0]}
    return None


def _options(words: Sequence[str]) -> Mapping[str, str]:
    """The options with their values, both `--task 2` and `--task=2`; a value is taken out of `words`."""
    found: dict[str, str] = {}
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--"):
            name, _, value = word.partition("=")
            found[name] = value or following
    return found


def told(message: str, advice: str | None = None) -> dict[str, Any]:
    """An error as a page shows it, in the reader's language."""
    return {"message": language.translated(message), "next": advice and language.translated(advice)}


class Renderer:
    """Renders a page of the manual, or a part of it.

    Args:
        folder: the page's folder in the lab, with slashes: its pictures and links are relative to it.
        pages: what the page shows under a name of its own, by the path in the lab.

    """

    def __init__(self, folder: str, pages: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._pages = pages or {}
        self._markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
        rules: Mapping[str, Callable[..., str]] = {
            "fence": _fence,
            "image": self._image,
            "link_open": self._link,
            "html_inline": _html,
            "html_block": _html,
        }
        for name, rule in rules.items():
            self._markdown.add_render_rule(name, lambda renderer, *rest, rule=rule: rule(renderer, *rest))

    def render(self, source: str, steps: Sequence[str] = ()) -> str:
        """Render some Markdown; the items of its numbered lists get the ids of these steps, in their order."""
        tokens = self._markdown.parse(source)
        for step, (first, _) in zip(steps, items(tokens), strict=False):
            tokens[first].attrSet("data-step", step)
            tokens[first].attrSet("id", step)
        return str(self._markdown.renderer.render(tokens, self._markdown.options, {}))

    def _image(self, renderer: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        source, text = str(tokens[at].attrGet("src") or ""), tokens[at].content
        if _EXTERNAL.match(source):  # nothing leaves this machine
            return f"<em>{escape(text)}</em>"
        address = escape(f"{FILES}{self._path(source)}")
        return f'<img src="{address}" alt="{escape(text)}" loading="lazy" decoding="async">'

    def _link(self, renderer: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
        target = str(tokens[at].attrGet("href") or "")
        if _EXTERNAL.match(target):
            return f'<a href="{escape(target)}" target="_blank" rel="noreferrer noopener" class="away">'
        page = self._pages.get(self._path(target.partition("#")[0]))
        return f'<a href="#{escape(page)}" data-page="{escape(page)}">' if page else "<a>"

    def _path(self, target: str) -> str:
        """A path in the lab, of one that is relative to the page; percent signs are as in addresses."""
        return posixpath.normpath(posixpath.join(self._folder, unquote(target)))


FILES = "/files/"
"""The address below which the manual's pictures are."""


def _html(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """Of HTML in Markdown the keys of a keyboard, and no other."""
    text = tokens[at].content
    if text in ("<kbd>", "</kbd>"):
        return text
    return "" if text.lstrip().startswith("<!--") else escape(text)


def _fence(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    words, code = tokens[at].info.split(), tokens[at].content
    language = words[0] if words else ""
    if language == "console":
        return "".join(map(_command, code.splitlines()))
    if words[:2] == ["text", "output"]:
        return f'<pre class="output" tabindex="0"><code>{escape(code)}</code></pre>\n'
    if language == "diff" and len(words) > 1:
        return _surroundings(code, words[1])
    return (
        f'<div class="code"><pre tabindex="0"><code class="highlight">{coloured(code, language)}</code></pre></div>\n'
    )


def _command(line: str) -> str:
    if not line.startswith("$ "):
        return f'<pre class="output" tabindex="0"><code>{escape(line)}</code></pre>\n' if line.strip() else ""
    command = line[2:].strip()
    action = action_of(command)
    data = f' data-action="{escape(json.dumps(action))}"' if action else ""
    return f'<div class="command" data-command="{escape(command)}"{data}><code>{escape(command)}</code></div>\n'


def _surroundings(code: str, path: str) -> str:
    """Code in its surroundings: the new lines are marked."""
    lines = code.split("\n")[: -1 if code.endswith("\n") else None]
    texts = coloured("\n".join(line[1:] for line in lines) + "\n", path=path).split("\n")
    marked = []
    for line, text in zip(lines, texts, strict=False):
        kind = {"+": "ins", "-": "del"}.get(line[:1])
        marked.append(f"<{kind}>{text}\n</{kind}>" if kind else f"{text}\n")
    return (
        f'<figure class="code" data-path="{escape(path)}"><figcaption>{escape(path)}</figcaption>'
        f'<pre tabindex="0"><code class="highlight">{"".join(marked)}</code></pre></figure>\n'
    )


def coloured(code: str, language: str = "", path: str = "") -> str:
    """Code as HTML, escaped, with a class on each kind of token."""
    return str(highlight(code, _lexer(language, path), _FORMATTER))


@lru_cache(64)
def _lexer(language: str, path: str) -> Lexer:
    try:
        if path:
            found: Lexer = get_lexer_for_filename(path, stripnl=False, ensurenl=False)
        else:
            found = get_lexer_by_name(language or "text", stripnl=False)
    except ClassNotFound:
        found = TextLexer(stripnl=False)
    return found


def styles() -> str:
    """The style sheet of coloured code, for light pages and for dark ones."""
    light, dark = (
        HtmlFormatter(style=style).get_style_defs(".highlight")  # type: ignore[no-untyped-call]
        for style in ("default", "github-dark")
    )
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
