"""A lab that shares no word with the one in this repository, small and quick to verify."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit.lab import Exercise, Lab, find_lab
from labkit.verify.report import Result
from labkit.verify.run import Progress, verify
from labkit.verify.subject import Subject

SHOP = """\
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Shop(BaseHTTPRequestHandler):
    loaves = 3

    def do_GET(self):
        lines = ["<!doctype html><h1>Bakery</h1>"]
        # TODO shelf: say how many loaves are left
        # TODO till: say what a loaf costs
        content = "\\n".join(lines).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
"""
SHELF = "lines.append(f'<p data-testid=\"loaves\">Loaves: {self.loaves}</p>')\n"
TILL = "lines.append('<p data-testid=\"price\">Price: ${1:4} coins</p>')\n"
CHECKS = '''\
"""The bakery's checks."""

import pytest
from playwright.sync_api import Page, expect


@pytest.mark.task(1)
def test_the_shop_is_open(page: Page) -> None:
    """The shop has a door."""
    page.goto("/")
    assert page.get_by_role("heading").inner_text() == "Bakery"


@pytest.mark.task(2)
@pytest.mark.snippets("shelf")
def test_the_loaves_are_counted(page: Page) -> None:
    """The shelf says how many loaves are left."""
    page.goto("/")
    expect(page.get_by_test_id("loaves")).to_have_text("Loaves: 3", timeout=500)


@pytest.mark.task(2)
@pytest.mark.snippets("till")
def test_a_loaf_has_a_price(page: Page) -> None:
    """The till says what a loaf costs."""
    page.goto("/")
    expect(page.get_by_test_id("price")).to_contain_text("coins", timeout=500)
'''
BAKERY = {
    "lab.toml": 'title = "Bread"\nsnippet-prefix = "Bread"\nexercises = ["b1-bakery"]\n',
    "exercises/b1-bakery/README.md": """\
# Open a bakery

*About 5 minutes*

## Task 1: Look around

1. Run the shop

   ```console
   $ labkit run b1
   ```

## Task 2: Sell bread

1. Fill the shelf

   ```console
   $ labkit snippet insert shelf
   ```

2. Open the till

   ```console
   $ labkit snippet insert till
   ```
""",
    "exercises/b1-bakery/exercise.toml": """\
[app]
command = ["{python}", "shop.py", "{port}"]
ready = "/"
""",
    "exercises/b1-bakery/begin/shop.py": SHOP,
    "exercises/b1-bakery/end/shop.py": SHOP.replace("# TODO shelf: say how many loaves are left\n", SHELF).replace(
        "# TODO till: say what a loaf costs\n", TILL.replace("${1:4}", "4")
    ),
    "exercises/b1-bakery/checks/test_bakery.py": CHECKS,
    "snippets/b1-bakery/shelf.py": SHELF,
    "snippets/b1-bakery/till.py": TILL,
}


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep evidence, and the lab's own database server, with the test."""
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))


@pytest.fixture
def bakery(tmp_path: Path, write_files: Callable[[Path, dict[str, str]], Path]) -> Lab:
    """The small lab, in a folder that a test may change."""
    return find_lab(write_files(tmp_path / "bread", BAKERY))


@pytest.fixture
def shop(bakery: Lab) -> Exercise:
    """Its only exercise."""
    return bakery.exercises[0]


@pytest.fixture
def verify_shop(shop: Exercise) -> Callable[[Path], dict[str, Result]]:
    """Verify an app folder as if it were the small lab's end; the results by the checks' names."""

    def run(folder: Path = shop.end, progress: Progress | None = None) -> dict[str, Result]:
        report = verify(Subject(shop, folder, "end", None), progress=progress)
        return {check.id.partition("/")[2]: result for check, result in report.results}

    return run


@pytest.fixture
def labkit(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command line in a folder."""

    def run(*arguments: str | Path, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "labkit", *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )

    return run
