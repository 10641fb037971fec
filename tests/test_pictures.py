"""The chapters' pictures are there, small, and show what the app shows."""

import json
import re
from pathlib import Path

import pytest

from labkit.author import pictures
from labkit.errors import InternalError
from labkit.lab import Exercise, Lab, find_lab

LAB = find_lab(Path(__file__).parent.parent)
each_exercise = pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)


def kind(name: str, content: bytes) -> bool:
    """Whether a file is what its name says."""
    if name.endswith(".svg"):
        return content.startswith(b"<svg") and b"http://" not in content.replace(b"http://www.w3.org/", b"")
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


@each_exercise
def test_the_pictures_of_a_chapter_are_those_that_there_are(exercise: Exercise) -> None:
    shown = re.findall(r"\]\(pictures/([^)]+)\)", exercise.chapter.source)
    there = {path.name: path.read_bytes() for path in pictures.folder_of(exercise).glob("[!.]*")}
    snapshots = json.loads(there.pop(pictures.SNAPSHOTS))
    assert sorted(shown) == sorted(there)
    assert sorted(snapshots) == sorted(Path(name).stem for name in there)
    assert [name for name, content in there.items() if len(content) > pictures.LARGEST or not kind(name, content)] == []


def shown(snapshots: bytes, names: set[str]) -> dict[str, list[str]]:
    """What pictures show; of a terminal's the lines alone, as servers tell of themselves when they come to it."""
    found = json.loads(snapshots)
    return {
        name: sorted({line for text in texts for line in text.splitlines()}) if f"{name}.svg" in names else texts
        for name, texts in found.items()
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
@each_exercise
def test_pictures_that_are_taken_anew_show_the_same(exercise: Exercise) -> None:
    taken = pictures.take(LAB, exercise)
    folder = pictures.folder_of(exercise)
    assert sorted(taken) == sorted(path.name for path in folder.glob("[!.]*"))
    kept = (folder / pictures.SNAPSHOTS).read_bytes()
    assert shown(taken[pictures.SNAPSHOTS], {*taken}) == shown(kept, {*taken})


@pytest.mark.slow
def test_what_is_marked_has_to_be_seen(tea: Lab, tmp_path: Path) -> None:
    (brew,) = tea.exercises
    app = (
        "import http.server, sys\n\n\nclass Pot(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n"
        "        self.send_response(200)\n        self.end_headers()\n"
        "        self.wfile.write(b'<h1>Pot</h1><p style=\"margin-top:2000px\">Far below</p>')\n\n\n"
        "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Pot).serve_forever()\n"
    )
    (brew.begin / "app.py").write_text(app)
    scenes = (
        "def pictures(studio):\n    with studio.running() as (url,):\n        page = studio.window(url)\n"
        "        studio.picture('pot', page, mark=page.get_by_role('heading'))\n"
        "        studio.picture('below', page, mark=page.get_by_text('Far below'))\n"
    )
    (brew.folder / "pictures.py").write_text(scenes)
    with pytest.raises(InternalError, match=r"The picture below does not show what it is to mark"):
        pictures.take(tea, brew)
    (brew.folder / "pictures.py").write_text(scenes.rsplit("\n", 2)[0] + "\n")
    taken = pictures.take(tea, brew)
    assert json.loads(taken[pictures.SNAPSHOTS]) == {"pot": ['- heading "Pot" [level=1]\n- paragraph: Far below']}
    assert kind("pot.webp", taken["pot.webp"])
