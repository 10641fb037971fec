"""Ctrl-C is answered at any moment, in one way."""

import json

import pytest

import labkit.__main__
from labkit import cli


def interrupted(*_: object, **__: object) -> int:
    raise KeyboardInterrupt


def test_ctrl_c_while_the_command_is_loaded_needs_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["labkit", "list"])
    monkeypatch.setattr(cli, "run", interrupted)
    with pytest.raises(SystemExit) as caught:
        labkit.__main__.main()
    assert (caught.value.code, capsys.readouterr().err) == (130, "Interrupted.\n")


def test_ctrl_c_in_a_command_is_one_json_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("labkit.cli.workspace.find_lab", interrupted)
    assert cli.run(["list", "--format", "json"]) == 130
    assert json.loads(capsys.readouterr().out)["error"] == {"message": "Interrupted.", "next": None, "code": 130}
