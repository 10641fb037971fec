"""A chapter's Markdown becomes HTML whose steps, commands and code a page can make live."""

import json
import re
from html import unescape

import pytest

from labkit.live.rendering import Renderer, action_of

RENDERER = Renderer("exercises/tea", {"docs/leaves.md": "page-leaves"})


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


def test_of_html_only_keys_are_let_through_and_no_picture_of_another_machine() -> None:
    html = RENDERER.render(
        "Press <script>alert(1)</script> <kbd>Ctrl-C</kbd> <img src=x onerror=alert(1)> ![a cup](http://evil.example/cup.png)\n\n"
        "<iframe src='http://evil.example'></iframe>\n\n<!-- a remark -->\n"
    )
    assert html == (
        "<p>Press &lt;script&gt;alert(1)&lt;/script&gt; <kbd>Ctrl-C</kbd> &lt;img src=x onerror=alert(1)&gt; "
        "<em>a cup</em></p>\n&lt;iframe src=&#x27;http://evil.example&#x27;&gt;&lt;/iframe&gt;\n"
    )


def test_pictures_and_links_are_found_from_the_page_that_has_them() -> None:
    html = RENDERER.render("![own](pictures/a%20cup.webp) [leaves](../../docs/leaves.md#black) [app](begin/app.py)\n")
    assert html == (
        '<p><img src="/files/exercises/tea/pictures/a cup.webp" alt="own" loading="lazy" decoding="async"> '
        '<a href="#page-leaves" data-page="page-leaves">leaves</a> <a>app</a></p>\n'
    )
