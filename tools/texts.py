"""Brings the catalogues of messages up to date: `uv run python tools/texts.py es`, for each language that is named.

What is new in the source is added without a translation, what is gone is dropped, and a message that has changed a
little keeps its translation as a guess, marked `fuzzy`, which nobody is shown before a translator has looked at it.
"""

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from labkit import language
from labkit.author import texts
from labkit.author.texts import Message
from labkit.lab import find_lab

ROOT = Path(__file__).parent.parent


def main(languages: list[str]) -> None:
    """Write labkit's catalogue, and the lab's with what its first exercise says."""
    lab = find_lab(ROOT)
    sources = {
        ROOT / "labkit" / "locale" / "{}" / "LC_MESSAGES" / "labkit.po": texts.of_package(ROOT / "labkit"),
        ROOT / "locale" / "{}" / "LC_MESSAGES" / "lab.po": texts.of_exercise(lab.exercises[0]),
    }
    for pattern, messages in sources.items():
        for each in languages:
            path = Path(str(pattern).format(each))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(updated(path, messages, each))
            entries = [entry for entry in read_po(io.BytesIO(path.read_bytes())) if entry.id]
            left = [entry.id for entry in entries if entry.fuzzy or not entry.string]
            sys.stdout.write(f"{path.relative_to(ROOT)}: {len(left)} without a translation\n")


def updated(path: Path, messages: dict[str, list[Message]], name: str) -> bytes:
    """The catalogue of a language with these messages, and the translations that it has already."""
    template = Catalog(project=path.stem, header_comment="# Messages, see labkit/language.py.", fuzzy=False)
    for file, found in messages.items():
        for message in found:
            template.add(message.text, locations=[(file, None)])
    catalogue = Catalog(locale=name, header_comment=template.header_comment, fuzzy=False)
    if path.is_file():
        catalogue = read_po(io.BytesIO(path.read_bytes()), locale=name)
    catalogue.update(template, no_fuzzy_matching=False, update_header_comment=True)
    catalogue.obsolete.clear()
    for entry in catalogue:
        entry.flags.discard("python-format")  # a % in a sentence is a %
        entry.flags.discard("python-brace-format")
    buffer = io.BytesIO()
    write_po(buffer, catalogue, width=120, omit_header=True, sort_output=False)
    return buffer.getvalue()


if __name__ == "__main__":
    if language.chosen():
        sys.exit(f"Unset {language.VARIABLE}: messages are those of the source.")
    main(sys.argv[1:] or ["es"])
