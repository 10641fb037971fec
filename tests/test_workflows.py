"""Workflows for CI servers are YAML that names the commands there are, and replace nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from labkit import workflows
from labkit.cli import run
from labkit.errors import UsageError
from labkit.workflows import Server

SPECS = ("labkit @ git+file:///a b/it's.git", "other.whl")
INSTALL = """python -m pip install 'labkit @ git+file:///a b/it'"'"'s.git' other.whl"""


def rendered(server: Server, is_class: bool) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(workflows.render(server, is_class, SPECS))
    return document


def test_a_trainees_workflow_sets_up_verifies_and_keeps_the_report() -> None:
    job = rendered(Server.GITHUB, False)["jobs"]["verify"]
    verify = "labkit grade --one . --out grade.zip --report report --strict"
    assert [step["run"] for step in job["steps"] if "run" in step] == [INSTALL, "labkit setup --yes", verify]
    job = rendered(Server.GITLAB, False)["verify"]
    assert job["script"] == [INSTALL, "labkit setup --yes", verify]
    assert job["artifacts"]["reports"] == {"junit": "report/junit.xml"}


def test_a_class_has_a_job_for_each_and_one_report() -> None:
    jobs = rendered(Server.GITHUB, True)["jobs"]
    assert {name: job.get("needs") for name, job in jobs.items()} == {"list": None, "grade": "list", "report": "grade"}
    # What a folder is called is no part of a command.
    grade = next(step for step in jobs["grade"]["steps"] if "labkit grade" in step.get("run", ""))
    assert grade == {
        "run": 'labkit grade --one "submissions/$SUBMISSION" --out grade.zip',
        "env": {"SUBMISSION": "${{ matrix.submission }}"},
    }


def test_the_job_that_lists_a_class_for_gitlab_writes_a_pipeline(tmp_path: Path) -> None:
    (tmp_path / "submissions" / "$(touch evil)").mkdir(parents=True)
    (tmp_path / "submissions" / "bob.zip").touch()
    script = rendered(Server.GITLAB, True)["list"]["script"][0]
    program = script.split("<<'PYTHON'\n")[1].split("PYTHON\n")[0]
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    jobs = json.loads((tmp_path / "class.yml").read_text("utf-8"))
    assert list(jobs) == ["grade 1 of 2", "grade 2 of 2", "report"]
    assert jobs["grade 1 of 2"]["variables"] == {"SUBMISSION": {"value": "$(touch evil)", "expand": False}}
    assert jobs["grade 2 of 2"]["script"][0] == INSTALL


def test_a_container_installs_labkit_and_grades_one_submission() -> None:
    text = workflows.render(Server.CONTAINER, False, ["dist/labkit 1.whl", "b @ https://example.org/b.whl"])
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if line.startswith(("COPY", "ENTRYPOINT")) or "labkit" in line] == [
        'COPY ["dist/labkit 1.whl", "/wheels/"]',
        "RUN python -m pip install --no-cache-dir '/wheels/labkit 1.whl' 'b @ https://example.org/b.whl'",
        "RUN labkit setup --yes",
        'ENTRYPOINT ["labkit", "grade", "--one"]',
    ]
    with pytest.raises(UsageError, match="grades one submission"):
        workflows.render(Server.CONTAINER, True, ["labkit.whl"])


def test_a_workflow_that_is_there_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "ci", "gitlab", "--labkit", "x.whl", "--folder", str(tmp_path)]) == 0
    assert run(["new", "ci", "gitlab", "--labkit", "x.whl", "--folder", str(tmp_path)]) == 0
    with pytest.raises(UsageError, match="is there already"):
        workflows.write(tmp_path, Server.GITLAB, True, ["x.whl"])
    assert run(["new", "ci", "github"]) == 2
    assert "labkit new ci github --labkit SPEC" in capsys.readouterr().err
