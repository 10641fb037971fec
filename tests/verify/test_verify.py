"""How verify judges: every check is accounted for, and nothing that a trainee's folder holds can change that."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from labkit import changes, content, workspace
from labkit.diagnosis import missing_file
from labkit.errors import InternalError, MachineError
from labkit.lab import Exercise, Lab
from labkit.verify.causes.python import missing_snippet
from labkit.verify.report import Check, Result, Verdict
from labkit.verify.run import Progress, verify
from labkit.verify.subject import KEPT_RUNS, ROOM, Subject, evidence_folder
from labkit.verify.warm import Warm

VerifyShop = Callable[..., dict[str, Result]]
Labkit = Callable[..., subprocess.CompletedProcess[str]]

NAMES = ["the-shop-is-open", "the-loaves-are-counted", "a-loaf-has-a-price"]


@pytest.fixture
def folder(shop: Exercise, tmp_path: Path) -> Path:
    """A copy of end that a test may break."""
    workspace.copy_app(shop.end, tmp_path / "app")
    return tmp_path / "app"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def add_checks(shop: Exercise, text: str) -> None:
    (shop.checks / "test_more.py").write_text(f"import os\nimport pytest\n\n{text}", encoding="utf-8")


def verdicts(results: dict[str, Result]) -> dict[str, str]:
    return {name: result.verdict.value for name, result in results.items()}


@pytest.mark.slow
def test_a_missing_part_is_named_with_its_todo_line_and_evidence(verify_shop: VerifyShop, shop: Exercise) -> None:
    results = verify_shop(shop.begin)
    assert verdicts(results) == dict(zip(NAMES, ["passed", "not done", "not done"], strict=True))
    loaves, price = results["the-loaves-are-counted"], results["a-loaf-has-a-price"]
    assert (loaves.expected, loaves.seen) == (
        "the element with data-testid “loaves” to have text 'Loaves: 3'",
        "it is not on the page",
    )
    assert (loaves.cause, loaves.snippet) == (
        "the TODO line shelf is still at shop.py:10 (if you have typed the code: is the file saved?)",
        "shelf",
    )
    assert loaves.next == "labkit snippet insert shelf"
    assert (price.cause, price.snippet) == (
        "the TODO line till is still at shop.py:11 (if you have typed the code: is the file saved?)",
        "till",
    )
    names = [Path(path).name for path in loaves.evidence]
    assert names == [
        "trace.zip",
        "console.log",
        "websocket.log",
        "events.jsonl",
        "the-loaves-are-counted-1.webp",
        "instance-1.log",
    ]
    assert all(Path(path).stat().st_size > 0 for path in loaves.evidence if not path.endswith(("console.log", "t.log")))


@pytest.mark.slow
def test_a_run_tells_what_it_does(verify_shop: VerifyShop) -> None:
    told: list[str] = []

    class Told(Progress):
        def working(self, what: str) -> None:
            told.append(what)

        def collected(self, checks: Sequence[Check]) -> None:
            told.append(f"{len(checks)} checks")

        def started(self, check: Check) -> None:
            told.append(check.id)

        def finished(self, check: Check, result: Result) -> None:
            told.append(result.verdict)

    verify_shop(progress=Told())
    steps = [step for name in NAMES for step in (f"b1.{1 if name == NAMES[0] else 2}/{name}", "passed")]
    assert told == ["Starting the app", "3 checks", *steps]


@pytest.mark.slow
def test_the_checks_end_with_one_whose_failure_is_enough_and_the_process_goes_on(shop: Exercise) -> None:
    begin, enough = Subject(shop, shop.begin, "end", None), ["passed", "not done", "skipped"]
    with Warm() as warm:
        asked = [("b1.2/the-loaves-are-counted",), (), ("b1.2/a-loaf-has-a-price",), None]
        found = [verify(begin, nothing=True, warm=warm, enough=each) for each in asked]
    assert [[result.verdict.value for _, result in each.results] for each in found] == [
        enough,
        enough,
        ["passed", "not done", "not done"],
        ["passed", "not done", "not done"],
    ]


@pytest.mark.slow
def test_a_single_task_can_be_verified(shop: Exercise) -> None:
    report = verify(Subject(shop, shop.begin, "begin", None), [shop.task("1")])
    assert [(task.id, task.passed, len(task.checks)) for task in report.tasks] == [("b1.1", True, 1)]
    assert (report.passed, report.exit_code) == (True, 0)


@pytest.mark.parametrize(
    ("old", "new", "reason", "where"),
    [
        ("class Shop(", "class Shop((", "syntax error", "shop.py:5"),
        pytest.param("import sys", "import syss", "import error", "shop.py:1", marks=pytest.mark.slow),
        ("class Shop(", "1 / 0\nclass Shop(", "exception", "shop.py:5"),
        pytest.param("class Shop(", "raise SystemExit(0)\nclass Shop(", "exited", None, marks=pytest.mark.slow),
        pytest.param("send_response(200)", "send_response(500)", "answered 500", None, marks=pytest.mark.slow),
    ],
)
def test_an_app_that_does_not_start_fails_the_first_check_with_the_reason(
    verify_shop: VerifyShop, folder: Path, old: str, new: str, reason: str, where: str | None
) -> None:
    edit(folder / "shop.py", old, new)
    results = verify_shop(folder)
    assert verdicts(results) == dict(zip(NAMES, ["not done", "skipped", "skipped"], strict=True))
    first = results[NAMES[0]]
    assert (first.expected, first.seen, first.where) == ("the app starts", reason, where)
    assert results[NAMES[1]].cause == "the app does not start"
    assert [Path(path).name for path in first.evidence] == ["instance-1.log"]


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("cannot import name 'Bread' from 'shop'", "bread"),
        ("NameError: name 'bake' is not defined", "oven"),
        ("AttributeError: 'Oven' object has no attribute 'bake'", "oven"),
        ("No module named 'shop.oven'", "oven"),
        ("NameError: name 'bak' is not defined", None),
        ("there is a syntax error in shop.py, line 5: '(' was never closed", None),
        ("an exception in shop.py, line 5: ValueError: bake", None),
    ],
)
def test_only_a_todo_line_that_lacks_the_missing_name_keeps_an_app_from_starting(said: str, name: str | None) -> None:
    texts = {"bread": "class Bread: ...", "oven": "from shop import oven\noven.bake()"}
    assert missing_snippet(said, dict.fromkeys(texts, "shop.py:5"), texts) == name


@pytest.mark.parametrize(
    ("said", "file"),
    [
        ("an import fails in app.py, line 1: No module named 'shop.oven'.", "shop/oven.py"),
        ("No module named 'shop'", "shop/__init__.py"),
        ("No module named 'shop.till'", None),
        ("No module named 'shop.ovn'", None),
        ('Error loading ASGI app. Could not import module "shop.oven".', "shop/oven.py"),
        ("cannot import name 'Bread' from 'shop.oven'", None),
    ],
)
def test_a_module_that_was_removed_is_known_by_its_file_in_begin(tmp_path: Path, said: str, file: str | None) -> None:
    for path in ("begin/shop/__init__.py", "begin/shop/oven.py", "begin/shop/till.py", "mine/shop/till.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert missing_file(said, tmp_path / "mine", tmp_path / "begin") == file


@pytest.mark.slow
def test_a_file_that_was_removed_is_to_be_brought_back(verify_shop: VerifyShop, shop: Exercise, folder: Path) -> None:
    for path in (shop.begin, folder):
        edit(path / "shop.py", "import sys", "import oven\nimport sys")
    (shop.begin / "oven.py").touch()
    first = verify_shop(folder)[NAMES[0]]
    assert (first.cause or "").split("\n")[-1] == "The file oven.py is missing."
    assert (first.next, first.snippet) == ("labkit reset oven.py", None)


@pytest.mark.slow
def test_an_error_of_the_trainees_own_is_to_be_mended_though_todo_lines_are_left(
    verify_shop: VerifyShop, shop: Exercise, tmp_path: Path
) -> None:
    workspace.copy_app(shop.begin, tmp_path / "app")
    edit(tmp_path / "app" / "shop.py", "class Shop(", "class Shop((")
    first = verify_shop(tmp_path / "app")[NAMES[0]]
    assert (first.snippet, str(first.next).split(" (")[0]) == (None, "Mend shop.py:5")


def test_a_placeholder_left_by_hand_is_named(verify_shop: VerifyShop, folder: Path) -> None:
    edit(folder / "shop.py", "Price: 4 coins", "Price: <YOUR-PRICE> coins")
    results = verify_shop(folder)
    assert verdicts(results) == dict(zip(NAMES, ["not done", "skipped", "skipped"], strict=True))
    first = results[NAMES[0]]
    assert (first.seen, first.where) == ("<YOUR-PRICE>", "shop.py:11")


@pytest.mark.slow
def test_an_exception_of_the_app_is_the_cause_of_what_a_check_sees(verify_shop: VerifyShop, folder: Path) -> None:
    edit(
        folder / "shop.py",
        "lines.append(f'",
        "if 'Chrome' in self.headers.get('User-Agent', ''): self.loaf()\n        lines.append(f'",
    )
    results = verify_shop(folder)
    assert results[NAMES[0]].verdict is Verdict.NOT_DONE
    first = results[NAMES[0]]
    line = "        if 'Chrome' in self.headers.get('User-Agent', ''): self.loaf()"
    said = "AttributeError: 'Shop' object has no attribute 'loaf'"
    assert first.cause == f"the app raised {said} at shop.py:10\n    10 | {line}"
    assert first.next == "Mend shop.py:10, save the file and verify again."


@pytest.mark.slow
def test_a_call_without_await_is_the_cause_of_what_a_check_sees(verify_shop: VerifyShop, folder: Path) -> None:
    edit(folder / "shop.py", "class Shop(", "async def bake(): ...\n\n\nclass Shop(")
    edit(folder / "shop.py", 'lines.append(f\'<p data-testid="loaves"', "bake()\n        lines.append(f'<p")
    loaves = verify_shop(folder)["the-loaves-are-counted"]
    assert loaves.cause == "shop.py:13: coroutine 'bake' was never awaited\n    13 |         bake()"
    assert loaves.next == "Write `await` before the call in shop.py:13, then verify again."


@pytest.mark.slow
def test_an_instance_that_ends_while_it_is_checked_is_said(verify_shop: VerifyShop, folder: Path) -> None:
    edit(
        folder / "shop.py",
        "lines.append(f'",
        "if 'Chrome' in self.headers.get('User-Agent', ''): import os; os._exit(3)\n        lines.append(f'",
    )
    results = verify_shop(folder)
    assert results[NAMES[0]].verdict is Verdict.NOT_DONE
    assert (results[NAMES[0]].cause or "").startswith("instance 1 of the app has ended")


HOSTILE = """\
import os
os._exit(0)
"""
PASSING = """\
import pytest

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    outcome.get_result().outcome = "passed"

def pytest_collection_modifyitems(items):
    items.clear()
"""


@pytest.mark.slow
def test_a_page_with_endless_alerts_is_closed_and_named(verify_shop: VerifyShop, folder: Path) -> None:
    shop = folder / "shop.py"
    alerts = "<script>while (true) { alert('Buy bread'); }</script>"
    shop.write_text(shop.read_text().replace("<h1>Bakery</h1>", f"<h1>Bakery</h1>{alerts}"))
    results = verify_shop(folder)
    first = results["the-shop-is-open"]
    assert (first.verdict, first.expected, first.seen) == (
        Verdict.NOT_DONE,
        "the page can be used",
        "one alert after the other, without end: “Buy bread”",
    )
    assert (first.cause or "").startswith("shop.py:9: the page / opens one alert after the other\n    9 | ")
    assert first.next == "Mend shop.py:9, save the file and verify again."
    assert {each.verdict for each in results.values()} == {Verdict.NOT_DONE}


@pytest.mark.slow
def test_a_hostile_workspace_cannot_change_a_verdict(bakery: Lab, labkit: Labkit, tmp_path: Path) -> None:
    assert labkit("start", "b1", "mine", "--lab", bakery.folder).returncode == 0
    mine = tmp_path / "mine"
    for name in ("conftest.py", "checks/conftest.py", "labkit.py", "labkit/__init__.py"):
        (mine / name).parent.mkdir(exist_ok=True)
        (mine / name).write_text(PASSING if "conftest" in name else HOSTILE, encoding="utf-8")
    for name in ("json.py", "queue.py", "pytest.py", "playwright.py", "typing_extensions.py"):
        (mine / name).write_text(HOSTILE, encoding="utf-8")
    (mine / "pytest.ini").write_text("[pytest]\naddopts = --collect-only -p json\n", encoding="utf-8")
    (mine / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '--collect-only'\n", encoding="utf-8")
    ended = subprocess.run(
        # As the command on the path starts, which does not put the current folder on Python's path.
        [sys.executable, "-P", "-m", "labkit", "verify", "--lab", str(bakery.folder), "--format", "json"],
        cwd=mine,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    report = json.loads(ended.stdout)
    found = [check["verdict"] for task in report["tasks"] for check in task["checks"]]
    assert (ended.returncode, found) == (1, ["passed", "not done", "not done"])


@pytest.mark.slow
def test_a_check_over_its_budget_is_timed_out_and_the_others_still_run(verify_shop: VerifyShop, shop: Exercise) -> None:
    add_checks(
        shop,
        "@pytest.mark.task(1)\n@pytest.mark.budget(0.5)\ndef test_forever(page):\n"
        "    while True:\n        page.wait_for_timeout(100)\n",
    )
    results = verify_shop()
    assert verdicts(results) == {NAMES[0]: "passed", "forever": "timed out", NAMES[1]: "passed", NAMES[2]: "passed"}
    assert results["forever"].expected == "the check ends within 0.5 s"


@pytest.mark.slow
def test_a_check_that_ends_its_process_is_at_fault_and_the_others_still_run(
    verify_shop: VerifyShop, shop: Exercise
) -> None:
    add_checks(shop, "@pytest.mark.task(1)\ndef test_vanish():\n    os._exit(0)\n")
    assert verdicts(verify_shop()) == {
        NAMES[0]: "passed",
        "vanish": "checker at fault",
        NAMES[1]: "passed",
        NAMES[2]: "passed",
    }


@pytest.mark.slow
def test_a_check_with_a_bug_is_at_fault_and_a_shared_failure_is_said_once(
    verify_shop: VerifyShop, shop: Exercise
) -> None:
    add_checks(
        shop,
        "from labkit.checking import NotDone\n"
        "pytestmark = pytest.mark.task(1)\n\n\n"
        "@pytest.fixture(scope='session')\ndef oven():\n    raise NotDone('a hot oven', 'a cold one')\n\n\n"
        "def test_bug():\n    {}['loaf']\n\n\n"
        "def test_cake(oven):\n    '''There is cake.'''\n\n\n"
        "def test_pie(oven):\n    '''There is pie.'''\n\n\n"
        "def test_plain():\n    assert 1 + 1 == 3\n",
    )
    results = verify_shop()
    assert verdicts(results) == {
        NAMES[0]: "passed",
        "bug": "checker at fault",
        "cake": "not done",
        "pie": "skipped",
        "plain": "not done",
        NAMES[1]: "passed",
        NAMES[2]: "passed",
    }
    assert (results["bug"].cause, results["bug"].next) == ("KeyError: 'loaf' (test_more.py:14)", "Mend the checks.")
    assert (results["cake"].expected, results["cake"].seen) == ("a hot oven", "a cold one")
    assert results["pie"].cause == "needs the same as “There is cake.”"
    assert (results["plain"].expected, results["plain"].seen) == ("3", "(1 + 1)")


@pytest.mark.slow
def test_a_failed_script_is_the_cause_unless_the_check_is_sure_of_its_own(
    verify_shop: VerifyShop, shop: Exercise
) -> None:
    add_checks(
        shop,
        "from labkit.checking import NotDone\n"
        "pytestmark = pytest.mark.task(1)\n\n\n"
        "@pytest.fixture\ndef oven(page):\n"
        "    with page.expect_event('pageerror'):\n"
        "        page.evaluate('() => { setTimeout(() => oven.bake()); }')\n\n\n"
        "def test_bread(oven):\n    raise NotDone('bread', 'none')\n\n\n"
        "def test_cake(oven):\n    raise NotDone('cake', 'none', cause='nobody bakes')\n\n\n"
        "def test_pie(oven):\n    raise NotDone('an oven', 'none', cause='nobody has built it', is_sure=True)\n",
    )
    results = verify_shop()
    failed = "a script of the page failed: ReferenceError: oven is not defined"
    causes = {name: result.cause for name, result in results.items() if name not in NAMES}
    assert causes == {"bread": failed, "cake": failed, "pie": "nobody has built it"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(
            "import no_such_module\n",
            "ModuleNotFoundError: No module named 'no_such_module' (test_more.py:4)",
            marks=pytest.mark.slow,
        ),
        ("def x(:\n", "SyntaxError: invalid syntax (test_more.py:4)"),
        pytest.param("import helper\n", "NameError: name 'oven' is not defined (helper.py:2)", marks=pytest.mark.slow),
    ],
)
def test_checks_that_cannot_be_read_are_a_fault_of_the_lab_with_its_line(
    verify_shop: VerifyShop, shop: Exercise, text: str, fault: str
) -> None:
    add_checks(shop, text)
    (shop.checks / "helper.py").write_text("\noven.bake()\n", encoding="utf-8")
    with pytest.raises(InternalError) as caught:
        verify_shop()
    assert caught.value.message == f"The checks of b1 cannot be run: test_more.py cannot be read: {fault}"
    assert caught.value.next == "Mend the checks."


@pytest.mark.slow
def test_an_unknown_fixture_and_what_another_library_raises_have_the_line_of_the_check(
    verify_shop: VerifyShop, shop: Exercise
) -> None:
    add_checks(
        shop,
        "pytestmark = pytest.mark.task(1)\n\n\n"
        "def test_mill(mill):\n    pass\n\n\n"
        "@pytest.fixture\ndef dough(flour):\n    pass\n\n\n"
        "def test_dough(dough):\n    pass\n\n\n"
        "def test_number():\n    import json\n\n    json.loads('x')\n",
    )
    results = verify_shop()
    assert {name: results[name].cause for name in ("mill", "dough", "number")} == {
        "mill": "FixtureLookupError: fixture 'mill' not found (test_more.py:7)",
        "dough": "FixtureLookupError: fixture 'flour' not found (test_more.py:11)",
        "number": "JSONDecodeError: Expecting value: line 1 column 1 (char 0) (test_more.py:23)",
    }


@pytest.mark.slow
def test_a_trainee_is_told_to_report_a_check_that_is_at_fault(bakery: Lab, shop: Exercise, tmp_path: Path) -> None:
    add_checks(shop, "@pytest.mark.task(1)\ndef test_bug():\n    {}['loaf']\n")
    mine = workspace.create(bakery, shop, tmp_path / "mine")
    report = verify(Subject(shop, mine.folder, "workspace", mine), [shop.task("1")])
    assert [result.next for _, result in report.results] == [
        None,
        "This is not your fault: report it to the lab's author.",
    ]


@pytest.mark.slow
def test_each_parameter_of_a_check_runs_and_counts(verify_shop: VerifyShop, shop: Exercise) -> None:
    add_checks(
        shop,
        "pytestmark = pytest.mark.task(1)\n\n\n"
        "@pytest.mark.parametrize('path', ['/', '/../x?'])\n@pytest.mark.parametrize('loaves', [3, 4])\n"
        "def test_open(page, loaves, path):\n"
        "    '''The shop is open.'''\n    page.goto('/')\n    assert loaves == 3\n\n\n"
        "@pytest.mark.parametrize('chromium', ['chromium'])\ndef test_plain(chromium):\n    pass\n",
    )
    report = verify(Subject(shop, shop.end, "end", None), [shop.task("1")])
    assert [(check.id, check.title, result.verdict.value) for check, result in report.results] == [
        ("b1.1/the-shop-is-open", "The shop has a door.", "passed"),
        ("b1.1/open[3-/]", "The shop is open. [3-/]", "passed"),
        ("b1.1/open[3-/../x?]", "The shop is open. [3-/../x?]", "passed"),
        ("b1.1/open[4-/]", "The shop is open. [4-/]", "not done"),
        ("b1.1/open[4-/../x?]", "The shop is open. [4-/../x?]", "not done"),
        ("b1.1/plain[chromium]", "plain [chromium]", "passed"),
    ]
    kept = [path for _, result in report.results for path in result.evidence if path.endswith("trace.zip")]
    assert [Path(path).parent.name for path in kept] == ["open[4--]", "open[4--..-x-]"]
    assert report.exit_code == 1


@pytest.mark.slow
def test_two_checks_of_one_id_are_a_fault_of_the_lab(verify_shop: VerifyShop, shop: Exercise) -> None:
    add_checks(shop, "@pytest.mark.task(1)\ndef test_the_shop_is_open():\n    assert False\n")
    with pytest.raises(InternalError) as caught:
        verify_shop()
    assert caught.value.message == (
        "The checks of b1 cannot be run: test_bakery.py:7 and test_more.py:4 have the same id, b1.1/the-shop-is-open."
    )


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        pytest.param(
            "",
            "test_more.py:4: test_stray is not marked with a task; the chapter has tasks 1 to 2.",
            marks=pytest.mark.slow,
        ),
        ("@pytest.mark.task(7)\n", "test_more.py:4: test_stray is marked with task(7); the chapter has tasks 1 to 2."),
    ],
)
def test_a_check_without_a_task_is_named_with_its_line(
    verify_shop: VerifyShop, shop: Exercise, mark: str, said: str
) -> None:
    add_checks(shop, f"{mark}def test_stray():\n    pass\n")
    with pytest.raises(InternalError) as caught:
        verify_shop()
    assert caught.value.message == f"The checks of b1 cannot be run: {said}"


def test_a_lab_without_checks_says_which_folder_is_missing(verify_shop: VerifyShop, shop: Exercise) -> None:
    shutil.rmtree(shop.checks)
    with pytest.raises(InternalError) as caught:
        verify_shop()
    assert caught.value.message == f"{shop.checks} is missing: without checks nothing can be verified."


def test_without_a_browser_the_machine_is_at_fault(
    verify_shop: VerifyShop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LABKIT_BROWSER", str(tmp_path / "nothing"))
    with pytest.raises(MachineError, match="LABKIT_BROWSER names"):
        verify_shop()


@pytest.mark.slow
def test_a_browser_that_does_not_launch_is_the_machines_fault(
    verify_shop: VerifyShop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho cannot open display >&2\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setenv("LABKIT_BROWSER", str(broken))
    results = verify_shop()
    assert verdicts(results) == dict(zip(NAMES, ["environment", "skipped", "skipped"], strict=True))


@pytest.mark.slow
def test_a_workspace_keeps_the_evidence_of_its_last_runs(bakery: Lab, shop: Exercise, tmp_path: Path) -> None:
    mine = workspace.create(bakery, shop, tmp_path / "mine")
    evidence = mine.folder / ".labkit" / "evidence"
    for number in range(KEPT_RUNS + 2):
        (evidence / f"2020010{number}-000000-000000-b1").mkdir(parents=True)
    report = verify(Subject(shop, mine.folder, "workspace", mine), [shop.task("2")])
    assert report.exit_code == 1
    kept = sorted(path.name for path in evidence.iterdir())
    assert kept[:-1] == [f"2020010{number}-000000-000000-b1" for number in range(3, KEPT_RUNS + 2)]
    assert all(path.startswith(str(evidence / kept[-1])) for _, result in report.results for path in result.evidence)


@pytest.mark.slow
def test_a_workspace_that_has_no_todo_line_left_is_told_to_compare(bakery: Lab, shop: Exercise, tmp_path: Path) -> None:
    mine = workspace.create(bakery, shop, tmp_path / "mine")
    solved = (shop.end / "shop.py").read_text(encoding="utf-8")
    (mine.folder / "shop.py").write_text(solved.replace("coins", "shells"), encoding="utf-8")
    report = verify(Subject(shop, mine.folder, "workspace", mine), [shop.task("2")])
    results = {check.id.partition("/")[2]: (result.verdict, result.next) for check, result in report.results}
    assert results["a-loaf-has-a-price"] == ("not done", "labkit diff b1")


def test_the_workspace_itself_is_not_touched(bakery: Lab, shop: Exercise, tmp_path: Path) -> None:
    mine = workspace.create(bakery, shop, tmp_path / "mine")
    edit(mine.folder / "shop.py", "lines = [", "open('baked', 'w').close()\n        lines = [")
    before = sorted(path.relative_to(mine.folder).as_posix() for path in mine.folder.rglob("*"))
    verify(Subject(shop, mine.folder, "workspace", mine), [shop.task("1")])
    after = sorted(path.relative_to(mine.folder).as_posix() for path in mine.folder.rglob("*"))
    assert [path for path in after if path not in before] == [".labkit/evidence"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="makes a program of a shell script")
def test_a_workspace_is_run_by_its_own_python(bakery: Lab, shop: Exercise, tmp_path: Path) -> None:
    mine = workspace.create(bakery, shop, tmp_path / "mine")
    own = mine.folder / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.write_text(f'#!/bin/sh\necho by its own\nexec {sys.executable} "$@"\n', encoding="utf-8")
    own.chmod(0o755)
    report = verify(Subject(shop, mine.folder, "workspace", mine), [shop.task("1")], everything=True)
    assert report.passed
    assert report.evidence
    assert (report.evidence / "instance-1.log").read_text(encoding="utf-8").startswith("by its own\n")


def test_an_error_is_json_as_well(labkit: Labkit, bakery: Lab) -> None:
    ended = labkit("verify", "b7", "--lab", bakery.folder, "--format", "json")
    assert ended.returncode == 2
    assert json.loads(ended.stdout)["error"]["code"] == 2


def test_the_json_of_a_run_is_as_designed(labkit: Labkit, bakery: Lab) -> None:
    ended = labkit("verify", "b1", "--solution", "begin", "--lab", bakery.folder, "--format", "json")
    document = json.loads(ended.stdout)
    assert list(document) == ["schema", "exercise", "solution", "passed", "duration_s", "tasks"]
    assert (document["schema"], document["exercise"], document["solution"]) == (1, "b1", "begin")
    assert list(document["tasks"][0]) == ["id", "title", "passed", "checks"]
    parts = ["id", "title", "verdict", "expected", "seen", "where", "cause", "next", "snippet", "evidence"]
    assert list(document["tasks"][1]["checks"][0]) == parts
    assert document["tasks"][0]["checks"] == [
        {
            **dict.fromkeys(parts),
            "id": "b1.1/the-shop-is-open",
            "title": "The shop has a door.",
            "verdict": "passed",
            "evidence": [],
        }
    ]


@pytest.mark.slow
def test_a_stale_end_is_verified_with_a_note(labkit: Labkit, bakery: Lab, shop: Exercise) -> None:
    changes.write(bakery.folder, content.remade(bakery, [shop]))
    command = ("verify", "b1", "--task", "1", "--solution", "end")
    note = "note: end is not what begin and the snippets make; next: labkit author end b1\n"
    made = labkit(*command, cwd=bakery.folder)
    assert (made.returncode, note in made.stderr) == (0, False)
    (shop.begin / "more.py").write_text("", encoding="utf-8")
    stale = labkit(*command, cwd=bakery.folder)
    assert (stale.returncode, note in stale.stderr) == (0, True)


def test_evidence_goes_where_there_is_room(
    bakery: Lab, shop: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = workspace.create(bakery, shop, tmp_path / "mine")
    subject = Subject(shop, mine.folder, "workspace", mine)
    now = datetime(2026, 1, 2)
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    evidence = mine.folder / ".labkit" / "evidence"
    assert evidence_folder(subject, now).parent == evidence
    free = {evidence: ROOM}
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=free.get(path, ROOM + 1)))
    assert evidence_folder(subject, now).parent == tmp_path / "home" / "cache" / "evidence"
    (tmp_path / "file").touch()
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "file" / "home"))
    assert evidence_folder(subject, now).parent.name.startswith("labkit-evidence-")
    assert evidence_folder(subject, now).parent.parent == tmp_path


@pytest.mark.slow
def test_a_process_that_stays_tells_an_error_of_pytest_itself_at_once(shop: Exercise) -> None:
    (shop.checks / "conftest.py").write_text('def pytest_runtest_logreport():\n    raise RuntimeError("no ink")\n')
    with Warm() as warm:
        results = verify(Subject(shop, shop.end, "end", None), warm=warm).results
    assert {result.verdict for _, result in results} == {Verdict.CHECKER}
    assert all("no ink" in str(result.cause) for _, result in results)


@pytest.mark.slow
def test_a_search_for_a_cause_that_fails_loses_no_verdict(verify_shop: VerifyShop, shop: Exercise) -> None:
    (shop.checks / "conftest.py").write_text('def pytest_labkit_cause():\n    raise RuntimeError("no ink")\n')
    edit(shop.end / "shop.py", "4 coins", "a song")
    results = verify_shop()
    assert verdicts(results) == dict(zip(NAMES, ["passed", "passed", "not done"], strict=True))
    assert results["a-loaf-has-a-price"].seen == "Price: a song"
