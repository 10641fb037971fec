"""What anybody may have written is shown without doing anything."""

import pytest

from labkit.harmless import harmless, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode\twith tab\nand line\r\n", "plain ünïcode\twith tab\nand line\n"),
        ("\x1b[31mred\x1b[0m \x1b[2J\x1b[Hcleared", "red cleared"),
        ("\x1b]0;a title\x07left", "left"),
        ("\x1b]52;c;Y2xpcA==\x1b\\left", "left"),
        ("\x1b]0;never ended\nnext line", "\nnext line"),
        ("\x1bPdevice\x1b\\left \x1b_app\x1b\\", "left "),
        ("\x9b31mred \x9d0;title\x9c.", "red ."),
        ("\x1bcreset \x1b(Bset", "reset set"),
        ("a\rb\x00c\x07\x08", "a⟨U+000D⟩b⟨U+0000⟩c⟨U+0007⟩⟨U+0008⟩"),
        ("right\u202eleft\u2066", "right⟨U+202E⟩left⟨U+2066⟩"),
        ("half \ud800", "half ⟨U+D800⟩"),
    ],
)
def test_text_neither_steers_a_terminal_nor_hides_anything(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_long_text_is_cut_with_the_count_of_the_rest() -> None:
    assert (shortened("abc", 3), shortened("abcd" * 1000, 4)) == ("abc", "abcd… (3,996 more characters)")
