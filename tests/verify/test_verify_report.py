"""`labkit verify --report`: what a run found and what the browser showed, in a folder to look at."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from labkit.lab import Lab

Labkit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_a_failing_run_shows_the_page_the_steps_and_the_work(bakery: Lab, labkit: Labkit, tmp_path: Path) -> None:
    assert labkit("start", "b1", "mine", "--lab", bakery.folder).returncode == 0
    mine = tmp_path / "mine"
    assert labkit("snippet", "insert", "till", cwd=mine).returncode == 0
    done = labkit("verify", "--report", "../out", cwd=mine)
    assert (done.returncode, "report: ../out/index.html" in done.stdout.splitlines()) == (1, True)
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert re.findall(r"<title>(.*?)</title>", page) == ["2 of 3 passed: b1, Open a bakery"]
    # The page of the failed check, and in the end those of the two that passed, which look alike.
    assert len(re.findall(r'<img src="data:image/webp;base64,[\w+/=]{100,}"', page)) == 2
    assert page.count("(2 pages look like this)") == 1
    steps = re.findall(r'<li class="step">.*?<span class="text">(.*?) <span', page)
    assert steps == ["open a page", "go to /"] * 3
    assert "Price: 4 coins" in page
    suites = ElementTree.fromstring((tmp_path / "out" / "junit.xml").read_bytes())
    assert (suites.get("tests"), suites.get("failures")) == ("3", "1")
    document = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert (document["passed"], document["subject"], document["lab"]) == (False, str(mine), "Bread 0.1.0")


@pytest.mark.slow
def test_a_folder_that_cannot_take_a_report_is_refused_before_the_run(
    bakery: Lab, labkit: Labkit, tmp_path: Path
) -> None:
    assert labkit("start", "b1", "mine", "--lab", bakery.folder).returncode == 0
    (tmp_path / "file").touch()
    for folder, said in (("out", "lies in the app that is verified"), ("../file", "is a file")):
        done = labkit("verify", "--report", folder, cwd=tmp_path / "mine")
        assert (done.returncode, said in done.stderr, "Starting" in done.stderr) == (2, True, False)
    assert not (tmp_path / "mine" / "out").exists()
