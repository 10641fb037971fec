"""A trainee's mistakes, and word for word the cause and the next step that verify tells: one file in golden/ for each.

The whole lab is played for each of them; what needs no browser is in `test_causes` and `test_signalr_causes`.
"""

from pathlib import Path

import pytest

from labkit import workspace
from labkit.lab import find_lab
from labkit.verify.report import Verdict
from labkit.verify.run import verify
from labkit.verify.subject import Subject

GOLDEN = Path(__file__).parent / "golden"
EX1 = find_lab().exercise("ex1")
SCRIPT, PAGE, BASE = (
    "geekquiz/static/statistics.js",
    "geekquiz/templates/statistics.html",
    "geekquiz/templates/base.html",
)
SERVICE, TRIVIA = "geekquiz/statistics.py", "geekquiz/trivia.py"
CLIENT, OWN = '<script src="/signalr/signalr.js"></script>\n', '<script src="/static/statistics.js"></script>\n'
CALL = "    await StatisticsService(session).notify_updates()\n"

EDITS: dict[str, list[tuple[str, str | None, str | None]]] = {
    "script-in-the-wrong-order": [(PAGE, CLIENT, ""), (PAGE, OWN, OWN + CLIENT)],
    "script-deleted": [(SCRIPT, None, None)],
    "template-deleted": [(PAGE, None, None)],
    "script-emptied": [(SCRIPT, None, "")],
    "block-removed": [(BASE, "  {% block scripts %}{% endblock %}\n", "")],
    "name-in-another-case": [(SCRIPT, "new signalR.", "new SignalR.")],
    "other-name-on-the-server": [(SERVICE, '"updateStatistics"', '"updateStats"')],
    "handler-that-throws": [(SCRIPT, "  showStatistics(statistics);\n});", "  showStatistcs(statistics);\n});")],
    "answer-that-never-comes": [(TRIVIA, CALL, "    import asyncio\n    await asyncio.Event().wait()\n")],
}


def mistaken(folder: Path, name: str) -> Path:
    """The end with one mistake in it."""
    workspace.copy_app(EX1.end, folder)
    if name == "code-pasted-twice":
        text = (folder / SCRIPT).read_text(encoding="utf-8")
        (folder / SCRIPT).write_text(text + "\n" + text[text.index("// Connect to the hub") :], encoding="utf-8")
    for path, old, new in EDITS.get(name, []):
        file = folder / path
        if new is None:
            file.unlink()
        elif old is None:
            file.write_text(new, encoding="utf-8")
        else:
            text = file.read_text(encoding="utf-8")
            assert old in text
            file.write_text(text.replace(old, new), encoding="utf-8")
    return folder


def test_every_golden_file_has_its_mistake() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted([*EDITS, "code-pasted-twice"])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.iterdir()))
def test_a_mistake_is_told_word_for_word(tmp_path: Path, name: str) -> None:
    report = verify(Subject(EX1, mistaken(tmp_path / "app", name), "end", None))
    told = {
        f"cause  {result.cause}\nnext   {result.next}\n"
        for _, result in report.results
        if result.verdict is Verdict.NOT_DONE
    }
    assert told == {(GOLDEN / f"{name}.txt").read_text(encoding="utf-8")}
