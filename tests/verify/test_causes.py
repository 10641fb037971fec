"""The causes that verify finds in an app's files, in its log, and in what pages did: no app runs here."""

import ast
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from labkit.diagnosis import Place, Raised, unhandled
from labkit.verify.causes import Facts, Finding, differences, files, find, pages, python, templates
from labkit.verify.causes.finding import Answer, Said, ScriptError, Seen
from labkit.verify.causes.python import parsed
from labkit.verify.report import Check

PAGE = "http://127.0.0.1:8000/shelf"
SCRIPT = "http://127.0.0.1:8000/static/shelf.js"

BEGIN = {
    "shop/app.py": "from .oven import Oven\n\n\nasync def sell():\n    return Oven().bake()\n",
    "shop/oven.py": (
        "class Oven:\n    def heat(self):\n        return 200\n\n    def bake(self):\n        return 'bread'\n"
    ),
    "shop/static/shelf.js": (
        "function show(bread) {\n  document.getElementById('loaf').textContent = bread;\n}\nshow('rye');\n"
    ),
    "shop/templates/base.html": "<main>{% block content %}{% endblock %}</main>\n{% block scripts %}{% endblock %}\n",
    "shop/templates/shelf.html": (
        '{% extends "base.html" %}\n{% block content %}\n<p id="loaf"></p>\n{% endblock %}\n{% block scripts %}\n'
        '<script src="/mill/flour.js"></script>\n<script src="/static/shelf.js"></script>\n{% endblock %}\n'
    ),
}

Make = Callable[..., Facts]


@pytest.fixture
def facts(tmp_path: Path, write_files: Callable[[Path, Mapping[str, str]], Path]) -> Make:
    """Facts about an app: begin with other texts for some files (None deletes one)."""

    def made(changes: Mapping[str, str | None] | None = None, **known: object) -> Facts:
        now = {path: text for path, text in {**BEGIN, **(changes or {})}.items() if text is not None}
        begin, app = write_files(tmp_path / "begin", BEGIN), write_files(tmp_path / "app", now)
        return Facts(app, begin, **known)  # type: ignore[arg-type]

    return made


def check(*snippets: str) -> Check:
    return Check("s1.1/it-works", "It works.", "s1.1", 60, snippets)


def seen(
    *errors: ScriptError, answers: tuple[Answer, ...] = (), console: tuple[Said, ...] = ()
) -> dict[str, list[Seen]]:
    return {"seen": [Seen(list(errors), list(answers), list(console))]}


def refused(path: str, kind: str = "script") -> Answer:
    return Answer(PAGE, "GET", f"http://127.0.0.1:8000{path}", 404, kind)


LOG = """\
ERROR:    Exception in ASGI application
Traceback (most recent call last):
  File "{python}/uvicorn.py", line 9, in run
    await app()
  File "{app}/shop/app.py", line 5, in sell
    return Oven().bake()
           ^^^^^^^^^^^
{error}
"""


def logs(facts: Facts, error: str) -> list[list[str]]:
    return [LOG.format(python="/usr/lib", app=facts.app, error=error).splitlines()]


@pytest.mark.parametrize(
    ("oven", "error", "cause", "place", "advice"),
    [
        pytest.param(
            "class Oven:\n    pass\n\n\ndef bake(self):\n    return 'bread'\n",
            "AttributeError: 'Oven' object has no attribute 'bake'",
            "shop/oven.py:5 defines bake outside of the class Oven\n    5 | def bake(self):",
            "shop/oven.py:5",
            "Indent shop/oven.py:5 and the lines of bake as the other methods of Oven are, then verify again.",
            id="outside of its class",
        ),
        pytest.param(
            "class Oven:\n    def heat(self):\n        return 200\n\n        def bake(self):\n            return 1\n",
            "AttributeError: 'Oven' object has no attribute 'bake'",
            "shop/oven.py:5 defines bake inside of the function heat\n    5 |         def bake(self):",
            "shop/oven.py:5",
            "Indent shop/oven.py:5 and the lines of bake as the line `def heat` is, then verify again.",
            id="inside of another method",
        ),
        pytest.param(
            "class Oven:\n    pass\n\n\nclass Till:\n    def bake(self):\n        return 'bread'\n",
            "AttributeError: 'Oven' object has no attribute 'bake'",
            "shop/oven.py:6 defines bake in the class Till, not in Oven\n    6 |     def bake(self):",
            "shop/oven.py:6",
            "Move bake from shop/oven.py:6 into the class Oven in shop/oven.py, then verify again.",
            id="in another class",
        ),
        pytest.param(
            "class Oven:\n    def bake_(self):\n        return 'bread'\n",
            "AttributeError: 'Oven' object has no attribute 'bake'",
            "the class Oven has bake_ (shop/oven.py:2)\n    5 |     return Oven().bake()",
            "shop/app.py:5",
            "Write bake_ in shop/app.py:5, or name the method bake in shop/oven.py:2.",
            id="of another name",
        ),
        pytest.param(
            "class Oven:\n    pass\n",
            "NameError: name 'Flour' is not defined",
            "NameError: name 'Flour' is not defined at shop/app.py:5\n    5 |     return Oven().bake()",
            "shop/app.py:5",
            "Mend shop/app.py:5, save the file and verify again.",
            id="known nowhere",
        ),
    ],
)
def test_an_exception_is_told_with_the_line_to_mend(
    facts: Make, oven: str, error: str, cause: str, place: str, advice: str
) -> None:
    known = facts({"shop/oven.py": oven})
    found = find(facts({"shop/oven.py": oven}, logs=logs(known, error)), check())
    assert found is not None
    assert found.cause.startswith(("the app raised ", f"{place}: "))
    assert found.cause.endswith(cause)
    assert (str(found.place), found.next) == (place, advice)


def test_a_method_of_the_manuals_that_a_class_lacks_is_missed_there(facts: Make) -> None:
    known = facts({"shop/oven.py": "class Oven:\n    def heat(self):\n        return 200\n"})
    (known.begin / "shop/oven.py").write_text("class Oven:\n    # TODO baking: bake a loaf\n", encoding="utf-8")
    raised = Raised("AttributeError", "'Oven' object has no attribute 'bake'", Place("shop/app.py", 5, ""))
    manual = {"baking": "    def bake(self):\n        return 'bread'\n"}
    assert python.explain(replace(known, snippets=manual), raised) == Finding(
        "AttributeError: 'Oven' object has no attribute 'bake' at shop/app.py:5: the class Oven (shop/oven.py:1) has "
        "no bake\n    1 | class Oven:",
        Place("shop/oven.py", 1, "class Oven:"),
        "Write `def bake(self):` in shop/oven.py, where the manual has it, then verify again.",
    )


def test_a_forgotten_import_is_written_out(facts: Make) -> None:
    place = Place("shop/app.py", 4, "    return Oven().bake()")
    raised = Raised("NameError", "name 'Oven' is not defined", place)
    known = facts({"shop/app.py": "\n\nasync def sell():\n    return Oven().bake()\n"})
    found = python.explain(known, raised)
    assert found == Finding(
        "shop/app.py:4: NameError: name 'Oven' is not defined: shop/app.py does not import it\n"
        "    4 |     return Oven().bake()",
        place,
        "Write `from .oven import Oven` among the imports of shop/app.py.",
    )


def test_a_forgotten_await_is_named_where_it_is_missing(facts: Make) -> None:
    app = "\n\nasync def sell():\n    bread = bake()\n    use(bread)\n\n\nasync def bake():\n    return 1\n"
    raised = Raised("TypeError", "coroutine has no crust.", Place("shop/app.py", 5, "    use(bread)"))
    found = python.explain(facts({"shop/app.py": app}), raised)
    assert found == Finding(
        "shop/app.py:4: `await` is missing before the call of bake, so bread is a coroutine in line 5 "
        "(TypeError: coroutine has no crust)\n    4 |     bread = bake()",
        Place("shop/app.py", 4, "    bread = bake()"),
        "Write `await` before the call in shop/app.py:4, then verify again.",
    )


def test_a_forgotten_f_is_named(facts: Make) -> None:
    place = Place("shop/app.py", 4, '    use("{settings.mill}/flour")')
    found = python.explain(facts(), Raised("ValueError", "no scheme", place))
    assert found is not None
    assert found.next == "Write f before the opening quote in shop/app.py:4, then verify again."
    assert python.explain(facts(), Raised("ValueError", "no", Place("a.py", 1, 'use(f"{mill}/flour")'))) is None


def test_what_the_app_has_handled_is_no_cause(facts: Make) -> None:
    known = facts()
    error = "ZeroDivisionError: division by zero"
    unexpected = logs(known, error)[0]
    logged = ["ERROR:root:the mill has stopped", *unexpected[1:]]
    assert [str(each) for each in unhandled(unexpected, known.app)] == [error]
    assert unhandled(logged, known.app) == []
    assert find(facts(logs=[logged]), check()) is None


def test_a_chain_of_exceptions_is_one_and_belongs_to_its_heading(facts: Make) -> None:
    known = facts()
    second = [
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        *logs(known, "KeyError: 'x'")[0][1:],
    ]
    assert unhandled([*logs(known, "ValueError: y")[0], *second], known.app) == [
        Raised("KeyError", "'x'", Place("shop/app.py", 5, "    return Oven().bake()"))
    ]


def test_an_error_of_a_script_has_the_line_of_its_file(facts: Make) -> None:
    error = ScriptError(PAGE, "TypeError", "bread.slice is not a function", ((SCRIPT, 2), (SCRIPT, 4)))
    found = find(facts(**seen(error)), check())
    assert found == Finding(
        "shop/static/shelf.js:2: TypeError: bread.slice is not a function\n"
        "    2 |   document.getElementById('loaf').textContent = bread;",
        Place("shop/static/shelf.js", 2, "  document.getElementById('loaf').textContent = bread;"),
        "Mend shop/static/shelf.js:2, save the file and verify again.",
    )


def test_an_error_in_the_labs_own_code_is_told_with_the_line_that_called_it(facts: Make) -> None:
    script = BEGIN["shop/static/shelf.js"] + "hub.on('bread', (bread) => {\n  show(bread.loaf);\n});\n"
    error = ScriptError(PAGE, "TypeError", "bread.slice is not a function", ((SCRIPT, 2), (SCRIPT, 6)))
    found = find(facts({"shop/static/shelf.js": script}, **seen(error)), check())
    assert found == Finding(
        "shop/static/shelf.js:6: TypeError: bread.slice is not a function, in line 2, which was called from here\n"
        "    6 |   show(bread.loaf);",
        Place("shop/static/shelf.js", 6, "  show(bread.loaf);"),
        "Look at what shop/static/shelf.js:6 hands on, mend it, save the file and verify again.",
    )


def test_what_a_check_has_seen_says_where_to_look(facts: Make) -> None:
    error = ScriptError(PAGE, "TypeError", "bread.slice is not a function", ((SCRIPT, 2),))
    assert find(facts(side="server", **seen(error)), check()) is None
    assert find(facts(side="page", **seen(error)), check()) is not None


def test_an_error_of_a_script_in_a_template_is_found_by_its_text(facts: Make) -> None:
    shelf = BEGIN["shop/templates/shelf.html"] + "<script>\nsell();\n</script>\n"
    error = ScriptError(PAGE, "TypeError", "sell is not a function", ((PAGE, 31),))
    known = facts({"shop/templates/shelf.html": shelf}, ask=lambda *_: "  sell();", **seen(error))
    found = find(known, check())
    assert found is not None
    assert str(found.place) == "shop/templates/shelf.html:10"


def test_a_script_that_comes_too_late_is_to_be_put_above(facts: Make) -> None:
    shelf = BEGIN["shop/templates/shelf.html"]
    first, second = '<script src="/mill/flour.js"></script>\n', '<script src="/static/shelf.js"></script>\n'
    shelf = shelf.replace(first + second, second + first)
    flour = "http://127.0.0.1:8000/mill/flour.js"
    page = {"isDefined": True, "names": ["flour"], "scripts": [[SCRIPT, False], [flour, True]]}
    error = ScriptError(PAGE, "ReferenceError", "flour is not defined", ((SCRIPT, 4),))
    found = find(facts({"shop/templates/shelf.html": shelf}, ask=lambda *_: page, **seen(error)), check())
    assert found is not None
    assert found.cause == (
        "shop/static/shelf.js:4: ReferenceError: flour is not defined, because /mill/flour.js, which defines it, is "
        'loaded after /static/shelf.js: see shop/templates/shelf.html:7\n    7 | <script src="/mill/flour.js"></script>'
    )
    assert found.next == "Put the line of /mill/flour.js above that of /static/shelf.js in shop/templates/shelf.html."


def test_a_name_in_another_case_is_named(facts: Make) -> None:
    page = {"isDefined": False, "names": ["flour"], "scripts": []}
    error = ScriptError(PAGE, "ReferenceError", "Flour is not defined", ((SCRIPT, 4),))
    found = find(facts(ask=lambda *_: page, **seen(error)), check())
    assert found is not None
    assert found.next == "Write flour in shop/static/shelf.js:4, then verify again."


def test_code_that_is_there_twice_is_told_with_both_lines(facts: Make) -> None:
    script = "const mill = 1;\n\nconst mill = 1;\n"
    error = ScriptError(PAGE, "SyntaxError", "Identifier 'mill' has already been declared", ((SCRIPT, 3),))
    found = find(facts({"shop/static/shelf.js": script}, **seen(error)), check())
    assert found is not None
    assert found.cause == (
        "shop/static/shelf.js:3: SyntaxError: Identifier 'mill' has already been declared, in line 1\n"
        "    3 | const mill = 1;"
    )


def test_a_script_that_cannot_be_parsed_has_the_line_that_the_browser_tells(facts: Make) -> None:
    error = ScriptError(PAGE, "SyntaxError", "Unexpected token '}'")
    known = facts(
        {"shop/static/shelf.js": "show(}\n"},
        parse=lambda source: (source.count("}"), "SyntaxError: Unexpected token '}'"),
        **seen(error, answers=(Answer(PAGE, "GET", SCRIPT, 200, "script"),)),
    )
    found = find(known, check())
    assert found is not None
    assert found.place == Place("shop/static/shelf.js", 1, "show(}")


def test_an_element_that_is_gone_is_named_with_its_template(facts: Make) -> None:
    shelf = BEGIN["shop/templates/shelf.html"].replace(' id="loaf"', "")
    error = ScriptError(PAGE, "TypeError", "Cannot set properties of null (setting 'textContent')", ((SCRIPT, 2),))
    found = find(facts({"shop/templates/shelf.html": shelf}, ask=lambda *_: False, **seen(error)), check())
    assert found is not None
    assert found.next == 'Give the element in shop/templates/shelf.html its id="loaf" again.'


def test_an_address_that_is_not_there_is_found_where_it_is_written(facts: Make) -> None:
    shelf = BEGIN["shop/templates/shelf.html"].replace("static/shelf", "static/shelv")
    found = find(facts({"shop/templates/shelf.html": shelf}, **seen(answers=(refused("/static/shelv.js"),))), check())
    assert found is not None
    assert found.cause == (
        "shop/templates/shelf.html:7: the page asks for the script /static/shelv.js and gets 404; there is "
        'shop/static/shelf.js\n    7 | <script src="/static/shelv.js"></script>'
    )
    script = "fetch('/flour/fine');\n"
    asked = facts({"shop/static/shelf.js": script}, **seen(answers=(refused("/flour/fine/12", "fetch"),)))
    assert [str(each.place) for each in pages.explain(asked)] == ["shop/static/shelf.js:1"]


def test_a_script_in_a_page_that_the_browser_refuses_is_told(facts: Make) -> None:
    shelf = BEGIN["shop/templates/shelf.html"] + "<script>\nsell();\n</script>\n"
    said = Said("Executing inline script violates the following Content Security Policy directive", PAGE, 9)
    known = facts({"shop/templates/shelf.html": shelf}, ask=lambda *_: "<script>", **seen(console=(said,)))
    found = find(known, check())
    assert found is not None
    assert str(found.place) == "shop/templates/shelf.html:9"


@pytest.mark.parametrize(
    ("path", "text", "hint", "cause"),
    [
        ("shop/static/shelf.js", None, "/static/shelf.js", "The file shop/static/shelf.js is missing"),
        ("shop/static/shelf.js", " \n", "/static/shelf.js", "shop/static/shelf.js is empty"),
        (
            "shop/templates/shelf.html",
            None,
            "TemplateNotFound: 'shelf.html' not found in search path",
            "The file shop/templates/shelf.html is missing",
        ),
        ("shop/oven.py", None, "ModuleNotFoundError: No module named 'shop.oven'", "The file shop/oven.py is missing"),
    ],
)
def test_a_file_that_is_lost_is_brought_back(facts: Make, path: str, text: str | None, hint: str, cause: str) -> None:
    assert list(files.lost(facts({path: text}), [hint])) == [Finding(cause, Place(path, 1, ""), f"labkit reset {path}")]
    assert list(files.lost(facts({path: text}), ["/static/other.js"])) == []


def test_a_file_in_another_encoding_is_named(facts: Make) -> None:
    known = facts()
    oven = known.app / "shop/oven.py"
    oven.write_bytes(BEGIN["shop/oven.py"].encode("utf-16"))
    advice = "Save shop/oven.py as UTF-8 (in the editor: Save with Encoding), then verify again."
    said = "shop/oven.py is saved as UTF-16, which nothing that reads it expects"
    assert list(files.misencoded(known.app, known.begin)) == [Finding(said, Place("shop/oven.py", 1, ""), advice)]
    oven.write_bytes("# oven\n# für Brot\n".encode("cp1252"))
    said = "shop/oven.py is not saved as UTF-8: see line 2"
    assert list(files.misencoded(known.app, known.begin)) == [Finding(said, Place("shop/oven.py", 2, ""), advice)]


def test_a_block_that_its_base_has_lost_is_told(facts: Make) -> None:
    base = "<main>{% block content %}{% endblock %}</main>\n"
    (found,) = templates.lost_blocks(facts({"shop/templates/base.html": base}))
    assert found == Finding(
        "shop/templates/shelf.html:5 fills the block “scripts”, which shop/templates/base.html does not have: "
        "nothing of it is shown",
        Place("shop/templates/base.html", 1, base.strip()),
        "Write {% block scripts %}{% endblock %} into shop/templates/base.html again, then verify again.",
    )
    shelf = BEGIN["shop/templates/shelf.html"].replace("block scripts", "block script")
    (found,) = templates.lost_blocks(facts({"shop/templates/shelf.html": shelf}))
    assert (str(found.place), found.next) == (
        "shop/templates/shelf.html:5",
        "Name the block scripts, as shop/templates/base.html does.",
    )
    assert list(templates.lost_blocks(facts())) == []


def test_a_line_behind_a_return_is_never_reached(facts: Make) -> None:
    app = BEGIN["shop/app.py"] + "    ring()\n"
    (found,) = python.unreachable(facts({"shop/app.py": app}))
    assert (str(found.place), found.next) == (
        "shop/app.py:6",
        "Move line 6 of shop/app.py above line 5, then verify again.",
    )


def test_code_that_is_missing_is_inserted_and_a_page_is_not_asked_about_the_server(facts: Make) -> None:
    error = ScriptError(PAGE, "TypeError", "x is not a function", ((SCRIPT, 2),))
    known = facts(todo={"bake": "shop/oven.py:5"}, **seen(error))
    assert find(known, check("bake")) == Finding(
        "the TODO line bake is still at shop/oven.py:5 (if you have typed the code: is the file saved?)",
        None,
        "labkit snippet insert bake",
        "bake",
    )
    known = facts(**seen(error))
    known.homes["bake"] = "shop/oven.py"
    assert find(known, check("bake")) is None
    assert find(known, check()) is not None


def test_the_lab_is_asked_before_the_pages(facts: Make) -> None:
    error = ScriptError(PAGE, "TypeError", "x is not a function", ((SCRIPT, 2),))
    cold = Finding("the oven is cold")
    assert find(facts(**seen(error)), check(), lambda: cold) == cold


def test_a_text_is_parsed_again_where_the_interpreter_has_miscounted(monkeypatch: pytest.MonkeyPatch) -> None:
    parse, faults = ast.parse, [SystemError("AST constructor recursion depth mismatch")]

    def miscounting(text: str) -> ast.Module:
        if faults:
            raise faults.pop()
        return parse(text)

    monkeypatch.setattr(ast, "parse", miscounting)
    assert [type(each) for each in parsed("cups = 1\n").body] == [ast.Assign]
    assert faults == []


def test_a_cause_without_a_line_is_told_with_the_lines_that_the_manual_has_not_so(facts: Make) -> None:
    changes = {
        "shop/app.py": BEGIN["shop/app.py"].replace("bake()", "heat()"),
        "shop/oven.py": BEGIN["shop/oven.py"].replace("        return 200\n", ""),
        "shop/static/shelf.js": BEGIN["shop/static/shelf.js"].replace("'rye'", "'oats'"),
        "shop/notes.txt": "Nothing that runs.",
    }
    known = facts(changes)
    assert differences.told(known, check(), "it is cold") == "it is cold"  # the lab has no end to compare with
    shutil.copytree(known.begin, known.begin.parent / "end")
    assert differences.told(facts(changes), check(), "it is cold") == (
        "it is cold; shop/app.py:5 is not as the manual has it; below shop/oven.py:2 something of the manual's is "
        "missing; shop/static/shelf.js:4 is not as the manual has it\n    5 |     return Oven().heat()"
    )
    assert differences.told(facts(changes, side="page"), check(), "it is cold") == (
        "it is cold; shop/static/shelf.js:4 is not as the manual has it\n    4 | show('oats');"
    )
    assert differences.told(facts(changes, side="page", todo={"a": "shop/static/shelf.js:4"}), check(), "so") == "so"


def test_whoever_has_written_much_in_another_way_is_told_no_lines(facts: Make) -> None:
    shutil.copytree(facts().begin, facts().begin.parent / "end")
    text = "".join(f"{line}\n# mine\n" for line in BEGIN["shop/oven.py"].splitlines())
    assert differences.told(facts({"shop/oven.py": text}), check(), "so") == "so"


def test_an_exception_about_a_class_is_told_with_where_that_is(facts: Make) -> None:
    raised = Raised("LookupError", "Oven is not lit.", Place("shop/app.py", 5, "    return Oven().bake()"))
    assert python.explain(facts(), raised) == Finding(
        "LookupError: Oven is not lit at shop/app.py:5; shop/oven.py:1 defines Oven\n    1 | class Oven:",
        Place("shop/oven.py", 1, "class Oven:"),
        "Mend shop/oven.py:1, save the file and verify again.",
    )


def test_a_script_that_no_page_loads_is_told_with_the_page(facts: Make) -> None:
    line = '<script src="/static/shelf.js"></script>'
    shelf = BEGIN["shop/templates/shelf.html"].replace(f"{line}\n", "")
    assert find(facts({"shop/templates/shelf.html": shelf}), check()) == Finding(
        f"no page loads shop/static/shelf.js any more: shop/templates/shelf.html has no `{line}`",
        Place("shop/templates/shelf.html", 7, "{% endblock %}"),
        f"Write `{line}` into shop/templates/shelf.html again, then verify again.",
    )
    moved = {
        "shop/templates/shelf.html": shelf,
        "shop/templates/base.html": f"{BEGIN['shop/templates/base.html']}{line}\n",
    }
    assert find(facts(moved), check()) is None


def test_quotes_of_a_text_editor_are_told_where_a_script_cannot_be_parsed(facts: Make) -> None:
    error = ScriptError(PAGE, "SyntaxError", "Invalid or unexpected token")
    known = facts(
        {"shop/static/shelf.js": "show(\u201crye\u201d);\n"},
        parse=lambda source: (1, "SyntaxError: Invalid or unexpected token"),
        **seen(error, answers=(Answer(PAGE, "GET", SCRIPT, 200, "script"),)),
    )
    found = find(known, check())
    assert found is not None
    assert found.cause.startswith("shop/static/shelf.js:1: the quotes of this line, \u201c \u201d, are a text editor's")
    assert found.next == "Write straight quotes in shop/static/shelf.js:1, save the file and verify again."


@pytest.mark.parametrize(
    ("text", "cause", "advice"),
    [
        (None, "The file mill.toml is missing", "labkit reset mill.toml"),
        (
            'flour = ["rye", "oats\n]\n',
            "mill.toml:1: mill.toml is no TOML from this line on",
            "Mend mill.toml:1 (the fault may stand a line above it), save the file and verify again.",
        ),
        (
            'flour = ["rye",\n',
            "mill.toml:1: mill.toml is no TOML from this line on",
            "Mend mill.toml:1 (the fault may stand a line above it), save the file and verify again.",
        ),
        (
            'flour = [\n    "rye",\n    \u201coats\u201d,\n]\n',
            "mill.toml:3: the quotes of this line, \u201c \u201d, are a text editor's, which code does not know",
            "Write straight quotes in mill.toml:3, save the file and verify again.",
        ),
        ('flour = ["rye"]\n', "", ""),
    ],
)
def test_a_file_that_a_checks_code_belongs_into_has_to_be_there_and_to_be_read(
    facts: Make, text: str | None, cause: str, advice: str
) -> None:
    known = facts({"mill.toml": text}, snippets={"flour": '"oats",'})
    (known.begin / "mill.toml").write_text('flour = [\n    "rye",\n    # TODO flour: add oats\n]\n', encoding="utf-8")
    found = next(files.homes(known, check("flour")), Finding("", None, ""))
    assert (found.cause[: len(cause) or None], found.next) == (cause, advice)
    assert list(files.homes(known, check())) == []
