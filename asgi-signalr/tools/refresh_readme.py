"""Write into README.md and the pages of docs what has its source elsewhere: the examples and the table of options.

    python asgi-signalr/tools/refresh_readme.py

A block begins with `<!-- from examples/chat.html -->` or `<!-- from Options -->` and ends with `<!-- end -->`. What is
different from ASP.NET Core is in `tests/parity/differences.toml`.
"""

import ast
import inspect
import re
import textwrap
import tomllib
from pathlib import Path
from typing import Any

from asgi_signalr import SignalR, options

LIBRARY = Path(__file__).parent.parent
PAGES = [LIBRARY / "README.md", *sorted((LIBRARY / "docs").glob("*.md"))]

_BLOCK = re.compile(r"(<!-- from (?P<source>[^ ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_LANGUAGES = {".py": "python", ".html": "html"}


def refreshed(page: str) -> str:
    """Fill the blocks of a page anew."""
    return _BLOCK.sub(lambda block: block[1] + _content(block["source"]) + block[3], page)


def _content(source: str) -> str:
    if source == "Options":
        return "| option | default | |\n|---|---|---|\n" + "".join(_option(*each) for each in _options())
    path = LIBRARY / source
    if path.suffix == ".toml":
        return "".join(f"{reason}\n" for reason in reasons(path))
    return f"```{_LANGUAGES[path.suffix]}\n{path.read_text(encoding='utf-8')}```\n"


def reasons(table: Path) -> list[str]:
    """List the reasons of the table of differences, as items of a page."""
    return [
        textwrap.fill(
            each["reason"],
            width=120,
            initial_indent="- ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for each in tomllib.loads(table.read_text(encoding="utf-8"))["difference"]
    ]


def _option(name: str, default: str, description: str) -> str:
    return f"| `{name}` | {default} | {description} |\n"


def _options() -> list[tuple[str, str, str]]:
    """List the options: name, default, and what is said about it.

    The docstring below the field of `Options` says it, or else the docstring of `SignalR`.
    """
    tree = ast.parse(inspect.getsource(options.Options)).body[0]
    assert isinstance(tree, ast.ClassDef)  # noqa: S101  (it is)
    found = []
    for field, docstring in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(docstring, ast.Expr) and isinstance(docstring.value, ast.Constant)  # noqa: S101  (it is)
            text = " ".join(str(docstring.value.value).split()).removesuffix(".")
            name = field.target.id
            found.append((name, _spelled(options.Options.__dataclass_fields__[name].default), text))
    described = dict(re.findall(r"^    (\w+): (.*)$", inspect.getdoc(SignalR) or "", re.MULTILINE))
    for name, parameter in inspect.signature(SignalR).parameters.items():
        if parameter.kind is parameter.KEYWORD_ONLY:  # the others are those of `Options`
            found.append((name, _spelled(parameter.default), described[name].removesuffix(".")))
    return found


def _spelled(default: Any) -> str:
    """Write a default as a person would; nothing for what is simply not there."""
    if default is None or default == ():
        return ""
    if isinstance(default, int) and not isinstance(default, bool) and default >= 1024 and default % 1024 == 0:
        return f"{default // 1024**2} MiB" if default % 1024**2 == 0 else f"{default // 1024} KiB"
    if isinstance(default, tuple):
        return ", ".join(f"`{each}`" for each in default)
    if isinstance(default, int | float) and not isinstance(default, bool):
        return f"{default:,g}" if default < 10**6 else f"{default:,}"
    return f"`{default}`"


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
