"""What the README and the pages of docs show is what there is."""

import ast
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from asgi_signalr import SignalR
from asgi_signalr.options import Options
from itsdangerous import TimestampSigner

LIBRARY = Path(__file__).parent.parent
EXAMPLES = LIBRARY / "examples"
README = (LIBRARY / "README.md").read_text(encoding="utf-8")
SECURITY = (LIBRARY / "SECURITY.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (LIBRARY / "docs").glob("*.md")} | {
    "README.md": README,
    "SECURITY.md": SECURITY,
}

# What a page's Python goes on from: the first example, and what the README calls the application's own.
BEFORE = """
from typing import Any
from asgi_signalr import Hub, SignalR
from chat_fastapi import Chat, app, signalr
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
session_maker: async_sessionmaker[AsyncSession]
notes: Table
"""

MYPY = """
[mypy]
strict = True
mypy_path = {0}, {0}/django_project
explicit_package_bases = True
disable_error_code = top-level-await
[mypy-django.*,asgiref.*]
ignore_missing_imports = True
[mypy-sqlalchemy.*]
follow_imports = skip
"""


def python_of(page: str) -> str:
    """All Python of a page but the examples that are files, as one script."""
    own = re.sub(r"<!-- from .*?<!-- end -->", "", page, flags=re.DOTALL)
    return "\n".join(re.findall(r"```python\n(.*?)```", own, re.DOTALL))


SCRIPTS = {name: python_of(page) for name, page in sorted(PAGES.items()) if python_of(page)}


def refresh_tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("refresh_readme", LIBRARY / "tools" / "refresh_readme.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the examples be imported, afresh."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.delitem(sys.modules, "chat_fastapi", raising=False)


async def run_page(name: str) -> dict[str, Any]:
    """Run a page's Python from top to bottom; returns what it has defined."""
    names: dict[str, Any] = {}
    code = compile(BEFORE + SCRIPTS[name], name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    waiting = eval(code, names)
    if waiting is not None:
        await waiting
    return names


@pytest.mark.parametrize("name", sorted(PAGES))
def test_examples_and_options_are_those_of_the_sources(name: str) -> None:
    """Otherwise run tools/refresh_readme.py."""
    assert refresh_tool().refreshed(PAGES[name]) == PAGES[name]


def keywords() -> set[str]:
    """Name the keyword arguments of `SignalR`: its own, and the options."""
    own = {each.name for each in inspect.signature(SignalR).parameters.values() if each.kind is each.KEYWORD_ONLY}
    return own | set(Options.__dataclass_fields__)


def test_every_option_is_in_the_table_and_nothing_else() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == keywords()


def test_every_example_is_shown() -> None:
    shown = re.findall(r"<!-- from (examples/.*?) -->", "".join(PAGES.values()))
    there = (path for path in EXAMPLES.rglob("*.*") if path.suffix in (".py", ".html"))
    assert set(shown) == {path.relative_to(LIBRARY).as_posix() for path in there}


@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize(
    ("name", "tests"),
    [("README.md", 2), ("backplanes.md", 0), ("coming-from.md", 3), ("frameworks.md", 1), ("origins.md", 0)],
)
async def test_pages_run_from_top_to_bottom_and_their_tests_pass(name: str, tests: int) -> None:
    names = await run_page(name)
    found = [value for key, value in names.items() if key.startswith("test_")]
    assert len(found) == tests
    for test in found:
        await test()


def test_no_page_with_python_is_left_out() -> None:
    assert sorted(SCRIPTS) == ["README.md", "backplanes.md", "coming-from.md", "frameworks.md", "origins.md"]


@pytest.mark.slow
def test_it_type_checks_as_strictly_as_mypy_can(tmp_path: Path) -> None:
    """The README, the pages and the examples; Django itself has no types."""
    config = tmp_path / "mypy.ini"
    config.write_text(MYPY.format(EXAMPLES), encoding="utf-8")
    files = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("django_project/*/*.py")]
    for name, script in SCRIPTS.items():
        files.append(tmp_path / f"{name.partition('.')[0].lower()}.py")
        files[-1].write_text(BEFORE + script, encoding="utf-8")
    options = ["--config-file", str(config), "--cache-dir", str(tmp_path / "cache")]
    command = [sys.executable, "-m", "mypy", *options, *map(str, files)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", cwd=tmp_path)
    assert done.stdout == f"Success: no issues found in {len(files)} source files\n"


@pytest.mark.usefixtures("examples")
async def test_its_user_function_takes_good_tokens_only(monkeypatch: pytest.MonkeyPatch) -> None:
    names = await run_page("README.md")
    user_of, tokens = names["user_of"], names["tokens"]

    def user(token: str) -> Any:
        return user_of({"headers": [(b"authorization", f"Bearer {token}".encode())]})

    good = tokens.dumps("ann")
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda signer: 0)
    expired = tokens.dumps("ann")
    monkeypatch.undo()
    assert [user(good), user(good + "x"), user(expired), user("")] == ["ann", None, None, None]


@pytest.mark.slow
def test_its_first_test_passes_as_it_says(tmp_path: Path) -> None:
    """With pytest alone, and with the settings that it shows."""
    (settings,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    for name in ("chat_fastapi.py", "test_chat.py"):
        (tmp_path / name).write_bytes((EXAMPLES / name).read_bytes())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert re.search(r"^1 passed in ", done.stdout, re.MULTILINE), done.stdout


def test_what_it_says_of_asp_net_core_names_options_that_there_are() -> None:
    named = set(re.findall(r"^\| `.*\| `(\w+)`", PAGES["aspnet-core.md"].partition("## Options")[2], re.MULTILINE))
    assert len(named) == 16
    assert named <= keywords()


# Links.


def anchors_of(page: str) -> set[str]:
    text = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", sorted(PAGES))
def test_links_lead_somewhere(name: str) -> None:
    folder = LIBRARY if (LIBRARY / name).exists() else LIBRARY / "docs"
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", PAGES[name])
    broken = [
        (target, anchor)
        for target, anchor in links
        if not (folder / target).exists()
        or (anchor and anchor not in anchors_of(PAGES[Path(target).name] if target else PAGES[name]))
    ]
    assert broken == []


def test_links_lead_to_nothing_that_the_source_distribution_does_not_have() -> None:
    manifest = (LIBRARY / "MANIFEST.in").read_text(encoding="utf-8").splitlines()
    targets = set(re.findall(r"\]\((?!https?:|#)([^)#]*)", README + SECURITY))
    assert {target.partition("/")[0] for target in targets} == {"docs", "SECURITY.md"}
    assert {"graft docs", "graft examples", "include SECURITY.md"} <= set(manifest)


def test_the_bounds_that_are_promised_are_the_options_own() -> None:
    rows = re.findall(r"^\| .*? \| (.*?) \| (`.*`) \|$", SECURITY, re.MULTILINE)
    promised = {name: text for text, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert len(promised) == 16
    for name, text in promised.items():
        value = getattr(Options(), name)
        number = "none" if value is None else f"{value:,}"
        if name in ("max_message_size", "max_queued_bytes"):
            number = f"{value >> 10} KiB" if value < 1 << 20 else f"{value >> 20} MiB"
        elif isinstance(value, float) or name.endswith(("_timeout", "_interval")):
            number = f"{value:g} s"
        assert re.search(rf"(^|\s){number}\b", text), name
