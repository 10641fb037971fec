"""Pages on the person's screen."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest

from labkit import browser, desktop


def test_two_pages_open_side_by_side_in_one_browser_which_shares_its_cookies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path))
    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setattr(desktop, "has_display", lambda: True)
    monkeypatch.setattr(browser, "find", lambda **_: SimpleNamespace(executable=Path("/opt/chrome")))
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: started.append(command))

    assert desktop.open_pages(["http://127.0.0.1:8000/", "http://127.0.0.1:8001/?said='“\"<b>"])

    ((program, *options),) = started
    assert (program, len([each for each in options if each.startswith("--user-data-dir=")])) == ("/opt/chrome", 1)
    script = unquote(options[-1]).removeprefix("data:text/html,<script>").removesuffix("</script>")
    assert script == (
        """open("http://127.0.0.1:8001/?said='\\u201c\\"<b>", '', "popup,left=693,top=0,width=673,height=740"); """
        """location.replace("http://127.0.0.1:8000/")"""
    )


def test_where_that_browser_does_not_start_the_persons_own_opens_each_page(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def fail(*_: Any, **__: Any) -> None:
        raise FileNotFoundError

    monkeypatch.delenv("BROWSER", raising=False)
    monkeypatch.setattr(desktop, "has_display", lambda: True)
    monkeypatch.setattr(browser, "find", lambda **_: SimpleNamespace(executable=Path("/opt/chrome")))
    monkeypatch.setattr(subprocess, "Popen", fail)
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))  # type: ignore[func-returns-value]
    assert desktop.open_pages(["http://127.0.0.1:8000/", "http://127.0.0.1:8001/"])
    assert opened == ["http://127.0.0.1:8000/", "http://127.0.0.1:8001/"]
