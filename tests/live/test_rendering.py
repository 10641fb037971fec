"""A chapter's Markdown becomes HTML whose steps, commands and code a page can make live."""

import json
import re
from html import unescape

import pytest

from labkit.live.rendering import Renderer, action_of

RENDERER = Renderer("/files/tea/")


@pytest.mark.parametrize(
    ("command", "action"),
    [
        ("labkit start tea", {"do": "start", "exercise": "tea"}),
        ("labkit run tea", {"do": "run"}),
        ("labkit run --solution end", None),
        ("labkit snippet insert pour", {"do": "insert", "name": "pour", "value": None}),
        ("labkit snippet insert pour --set black", {"do": "insert", "name": "pour", "value": "black"}),
        ("labkit verify tea --task=2", {"do": "verify", "task": "2"}),
        ("labkit db create cups", {"do": "db-create", "name": "cups"}),
        ("labkit db tables cups public.cup", {"do": "db-tables", "name": "cups", "table": "public.cup"}),
        ("labkit db shell cups", None),
        ("rm -rf /", None),
        ("labkit 'unclosed", None),
    ],
)
def test_a_command_becomes_what_the_page_can_do(command: str, action: dict[str, object] | None) -> None:
    assert action_of(command) == action


def test_steps_have_their_ids_and_lists_within_them_have_none() -> None:
    html = RENDERER.render("## Task\n\n1. Boil\n\n   1. water\n\n2. Pour\n", ["tea.1.1", "tea.1.2"])
    assert re.findall(r'<li data-step="(\S+)" id="(\S+)">', html) == [("tea.1.1", "tea.1.1"), ("tea.1.2", "tea.1.2")]
    assert html.count("<li") == 3


def test_a_console_block_is_commands_with_their_actions() -> None:
    html = RENDERER.render("```console\n$ labkit run tea\n$ ls '<b>'\n```\n")
    assert re.findall(r'data-command="([^"]*)"', html) == ["labkit run tea", "ls &#x27;&lt;b&gt;&#x27;"]
    (action,) = re.findall(r'data-action="([^"]*)"', html)
    assert json.loads(unescape(action)) == {"do": "run"}


def test_new_lines_are_marked_in_their_surroundings() -> None:
    html = RENDERER.render("```diff app.py\n def tea():\n+    cup = 1\n-    # TODO pour\n     return kettle\n```\n")
    assert 'data-path="app.py"' in html
    marked = re.sub(r"</?span[^>]*>", "", html)
    assert "<ins>    cup = 1\n</ins><del>    # TODO pour\n</del>    return kettle\n" in marked


def test_html_in_a_chapter_and_pictures_of_other_machines_stay_text() -> None:
    html = RENDERER.render("<script>alert(1)</script> ![a cup](http://evil.example/cup.png) ![own](images/cup.png)\n")
    assert "<script>" not in html
    assert "evil.example" not in html
    assert '<img src="/files/tea/images/cup.png" alt="own" loading="lazy" decoding="async">' in html
