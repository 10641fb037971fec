"""The page on the quiz's security: all of level 1 of OWASP ASVS 5.0, each line with a test that exists, or a reason."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
QUIZ = ROOT / "exercises" / "ex1-realtime" / "begin" / "geekquiz"
TESTS = [ROOT / "tests" / name for name in ("test_quiz.py", "test_quiz_running.py", "test_quiz_security.py")]

LEVEL_1 = re.findall(
    r"\S+",
    """
1.2.1 1.2.2 1.2.3 1.2.4 1.2.5 1.3.1 1.3.2 1.5.1 2.1.1 2.2.1 2.2.2 2.3.1 3.2.1 3.2.2 3.3.1 3.4.1 3.4.2 3.5.1 3.5.2 3.5.3
4.1.1 4.4.1 5.2.1 5.2.2 5.3.1 5.3.2 6.1.1 6.2.1 6.2.2 6.2.3 6.2.4 6.2.5 6.2.6 6.2.7 6.2.8 6.3.1 6.3.2 6.4.1 6.4.2 7.2.1
7.2.2 7.2.3 7.2.4 7.4.1 7.4.2 8.1.1 8.2.1 8.2.2 8.3.1 9.1.1 9.1.2 9.1.3 9.2.1 10.4.1 10.4.2 10.4.3 10.4.4 10.4.5 11.3.1
11.3.2 11.4.1 12.1.1 12.2.1 12.2.2 13.4.1 14.2.1 14.3.1 15.1.1 15.2.1 15.3.1
""",
)  # the lines with L = 1 in the standard's own list

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if re.match(r"\| \d+\.\d", line)
]


def test_the_page_has_every_line_of_level_1() -> None:
    assert [row[0] for row in ROWS] == LEVEL_1
    assert {row[2] for row in ROWS} == {"holds", "nothing here", "yours"}


@pytest.mark.parametrize("row", [row for row in ROWS if row[2] == "holds"], ids=lambda row: row[0])
def test_every_line_that_holds_has_a_test(row: list[str]) -> None:
    named = re.fullmatch(r"`(test_\w+)`", row[3])
    assert named, row
    assert named[1] in always_run(TESTS)


def always_run(files: list[Path]) -> set[str]:
    """The tests that are run on every change: not those that are only for some systems, or skipped."""
    functions = [node for file in files for node in ast.parse(file.read_text(encoding="utf-8")).body]
    return {
        node.name
        for node in functions
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not any("skip" in ast.unparse(each) for each in node.decorator_list)
    }


def test_the_page_on_security_names_what_the_code_allows() -> None:
    account, users, security = [
        (QUIZ / name).read_text(encoding="utf-8") for name in ("account.py", "users.py", "security.py")
    ]
    rules = dict(re.findall(r"^\| ([\w -]+) \| (.+) \|$", PAGE, re.MULTILINE))

    assert "not 2 <= len(name) <= 40" in account
    assert rules["user name"].startswith("2 to 40 printable characters")
    assert "not 8 <= len(password) <= 200" in account
    assert rules["password"].startswith("8 to 200 characters of any kind, 5 different ones at least")
    assert "tries[now] <= 20" in users and "// 900" in users
    assert rules["guesses"].startswith("20 for a name in each quarter of an hour")
    assert "> 64 * 1024" in security
    assert rules["body"].startswith("64 KiB")
    assert rules["everybody"] == "Log in, Register, `/healthz`, the pages' styles and scripts"
    assert rules["a signed-in user"].startswith("Play and Statistics, the hub, answers of one's own")
