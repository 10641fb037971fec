"""What the README shows is what there is."""

import ast
import importlib.util
import inspect
import re
from pathlib import Path
from typing import Any

from asgi_signalr import SignalR
from asgi_signalr.options import Options

LIBRARY = Path(__file__).parent.parent
README = (LIBRARY / "README.md").read_text(encoding="utf-8")


def test_its_examples_and_its_options_are_those_of_the_sources() -> None:
    """Otherwise run tools/refresh_readme.py."""
    spec = importlib.util.spec_from_file_location("refresh_readme", LIBRARY / "tools" / "refresh_readme.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.refreshed(README) == README


def test_every_option_is_in_the_table_and_nothing_else() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE)
    assert len(listed) == len(set(listed))
    keywords = set(inspect.signature(SignalR).parameters)
    assert set(listed) == keywords | set(Options.__dataclass_fields__)


def test_every_example_is_shown() -> None:
    shown = re.findall(r"<!-- from (examples/.*?) -->", README)
    assert sorted(shown) == sorted(f"examples/{path.name}" for path in (LIBRARY / "examples").glob("*.*"))


async def test_it_runs_from_top_to_bottom() -> None:
    """All its Python is one script, without the frameworks that are not the first; its tests pass."""
    readme = re.sub(r"<details>.*?</details>", "", README, flags=re.DOTALL)
    names: dict[str, Any] = {
        "__file__": str(LIBRARY / "examples" / "chat_fastapi.py"),
        "AsyncSession": object,  # SQLAlchemy's
        "find_user": None,
    }
    for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL):
        if "from chat_fastapi import" in block or "django" in block:
            continue
        waiting = eval(compile(block, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if waiting is not None:
            await waiting
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        await test()


def test_what_it_says_of_asp_net_core_names_options_that_there_are() -> None:
    page = (LIBRARY / "docs" / "aspnet-core.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `.*\| `(\w+)`", page.partition("## Options")[2], re.MULTILINE))
    assert len(named) == 16
    assert named <= set(inspect.signature(SignalR).parameters)


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", README):
        assert (LIBRARY / target).exists(), target
    anchors = {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)", README, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= anchors
