"""A report: three files, of which the page bears hostile text, any size, and every way of looking at it."""

import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from labkit import report as reports
from labkit.browser import launch_options
from labkit.errors import MachineError
from labkit.recording import Event
from labkit.report import Heading, steps, work
from labkit.report.evidence import MOST_ENTRIES, MOST_LINES, read
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict

HOSTILE = "<script>document.title = 'caught'</script>\x1b]0;caught\x07<img src=//evil.example/x>&\u202e{{ 7 * 7 }}"
AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
ECHO = """\
import json, sys
for line in sys.stdin:
    frame = json.loads(line)
    print(json.dumps(["said " + frame["text"]] if frame["text"] else []))
"""
Kept = Callable[..., Path]


def result(verdict: Verdict, evidence: tuple[str, ...] = ()) -> Result:
    if verdict is Verdict.PASSED:
        return Result(verdict)
    return Result(
        verdict, f"expected {HOSTILE}", f"seen {HOSTILE}", "app.py:3", "a cause", "labkit next", None, evidence
    )


def report(*results: Result, evidence: Path | None = None) -> Report:
    checks = [(Check(f"t1.1/c{n}", f"Check {n} {HOSTILE}", "t1.1", 5), each) for n, each in enumerate(results, 1)]
    return Report("t1", "workspace", 1.5, (TaskReport("t1.1", f"Task {HOSTILE}", tuple(checks)),), evidence)


def heading(diff: str = "", decode: tuple[str, ...] = ()) -> Heading:
    return Heading(f"t1, {HOSTILE}", f"/home/{HOSTILE}", AT, "0.1.0", "Tea 1", diff, decode)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """An evidence folder with one recording of two pages, and a log."""

    def make(events: int = 1, lines: int = 1) -> Path:
        folder = tmp_path / "evidence" / "scene"
        folder.mkdir(parents=True)
        some = [Event(100.0, f"http://127.0.0.1:1/{HOSTILE}", "screenshot", f"scene-{n}.png") for n in (1, 2)]
        some += [Event(50.0 + n / 1000, "http://127.0.0.1:1/", "console.error", HOSTILE) for n in range(events)]
        some += [Event(60.0, "ws://127.0.0.1:1/", "websocket.received", "hello")]
        some += [Event(61.0, "ws://127.0.0.1:1/", "websocket.sent", "", "AAEC")]
        (folder / "events.jsonl").write_text("".join(json.dumps(each.__dict__) + "\n" for each in some), "utf-8")
        for n in (1, 2):
            (folder / f"scene-{n}.png").write_bytes(PIXEL + bytes(n))
        (tmp_path / "evidence" / "instance-1.log").write_text(f"{HOSTILE}\n" * lines, "utf-8")
        return tmp_path / "evidence"

    return make


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(**launch_options())
        yield launched
        launched.close()


@pytest.fixture
def written(kept: Kept, tmp_path: Path) -> Path:
    """The page of a run with every verdict."""
    folder = kept()
    seen = (str(folder / "scene" / "events.jsonl"),)
    results = [result(each, seen if each is Verdict.NOT_DONE else ()) for each in Verdict]
    diff = f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+{HOSTILE}\n"
    return reports.write(tmp_path / "out", report(*results, evidence=folder), heading(diff)).resolve()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "width", [1280, pytest.param(640, marks=pytest.mark.slow), pytest.param(390, marks=pytest.mark.slow)]
)  # 640: 1280 at 200 %
def test_the_page_runs_nothing_asks_nothing_and_is_readable(
    chromium: Browser, written: Path, width: int, scheme: Any
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url.split(":")[0]))
    page.goto(written.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert set(asked) - {"data"} == {"file"}
    assert page.title().startswith("1 of 6 passed: t1, <script>document.title = 'caught'</script><img")
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["impact"]) for each in found if each["impact"] in ("serious", "critical")] == []
    context.close()


def test_a_failure_has_its_pages_and_what_happened_before(chromium: Browser, written: Path) -> None:
    page = open_page(chromium, written)
    failure = page.get_by_role("article").first
    assert failure.locator("dt").all_inner_texts() == ["expected", "seen", "where", "cause", "next"]
    assert failure.get_by_role("img").count() == 2
    assert [text.split("\t")[0] for text in failure.locator("li .kind").all_inner_texts()] == [
        "error",
        "received",
        "sent",
    ]
    assert failure.locator("li").nth(1).inner_text().split("\n")[-1].startswith("hello")
    page.context.close()


def test_on_paper_what_is_folded_is_there(chromium: Browser, written: Path) -> None:
    page = open_page(chromium, written)
    log = page.locator("details", has_text="instance-1.log").locator("pre")
    assert not log.is_visible()
    page.emulate_media(media="print")
    assert log.is_visible()
    page.context.close()


def test_the_page_says_passed_and_shows_the_pages_in_the_end(chromium: Browser, kept: Kept, tmp_path: Path) -> None:
    folder = kept()
    path = reports.write(tmp_path / "out", report(result(Verdict.PASSED), evidence=folder), heading())
    page = open_page(chromium, path.resolve())
    assert page.locator(".verdict").inner_text() == "1 of 1 checks passed"
    assert page.get_by_role("heading", level=2).all_inner_texts() == [
        "Tasks",
        "The pages in the end",
        "Logs",
        "The work, compared with the begin",
    ]
    assert page.get_by_role("img").count() == 2
    page.context.close()


def test_junit_counts_and_says_every_verdict(tmp_path: Path) -> None:
    reports.write(tmp_path, report(*map(result, Verdict)), heading())
    root = ElementTree.fromstring((tmp_path / "junit.xml").read_bytes())
    counts = {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "2", "errors": "2", "skipped": "1"}
    assert [[each.tag for each in case] for case in root.iter("testcase")] == [
        [],
        ["failure"],
        ["failure"],
        ["error"],
        ["error"],
        ["skipped"],
    ]
    assert "seen: seen <script>" in (root.find(".//failure").text or "")  # type: ignore[union-attr]


def test_pictures_are_a_part_of_the_page_or_files_beside_it(kept: Kept, tmp_path: Path, chromium: Browser) -> None:
    folder = kept()
    whole = report(result(Verdict.PASSED), evidence=folder)
    reports.write(tmp_path / "one", whole, heading())
    assert sorted(each.name for each in (tmp_path / "one").iterdir()) == ["index.html", "junit.xml", "report.json"]
    page = open_page(chromium, reports.write(tmp_path / "many", whole, heading(), pictures_beside=True).resolve())
    images = page.locator("img")
    images.first.scroll_into_view_if_needed()
    assert images.evaluate_all("all => all.map((each) => [each.src.split('/').at(-2), each.naturalWidth])") == [
        ["pictures", 1],
        ["pictures", 1],
    ]
    pictures = {each.name: each.read_bytes() for each in (tmp_path / "many" / "pictures").iterdir()}
    assert sorted(pictures.values()) == sorted(PIXEL + bytes(n) for n in (1, 2))
    page.close()


def test_the_document_is_that_of_verify_with_what_it_is_about(tmp_path: Path) -> None:
    whole = report(result(Verdict.PASSED))
    reports.write(tmp_path, whole, heading("a diff"))
    document = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert {**document, **whole.to_json()} == document
    assert (document["schema"], document["when"], document["diff"]) == (1, "2026-11-30T12:00:00+00:00", "a diff")


def test_a_folder_that_cannot_be_written_is_the_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="The report cannot be written to"):
        reports.write(tmp_path / "file" / "out", report(result(Verdict.PASSED)), heading())


def test_frames_are_said_by_the_labs_command_or_shown_as_they_are(kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "decode.py").write_text(ECHO)
    folder = kept()
    frames = {"received", "sent"}
    for decode, said in (
        (("{python}", str(tmp_path / "decode.py")), "said hello"),
        (("{python}", str(tmp_path / "nothing.py")), "hello"),
        ((str(tmp_path / "no program"),), "hello"),
        ((), "hello"),
    ):
        entries = read(folder, decode).recordings[0].entries
        assert [each.text for each in entries if each.kind in frames] == [said, "3 bytes: AAEC"]


def test_much_evidence_is_cut_with_the_count_of_the_rest(kept: Kept) -> None:
    evidence = read(kept(events=1500, lines=2000))
    assert (len(evidence.recordings[0].entries), evidence.recordings[0].left_out) == (MOST_ENTRIES, 1502 - MOST_ENTRIES)
    assert (evidence.logs[0].text.count("\n") + 1, evidence.logs[0].left_out) == (MOST_LINES, "1,600 lines")


def test_links_among_the_evidence_are_not_followed(kept: Kept, tmp_path: Path) -> None:
    folder = kept()
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / "instance-2.log").symlink_to(secret)
    (folder / "scene" / "scene-2.png").unlink()
    (folder / "scene" / "scene-2.png").symlink_to(secret)
    (folder / "elsewhere").symlink_to(tmp_path)
    evidence = read(folder)
    assert [each.name for each in evidence.logs] == ["instance-1.log"]
    assert [(each.name, len(each.pictures)) for each in evidence.recordings] == [("scene", 1)]


def test_steps_are_said_in_words_and_passwords_are_not(tmp_path: Path) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("goto", {"url": "http://127.0.0.1:1/"}),
        ("fill", {"selector": 'internal:label="User name"i', "value": "ada"}),
        ("fill", {"selector": 'internal:label="Password"s', "value": "secret"}),
        ("click", {"selector": 'internal:role=button[name="Next question"i]'}),
        ("click", {"selector": 'internal:testid=[data-testid="option"s] >> nth=0'}),
        ("setOffline", {"offline": True}),
        ("evaluateExpression", {"expression": "1"}),
        ("click", {"selector": "#late"}),
    ]
    lines = [{"version": 8, "type": "context-options", "wallTime": 50_000, "monotonicTime": 10}]
    for number, (method, params) in enumerate(calls):
        call = f"call@{number}"
        lines.append({"type": "before", "callId": call, "startTime": 1010, "method": method, "params": params})
        error = {"error": {"message": "Timeout 5ms exceeded.\nCall log"}} if params.get("selector") == "#late" else {}
        lines.append({"type": "after", "callId": call, "endTime": 20, **error})
    text = "\n".join([*(json.dumps(each, separators=(",", ":")) for each in lines), "{broken"])
    with zipfile.ZipFile(tmp_path / "trace.zip", "w") as archive:
        archive.writestr("trace.trace", text)
    assert [(each.at, each.text, each.error) for each in steps.read(tmp_path / "trace.zip")] == [
        (51.0, "go to http://127.0.0.1:1/", None),
        (51.0, "fill “User name” with “ada”", None),
        (51.0, "fill “Password” with “…”", None),
        (51.0, "click button “Next question”", None),
        (51.0, "click “option”, the first", None),
        (51.0, "the network is off", None),
        (51.0, "click #late", "Timeout 5ms exceeded."),
    ]
    (tmp_path / "trace.zip").write_bytes(b"no archive")
    assert steps.read(tmp_path / "trace.zip") == []


def test_the_work_is_a_diff_that_large_files_do_not_swell(tmp_path: Path) -> None:
    begin, folder = tmp_path / "begin", tmp_path / "work"
    for each in (begin, folder):
        each.mkdir()
        (each / "same.py").write_text("same\n")
    (begin / "app.py").write_text("old\n")
    (folder / "app.py").write_text("new\n")
    with (folder / "video.mp4").open("wb") as file:
        file.truncate(3_000_000_000)
    assert work.since_begin(begin, folder) == (
        "--- a/app.py\n+++ b/app.py\n@@ -1 +1 @@\n-old\n+new\nvideo.mp4: 3,000,000,000 bytes, not compared\n"
    )
    (folder / "long.txt").write_text("line\n" * 9000)
    (folder / "video.mp4").unlink()
    assert work.since_begin(begin, folder).split("\n")[-2] == "(6,009 more lines)"


def open_page(chromium: Browser, path: Path) -> Page:
    page = chromium.new_page()
    page.goto(path.as_uri())
    return page


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
