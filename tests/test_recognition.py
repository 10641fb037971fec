"""A snippet's code is recognised however it was typed, never written twice, and nothing else is taken for it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit import changes, insertion, likeness, recognition, snippets, workspace
from labkit.errors import UsageError
from labkit.lab import Exercise, find_lab

LAB = find_lab(Path(__file__).parent.parent)
EX1, EX2 = LAB.exercises

HUBS = "geekquiz/hubs/statistics.py"
STARTUP = "geekquiz/startup.py"
STATISTICS = "geekquiz/statistics.py"
TRIVIA = "geekquiz/trivia.py"
PAGE = "geekquiz/templates/statistics.html"
SCRIPT = "geekquiz/static/statistics.js"

HUB_CLASS = """
from asgi_signalr import SignalR
from asgi_signalr import Hub

hubs = SignalR()
@hubs.hub('/statistics')
class StatsHub(Hub):
    pass
"""
METHOD = """
    async def notify_updates(self):
        h = signalr.hub_context(StatisticsHub)
        await h.clients.all.send('updateStatistics', await self.generate())
"""
CLIENT = """
const c = new signalR.HubConnectionBuilder().withUrl('/signalr/statistics').withAutomaticReconnect().build()
c.on('updateStatistic', function (s) { showStatistics(s) })
c.onreconnecting(() => showFreshness('Reconnecting'))
c.onreconnected(() => location.reload())
c.start().then(() => showFreshness("Live", true), console.error)
"""
MINIMAL_CLIENT = """
const connection = new signalR.HubConnectionBuilder().withUrl("/signalr/statistics").build();
connection.on("updateStatistics", showStatistics);
connection.start();
"""

TYPED = [
    pytest.param(EX1, "statistics-hub-class", HUB_CLASS, id="a-class-of-another-name"),
    pytest.param(EX1, "map-signalr-imports", "from geekquiz.hubs.statistics import signalr", id="an-absolute-import"),
    pytest.param(EX1, "map-signalr", "    app.mount('/signalr',signalr)", id="other-quotes-and-spaces"),
    pytest.param(
        EX1,
        "using-directives",
        "from .hubs.statistics import signalr\nfrom .hubs.statistics import StatisticsHub",
        id="two-imports-for-one",
    ),
    pytest.param(EX1, "notify-updates-method", METHOD, id="other-variables"),
    pytest.param(
        EX1,
        "notify-updates-method",
        METHOD.replace("notify_updates", "tell_everybody").replace("updateStatistics", "changed"),
        id="another-method-and-event",
    ),
    pytest.param(EX1, "notify-updates-method", METHOD.replace("(self):", "(self)"), id="a-syntax-error"),
    pytest.param(EX1, "trivia-imports", "from geekquiz.statistics import StatisticsService as Svc", id="an-alias"),
    pytest.param(
        EX1, "notify-updates-call", "    await StatisticsService(session).tell_everybody()", id="another-method"
    ),
    pytest.param(
        EX1,
        "notify-updates-call",
        "    service = StatisticsService(session)\n    await service.notify_updates()",
        id="two-statements-for-one",
    ),
    pytest.param(EX1, "signalr-script-references", "<script src='/signalr/signalR.js'></script>", id="a-slip-in-html"),
    pytest.param(EX1, "signalr-client-code", CLIENT, id="a-script-in-another-style-with-a-slip"),
    pytest.param(EX1, "signalr-package", "    'asgi-signalr>=0.1'", id="another-version"),
    pytest.param(EX2, "backplane-package", '    "asgi-signalr[postgres]",', id="no-version"),
    pytest.param(
        EX2,
        "startup-configuration",
        '    signalr.use_backplane("{settings.database_server}/mine")',
        id="the-f-forgotten",
    ),
]


@pytest.fixture
def app(tmp_path: Path) -> Callable[..., Path]:
    """Make a copy of an exercise's begin, with edits `(path, old, new)`; old may be the name of a TODO line."""

    def make(exercise: Exercise, *edits: tuple[str, str, str]) -> Path:
        folder = tmp_path / "app"
        workspace.copy_app(exercise.begin, folder)
        for path, old, new in edits:
            text = (folder / path).read_text(encoding="utf-8")
            old = _line(exercise, old) if old in exercise.snippets else old
            assert old in text
            (folder / path).write_text(text.replace(old, new), encoding="utf-8")
        return folder

    return make


def _home(exercise: Exercise, name: str) -> snippets.TodoLine:
    place = snippets.home(exercise, name)
    assert place
    return place


def _line(exercise: Exercise, name: str) -> str:
    place = _home(exercise, name)
    return (exercise.begin / place.path).read_text(encoding="utf-8").split("\n")[place.line - 1]


def states(exercise: Exercise, folder: Path) -> dict[str, str]:
    """What is seen of each snippet that is not simply to do."""
    seen = recognition.look(exercise, folder)
    return {name: sight.state for name, sight in seen.items() if sight.state != "todo"}


@pytest.mark.parametrize("place", ["above", "below", "instead"])
@pytest.mark.parametrize(("exercise", "name", "code"), TYPED)
def test_typed_code_is_recognised_and_only_its_todo_line_goes(
    app: Callable[..., Path], exercise: Exercise, name: str, code: str, place: str
) -> None:
    todo = _line(exercise, name)
    typed = {"above": f"{code}\n{todo}", "below": f"{todo}\n{code}", "instead": code}[place]
    folder = app(exercise, (_home(exercise, name).path, name, typed))
    assert states(exercise, folder) == {name: "own code"}
    change = insertion.insert(folder, exercise, [name])
    changes.write(folder, change)
    text = (folder / _home(exercise, name).path).read_text(encoding="utf-8")
    assert (text.count(todo), text.count(code)) == (0, 1)
    (done,) = change.insertions
    assert (done.already, done.own, done.todo_removed) == (True, True, place != "instead")
    assert states(exercise, folder) == {name: "own code"}


@pytest.mark.parametrize("exercise", [EX1, EX2], ids=lambda exercise: exercise.id)
def test_begin_has_no_code_of_any_snippet_and_end_has_all(exercise: Exercise) -> None:
    assert states(exercise, exercise.begin) == {}
    assert states(exercise, exercise.end) == dict.fromkeys(exercise.snippets, "inserted")


@pytest.mark.parametrize(
    ("exercise", "name", "code"),
    [
        (EX1, "statistics-hub-class", "from asgi_signalr import Hub"),
        (EX1, "map-signalr", "    app.mount('/media', files)"),
        (EX1, "signalr-script-references", "<script src='/static/own.js'></script>"),
        (EX1, "signalr-client-code", "setInterval(() => fetch('/api/statistics').then(showStatistics), 1000);"),
        (EX1, "signalr-package", "    'httpx==0.28.1',"),
    ],
)
def test_other_code_beside_a_todo_line_is_not_taken_for_it(
    app: Callable[..., Path], exercise: Exercise, name: str, code: str
) -> None:
    path = _home(exercise, name).path
    folder = app(exercise, (path, name, f"{code}\n{_line(exercise, name)}"))
    assert states(exercise, folder) == {}
    changes.write(folder, insertion.insert(folder, exercise, [name]))
    assert states(exercise, folder) == {name: "inserted"}
    assert code in (folder / path).read_text(encoding="utf-8")


def test_a_part_of_the_code_is_not_written_again(app: Callable[..., Path]) -> None:
    folder = app(EX1, (SCRIPT, "signalr-client-code", _line(EX1, "signalr-client-code") + MINIMAL_CLIENT))
    assert states(EX1, folder) == {"signalr-client-code": "partly"}
    with pytest.raises(UsageError, match=r"A part of signalr-client-code is there already: .*statistics\.js, line"):
        insertion.insert(folder, EX1, ["signalr-client-code"])
    forced = insertion.insert(folder, EX1, ["signalr-client-code"], force=True)
    assert [each.already for each in forced.insertions] == [False]


def test_a_part_that_stands_for_its_todo_line_is_the_trainees_own(app: Callable[..., Path]) -> None:
    folder = app(EX1, (SCRIPT, "signalr-client-code", MINIMAL_CLIENT))
    assert states(EX1, folder) == {"signalr-client-code": "own code"}
    assert recognition.look(EX1, folder)["signalr-client-code"].is_guess


def test_a_method_outside_of_its_class_is_in_the_wrong_place(app: Callable[..., Path]) -> None:
    text = EX1.snippets["notify-updates-method"].text
    folder = app(EX1, (STATISTICS, "notify-updates-method", text))
    sight = recognition.look(EX1, folder)["notify-updates-method"]
    assert (sight.state, sight.place, sight.fault) == (
        "misplaced",
        f"{STATISTICS}, lines 37-41",
        "outside of the class StatisticsService that it belongs into",
    )
    with pytest.raises(UsageError, match="The code of notify-updates-method is there, outside of the class"):
        insertion.insert(folder, EX1, ["notify-updates-method"])


def test_code_in_another_file_is_found_there(app: Callable[..., Path]) -> None:
    script = EX1.snippets["signalr-client-code"].text
    folder = app(
        EX1,
        (HUBS, "statistics-hub-class", EX1.snippets["statistics-hub-class"].text + METHOD),
        (PAGE, "signalr-script-references", f"{{# #}}\n<script>\n{script}</script>"),
    )
    seen = recognition.look(EX1, folder)
    assert {name: (sight.path, sight.fault) for name, sight in seen.items() if sight.state == "misplaced"} == {
        "notify-updates-method": (HUBS, f"in another file than {STATISTICS}"),
        "signalr-client-code": (PAGE, f"in another file than {SCRIPT}"),
    }
    with pytest.raises(UsageError) as caught:
        insertion.insert(folder, EX1, ["notify-updates-method"])
    assert (
        caught.value.next
        == f"Move it from {HUBS}:12 to {STATISTICS}, line 37; or delete it there, and repeat the command."
    )


def test_all_inserts_what_it_can_and_tells_about_the_rest(app: Callable[..., Path]) -> None:
    folder = app(
        EX1,
        (HUBS, "statistics-hub-class", HUB_CLASS),
        (STARTUP, "map-signalr", ""),
        (SCRIPT, "signalr-client-code", _line(EX1, "signalr-client-code") + MINIMAL_CLIENT),
    )
    change = insertion.insert(folder, EX1, list(EX1.snippets), what_can_be=True)
    changes.write(folder, change)
    assert [each.snippet for each in change.refusals] == ["map-signalr", "signalr-client-code"]
    assert states(EX1, folder) == {
        **dict.fromkeys(EX1.snippets, "inserted"),
        "statistics-hub-class": "own code",
        "map-signalr": "missing",
        "signalr-client-code": "partly",
    }


def test_a_todo_line_without_its_code_is_no_deed(app: Callable[..., Path]) -> None:
    folder = app(EX1, (TRIVIA, "notify-updates-call", ""))
    assert states(EX1, folder) == {"notify-updates-call": "missing"}


def test_a_library_that_nobody_touched_is_not_read(app: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = app(EX1, (STARTUP, "map-signalr", "    app.mount('/signalr', signalr)"))
    read: list[str] = []
    real = likeness.read

    def noted(path: str, text: str) -> likeness.Code:
        read.append(path)
        return real(path, text)

    monkeypatch.setattr(likeness, "read", noted)
    recognition.look(EX1, folder)
    assert not [path for path in read if "vendor" in path]
    shutil.rmtree(folder)
