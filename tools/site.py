"""Builds the docs site: `uv run --group docs python tools/site.py [DIR]`, in `site/` if no folder is named.

The pages are the very Markdown files that people read in the repository, at the same paths, so that their links hold
in both. Only the reference of the commands is generated. A link that leads nowhere fails the build.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from typer.cli import get_docs_for_click
from typer.core import TyperGroup
from typer.main import get_command

from labkit.cli import app

ROOT = Path(__file__).parent.parent
PAGES = {
    "The kit": {"labkit": "README.md", "Instructors": "docs/instructors.md", "Commands": "docs/commands.md"},
    "The lab": {
        "Introduction": "docs/lab.md",
        "Exercise 1": "exercises/ex1-realtime/README.md",
        "Exercise 2": "exercises/ex2-scaleout/README.md",
    },
    "Concepts": "docs/concepts",
    "asgi-signalr": {"Overview": "asgi-signalr/README.md", "Guides": "asgi-signalr/docs"},
    "Authors and contributors": {
        "Writing a lab": "docs/authors.md",
        "Contributing": "CONTRIBUTING.md",
        "Verdicts": "docs/verdicts.md",
        "Performance": "docs/performance.md",
        "Security": "docs/security.md",
        "Sandbox": "docs/sandbox.md",
        "Pictures": "docs/pictures.md",
        "Benchmarks": "benchmarks/README.md",
        "Changes": {"labkit": "CHANGELOG.md", "asgi-signalr": "asgi-signalr/CHANGELOG.md"},
    },
}
"""What is on the site, by its headings; a folder stands for all its pages."""

_LINK = re.compile(r"(?P<text>\[[^\]]*\])\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")


def main() -> int:
    """Lay the pages out as the site has them, then build it; returns the exit status of the build."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "site").resolve()
    with tempfile.TemporaryDirectory(prefix="labkit-site-") as folder:
        pages = Path(folder) / "pages"
        chosen = list(_paths(PAGES))
        for path in chosen:
            _copy(path, pages, chosen)
        for picture in _tracked("*.svg", "*.webp", "*.png"):
            if any(picture.startswith(f"{each.rpartition('/')[0]}/") for each in chosen if "/" in each):
                _put(pages / picture, (ROOT / picture).read_bytes())
        _put(pages / "docs" / "commands.md", commands().encode())
        settings = Path(folder) / "mkdocs.yml"
        settings.write_text(json.dumps(_settings(pages)), encoding="utf-8")  # which is YAML as well
        build = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "-f", str(settings)]
        status = subprocess.run(build, check=False).returncode
        if status == 0:
            shutil.copytree(Path(folder) / "site", target, dirs_exist_ok=True)
        return status


def commands() -> str:
    """The reference of the commands, from their own help."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)  # noqa: S101  (for mypy)
    text = get_docs_for_click(
        obj=group, ctx=group.context_class(group, info_name="labkit"), name="labkit", title="Commands"
    )
    return re.sub(r"<(?=[A-Z])", r"\\<", text)


def _settings(pages: Path) -> dict[str, object]:
    return {
        "site_name": "labkit",
        "docs_dir": pages.name,
        "site_dir": "site",
        "theme": {
            "font": False,  # nothing is fetched from elsewhere by who reads it
            "features": ["navigation.tabs", "navigation.footer", "content.code.copy", "search.suggest"],
            "palette": [
                {"media": f"(prefers-color-scheme: {scheme})", "scheme": name}
                for scheme, name in (("light", "default"), ("dark", "slate"))
            ],
        },
        "plugins": ["search"],
        "markdown_extensions": [
            "admonition",
            "attr_list",
            "tables",
            "pymdownx.highlight",
            "pymdownx.superfences",
            "toc",
        ],
        "nav": _navigation(PAGES),
    }


def _paths(entry: object) -> list[str]:
    if isinstance(entry, dict):
        return [path for each in entry.values() for path in _paths(each)]
    text = str(entry)
    if text.endswith(".md"):
        return [text] if (ROOT / text).is_file() else []
    return sorted(_tracked(f"{text}/*.md"))


def _navigation(entry: object) -> list[object]:
    assert isinstance(entry, dict)  # noqa: S101  (for mypy)
    found: list[object] = []
    for name, each in entry.items():
        is_page = isinstance(each, str) and each.endswith(".md")
        inner = _navigation(each) if isinstance(each, dict) else each if is_page else _paths(each)
        found.append({name: inner})
    return found


def _copy(path: str, pages: Path, chosen: list[str]) -> None:
    """Copy a page; a link to a file that is no page of the site keeps its words only."""
    text = (ROOT / path).read_text(encoding="utf-8")
    folder = (ROOT / path).parent

    def led(link: re.Match[str]) -> str:
        target = (folder / link["target"]).resolve()
        if "://" in link["target"] or not target.is_relative_to(ROOT):
            return link[0]
        if not target.exists():
            return link[0]  # the build says so
        place = target.relative_to(ROOT).as_posix()
        is_shown = place in chosen or target.suffix in (".svg", ".webp", ".png")
        return link[0] if is_shown else link["text"][1:-1]

    parts = re.split(r"(^ *```.*?^ *```$)", text, flags=re.DOTALL | re.MULTILINE)
    _put(pages / path, "".join(part if n % 2 else _LINK.sub(led, part) for n, part in enumerate(parts)).encode())


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _tracked(*patterns: str) -> list[str]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, check=True, capture_output=True, encoding="utf-8")
    return listed.stdout.splitlines()


if __name__ == "__main__":
    sys.exit(main())
