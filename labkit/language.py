"""What labkit says, in the reader's language: `LABKIT_LANG=es` asks for Spanish.

Messages are written in English where they arise, as plain strings and f-strings, and are translated where they are
shown. A catalogue (gettext's, a `.po` file) has an f-string as a template, `Inserted {snippet} into {place}.`: what is
shown is compared with the templates, and what stands in their fields is translated in turn. So no module but those
that show something knows of languages; and what programs read, JSON, ids and code, stays as it is. A page, its
template or its script, says `t("Inserted {snippet}.", …)`: that is `said`.

labkit's own catalogue is `labkit/locale/LANGUAGE/LC_MESSAGES/labkit.po`; a lab's, with its checks, hints and chapters,
is `locale/LANGUAGE/LC_MESSAGES/lab.po` in its folder.
"""

import ast
import functools
import gettext
import itertools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VARIABLE = "LABKIT_LANG"

_HERE = Path(__file__).parent / "locale"
_MARKUP = re.compile(r"\[/?[a-z][a-z ]*(?:\{style\})?\]|\[\{style\}\]|\[/\]")
_SAID = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)+)"')
_FIELD = re.compile(r"\{\{|\}\}|\{(\w*)\}")
_DEPTH = 12


def chosen() -> str | None:
    """The language that is asked for, `es` of `es_ES.UTF-8`; None for English, in which everything is written."""
    language = re.split(r"[_.@-]", os.environ.get(VARIABLE, ""))[0].lower()
    return language if language not in ("", "en", "c") else None


def marked(*words: str) -> tuple[str, ...]:
    """Mark words for translators which do not read as a message by themselves; they stay as they are."""
    return words


def translated(text: str) -> str:
    """A message in the language that is asked for; as it is, if there is no translation of it."""
    catalogue = _catalogue(chosen(), tuple(_used))
    return (catalogue.find(text) or text) if catalogue else text


def said(text: str, **fields: object) -> str:
    """A message of a page, `{passed} of {total} passed`, in the language that is asked for, with its fields filled."""
    return _FIELD.sub(lambda match: str(fields.get(match[1] or "", match[0])), translated(text))


def of_page(source: str) -> dict[str, int]:
    """The messages of a page, its template or its script, `t("…")`, each with the number of its line, from 1."""
    found: dict[str, int] = {}
    for match in _SAID.finditer(source):
        found.setdefault(str(json.loads(f'"{match[1]}"')), source.count("\n", 0, match.start()) + 1)
    return found


def use_lab(folder: Path) -> None:
    """Take the messages of a lab's own catalogue, too, from now on."""
    if folder not in _used:
        _used.append(folder)


def of_lab(folder: Path, text: str) -> str:
    """A passage of a lab's own texts: of its chapter, its hints or its checks."""
    catalogue = _catalogue(chosen(), (folder,))
    return (catalogue.exactly(text) or text) if catalogue else text


_used: list[Path] = []


@functools.cache
def _catalogue(language: str | None, labs: tuple[Path, ...]) -> "Catalogue | None":
    if language is None:
        return None
    files = [_HERE / language / "LC_MESSAGES" / "labkit.po"]
    files += [lab / "locale" / language / "LC_MESSAGES" / "lab.po" for lab in labs]
    messages: dict[str, str] = {}
    for path in files:
        if path.is_file():
            with path.open("rb") as file:
                messages |= Messages(file).all
    return Catalogue(messages) if messages else None


class Messages(gettext.NullTranslations):
    """gettext's translations, read from a `.po` file itself: nothing has to be compiled after a change."""

    def __init__(self, file: Any = None) -> None:
        self.all: dict[str, str] = {}
        super().__init__(file)

    def _parse(self, fp: Any) -> None:
        parts: dict[str, str] = {}
        part, fuzzy = "", False
        for line in [*fp.read().decode("utf-8").splitlines(), ""]:
            line = line.strip()
            if not line:
                self._keep(parts, fuzzy)
                parts, part, fuzzy = {}, "", False
            elif line.startswith("#"):
                fuzzy |= line.startswith("#,") and "fuzzy" in line
            else:
                if not line.startswith('"'):
                    part, _, line = line.partition(" ")
                parts[part] = parts.get(part, "") + ast.literal_eval(line)

    def _keep(self, parts: Mapping[str, str], fuzzy: bool) -> None:
        source, target = parts.get("msgid"), parts.get("msgstr")
        if source and target and not fuzzy:
            self.all[source] = target


class Catalogue:
    """Translations of messages as they are shown, with their fields filled in."""

    def __init__(self, messages: Mapping[str, str]) -> None:
        bare = {_bare(source): _bare(target) for source, target in messages.items() if _bare(source)}
        # As they stand before and behind other sentences, whose field may have taken their full stop.
        alone = {source.strip(): target.strip() for source, target in messages.items()}
        alone |= {source[:-1]: target[:-1] for source, target in alone.items() if source[-1:] == target[-1:] == "."}
        self._exact = {**alone, **bare, **messages}
        templates = {source: target for source, target in self._exact.items() if _fields(source)}
        # What says most is compared first: it fits fewer texts.
        self._templates = [_Template(*each) for each in sorted(templates.items(), key=lambda each: -_weight(each[0]))]
        self._found: dict[str, str | None] = {}

    def exactly(self, text: str) -> str | None:
        """The translation of this very text."""
        return self._exact.get(text)

    def find(self, text: str, depth: int = 0) -> str | None:
        """The translation of a text: as a whole, else of what stands inside of its markup, its lines or sentences."""
        if text not in self._found:
            self._found[text] = self._whole(text, depth) or self._parts(text, depth)
        return self._found[text]

    def _whole(self, text: str, depth: int) -> str | None:
        if not any(letter.isalpha() for letter in text) or depth > _DEPTH:
            return None
        if (exact := self._exact.get(text)) is not None:
            return exact
        if (exact := self._exact.get(inside := text.strip())) is not None:
            return text.replace(inside, exact)
        for template in self._templates:
            if (fields := template.match(text)) is not None:
                return template.fill({name: self.find(value, depth + 1) or value for name, value in fields.items()})
        return None

    def _parts(self, text: str, depth: int) -> str | None:
        if depth > _DEPTH:
            return None
        for cut in _CUTS:
            pieces = cut.split(text)
            if len(pieces) > 1:
                turned = [self.find(piece, depth + 1) if piece.strip() else None for piece in pieces]
                if any(turned):
                    return "".join(new or piece for new, piece in zip(turned, pieces, strict=True))
        return None


_CUTS = tuple(
    map(
        re.compile,
        (
            r"^((?:\[/?[a-z ]*\]|\s)+)",  # markup and space before the words,
            r"((?:\[/?[a-z ]*\]|\s)+)$",  # and behind them
            r"(\n+)",
            r"((?<=[.!?])\s+)",
            r"((?<=[:;])\s+)",
            r"(  +)",
            r"(\[/?[a-z ]*\])",
        ),
    )
)
"""Where a text that is no message as a whole falls into messages."""


class _Template:
    """A message with fields."""

    def __init__(self, source: str, target: str) -> None:
        self._source, self._target = source, target
        self._longest = max((_unescaped(part) for part in _literals(source)), key=len)

    def match(self, text: str) -> dict[str, str] | None:
        """What stands in its fields, if the text is this message."""
        if self._longest not in text:
            return None
        found = self._pattern.fullmatch(text)
        return found.groupdict() if found else None

    def fill(self, fields: Mapping[str, str]) -> str:
        """The translation, with these in its fields."""
        positions = itertools.count(1)

        def filled(match: re.Match[str]) -> str:
            if match[1] is None:
                return match[0][:1]
            return fields.get(match[1] or f"_{next(positions)}", match[0])

        return _FIELD.sub(filled, self._target)

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        pattern, end, seen = "", 0, set()
        positions = itertools.count(1)  # of fields without a name, `{}`
        for match in _FIELD.finditer(self._source):
            pattern += re.escape(self._source[end : match.start()])
            if match[1] is None:
                pattern += re.escape(match[0][:1])
            else:
                name = match[1] or f"_{next(positions)}"
                pattern += f"(?P={name})" if name in seen else f"(?P<{name}>.*?)"
                seen.add(name)
            end = match.end()
        return re.compile(pattern + re.escape(self._source[end:]), re.DOTALL)


def _bare(text: str) -> str:
    """A text without the markup of the terminal."""
    return _MARKUP.sub("", text)


def _fields(text: str) -> list[str]:
    return [match[0] for match in _FIELD.finditer(text) if match[1] is not None]


def _literals(text: str) -> list[str]:
    """What a message says between its fields."""
    found, end = [], 0
    for match in _FIELD.finditer(text):
        if match[1] is not None:
            found.append(text[end : match.start()])
            end = match.end()
    return [*found, text[end:]]


def _unescaped(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")


def _weight(text: str) -> int:
    return len(_bare(_FIELD.sub("", text)))
