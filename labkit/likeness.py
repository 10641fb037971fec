"""How like two pieces of code are, whatever their formatting, order of imports, quotes, comments and local names.

Code is read as tokens, its names and constants: Python from its syntax tree, everything else by its words and strings.
What is looked for is aligned with what is offered; a name that the code itself gives to something may be another.
"""

import ast
import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

VALUE = "LABKITVALUE"
"""Stands in code that is looked for where any value may stand."""

_SKIPPED = 0.04
"""What a token that nobody looked for costs an alignment: code in between tells that two parts are none of the same."""

_NEAR = 0.7
"""From which similarity on a word counts as another's variant, a slip of the keyboard for example."""


@dataclass(frozen=True)
class Token:
    """A name or a constant of code: `scope` tells what it is in, outermost first: `class Tea`, `function pour`.

    Only Python's tokens know their scope; those of imports have None, for an import may stand anywhere.
    """

    text: str
    is_text: bool
    line: int
    last_line: int
    scope: tuple[str, ...] | None = None
    is_import: bool = False


@dataclass(frozen=True)
class Code:
    """Code as units (statements or lines) of tokens, with the names that it gives to something.

    `exported` are those of them that other code may use, `declared` those that can be given only once: classes,
    functions and constants.
    """

    units: tuple[tuple[Token, ...], ...]
    bound: frozenset[str]
    exported: frozenset[str]
    declared: frozenset[str]

    @property
    def words(self) -> frozenset[str]:
        """The texts of all tokens."""
        return frozenset(token.text for unit in self.units for token in unit)


@dataclass(frozen=True)
class Match:
    """How much of what was looked for is there, from 0 to 1, and on which lines (from 1); `weight` is how much it is.

    `scopes` are those of the tokens found, where they are known.
    """

    score: float
    weight: float
    lines: frozenset[int]
    scopes: frozenset[tuple[str, ...]]


def read(path: str, text: str) -> Code:
    """Read the code of a file; Python that does not parse is read by its words, too."""
    if PurePosixPath(path).suffix == ".py":
        try:
            return _Python(ast.parse(text.removeprefix("\ufeff"))).code()
        except (SyntaxError, ValueError, RecursionError):
            pass
    return _by_words(path, text)


def scope_of(text: str, marker: str) -> tuple[str, ...] | None:
    """The scope of a statement in Python code that is the name `marker`; None if the code does not parse."""
    try:
        code = _Python(ast.parse(text.removeprefix("\ufeff"))).code()
    except (SyntaxError, ValueError, RecursionError):
        return None
    return next((token.scope for unit in code.units for token in unit if token.text == marker), None)


def new(code: Code, base: Code, without: frozenset[int] = frozenset()) -> list[tuple[Token, ...]]:
    """The units that are not the base's, nor on one of these lines."""
    known = Counter(_key(unit) for unit in base.units)
    units = []
    for unit in code.units:
        key = _key(unit)
        if known[key]:
            known[key] -= 1
        elif unit and unit[0].line not in without:
            units.append(unit)
    return units


def match(wanted: Code, offered: Sequence[tuple[Token, ...]], common: Iterable[str], free: Iterable[str]) -> Match:
    """Align what is wanted with the units offered.

    `common` words prove little, because they are there anyway; `free` names may have become others.
    """
    names, everyday = {*free, *wanted.bound}, set(common)
    needles = [token for unit in wanted.units for token in unit]
    hay = [token for unit in offered for token in unit]
    weights = [0.5 if _is_free(t, names) else 0.25 if t.text in everyday else 1.0 for t in needles]
    total = sum(weights)
    if not hay or not total:
        return Match(0.0, total, frozenset(), frozenset())
    pairs = _aligned(needles, weights, hay, names)
    found = sum(weights[i] * _similarity(needles[i], hay[j], names) for i, j in pairs)
    proves = any(weights[i] == 1 or (weights[i] > 0.25 and needles[i].text == hay[j].text) for i, j in pairs)
    if 1.0 in weights and not proves:
        found = 0.0
    lines = frozenset(line for _, j in pairs for line in range(hay[j].line, hay[j].last_line + 1))
    scopes = frozenset(scope for _, j in pairs if (scope := hay[j].scope) is not None)
    return Match(found / total, total, lines, scopes)


def _aligned(
    needles: Sequence[Token], weights: Sequence[float], hay: Sequence[Token], names: set[str]
) -> list[tuple[int, int]]:
    """The best local alignment, as pairs of positions: what is wanted may be left out, what is skipped costs."""
    width = len(hay) + 1
    best, end = 0.0, (0, 0)
    rows = [[0.0] * width]
    steps = [bytearray(width)]  # 1: aligned, 2: a needle left out, 3: a token skipped
    for i, needle in enumerate(needles, start=1):
        above, row, step = rows[-1], [0.0] * width, bytearray(width)
        for j, token in enumerate(hay, start=1):
            alike = _similarity(needle, token, names)
            options = (
                (above[j - 1] + weights[i - 1] * alike if alike else 0.0, 1),
                (above[j], 2),
                (row[j - 1] - _SKIPPED, 3),
            )
            value, kind = max(options, key=lambda option: option[0])
            if value > 0:
                row[j], step[j] = value, kind
            if value > best:
                best, end = value, (i, j)
        rows.append(row)
        steps.append(step)
    pairs = []
    i, j = end
    while i and j and steps[i][j]:
        if steps[i][j] == 1:
            pairs.append((i - 1, j - 1))
        i, j = (i - (steps[i][j] != 3)), (j - (steps[i][j] != 2))
    return pairs[::-1]


def _similarity(wanted: Token, offered: Token, names: set[str]) -> float:
    if wanted.is_text != offered.is_text:
        return 0.0
    if (wanted.is_import and offered.scope is not None) or (offered.is_import and not wanted.is_import):
        return 0.0
    if wanted.text == offered.text:
        return 1.0
    if VALUE in wanted.text:
        pattern = re.sub(rf"{VALUE}\d", ".+", re.escape(wanted.text))
        return 1.0 if re.fullmatch(pattern, offered.text) else 0.0
    near = _near(wanted.text, offered.text)
    return max(near, 0.9) if _is_free(wanted, names) and offered.text.isidentifier() else near


@lru_cache(maxsize=20_000)
def _near(one: str, other: str) -> float:
    if one.lower() == other.lower():
        return 0.95
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    if matcher.real_quick_ratio() < _NEAR or matcher.quick_ratio() < _NEAR:
        return 0.0
    ratio = matcher.ratio()
    return ratio if ratio >= _NEAR else 0.0


def _is_free(token: Token, names: set[str]) -> bool:
    return not token.is_text and token.text in names


def _key(unit: Sequence[Token]) -> tuple[str, ...]:
    return tuple(token.text for token in unit)


class _Python:
    """Reads the units of a syntax tree."""

    def __init__(self, module: ast.Module) -> None:
        self._units: list[tuple[Token, ...]] = []
        self._imported: list[tuple[Token, ...]] = []
        self._bound: set[str] = set()
        self._exported: set[str] = set()
        self._declared: set[str] = set()
        self._body(module.body, ())

    def code(self) -> Code:
        """All units, imports first and sorted: it does not matter which line imports a name."""
        units = (*sorted(self._imported, key=_key), *self._units)
        return Code(units, frozenset(self._bound), frozenset(self._exported), frozenset(self._declared))

    def _body(self, body: Sequence[ast.stmt], scope: tuple[str, ...]) -> None:
        for statement in body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                continue  # a docstring, or an ellipsis
            if isinstance(statement, ast.Import | ast.ImportFrom):
                self._imports(statement)
                continue
            self._add(list(self._tokens(statement, scope)))
            inner = scope
            if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                self._bind(statement.name, scope)
                self._declared.add(statement.name)
                kind = "class" if isinstance(statement, ast.ClassDef) else "function"
                inner = (*scope, f"{kind} {statement.name}")
            for name in ("body", "orelse", "finalbody"):
                self._body(getattr(statement, name, []), inner)
            for handler in [*getattr(statement, "handlers", []), *getattr(statement, "cases", [])]:
                self._body(handler.body, inner)

    def _imports(self, statement: ast.Import | ast.ImportFrom) -> None:
        """Each name is a unit of its own."""
        module = statement.module or "" if isinstance(statement, ast.ImportFrom) else ""
        for alias in statement.names:
            words = [*module.split("."), *alias.name.split("."), alias.asname or ""]
            last = alias.end_lineno or alias.lineno
            self._imported.append(
                tuple(Token(word, False, alias.lineno, last, is_import=True) for word in words if word)
            )

    def _bind(self, name: str, scope: tuple[str, ...]) -> None:
        self._bound.add(name)
        if not scope:
            self._exported.add(name)

    def _add(self, tokens: list[Token]) -> None:
        if tokens:
            self._units.append(tuple(tokens))

    def _tokens(self, node: ast.AST, scope: tuple[str, ...]) -> Iterator[Token]:
        """The names and constants of a statement without those of the statements in it, annotations left out."""
        line = getattr(node, "lineno", 0)
        last = line if isinstance(node, ast.stmt) else getattr(node, "end_lineno", line)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                yield from self._tokens(decorator, scope)
            yield Token(node.name, False, line, line, scope)
        for field, value in ast.iter_fields(node):
            if field in ("body", "orelse", "finalbody", "handlers", "cases") and not isinstance(value, ast.expr):
                continue
            if field in ("annotation", "returns", "type_comment", "decorator_list", "ctx", "type_params"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from self._tokens(child, scope)
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                self._bind(node.id, scope)
            yield Token(node.id, False, line, last, scope)
        elif isinstance(node, ast.arg):
            self._bind(node.arg, (*scope, "argument"))
            yield Token(node.arg, False, line, last, scope)
        elif isinstance(node, ast.Attribute):
            yield Token(node.attr, False, node.end_lineno or line, last, scope)
        elif isinstance(node, ast.keyword) and node.arg:
            yield Token(node.arg, False, line, last, scope)
        elif isinstance(node, ast.Constant) and node.value is not None:
            is_text = isinstance(node.value, str | bytes)
            # A text with names in braces is read as the f-string that it was perhaps meant to be.
            for part in re.split(r"\{([\w.]+)\}", node.value) if isinstance(node.value, str) else [str(node.value)]:
                if is_text and f"{{{part}}}" in str(node.value):
                    yield from (Token(word, False, line, last, scope) for word in part.split("."))
                elif part:
                    yield Token(part, is_text, line, last, scope)


_SCRIPT = r"//[^\n]*|/\*.*?\*/"
_MARKUP = r"<!--.*?-->|\{\#.*?\#\}"
_HASH = r"\#[^\n]*"
_COMMENTS = {
    **dict.fromkeys((".py", ".toml", ".yml", ".yaml", ".sh", ".cfg", ".ini", ".txt", ".rb"), _HASH),
    **dict.fromkeys((".html", ".htm", ".xml", ".svg", ".md", ".jinja", ".j2", ".vue"), _MARKUP),
    ".sql": r"--[^\n]*|/\*.*?\*/",
}
_STRING = r""""(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`"""
_WORD = r"[\w$]+(?:-[\w$]+)*"
_DECLARED = re.compile(r"\b(?:const|let|class|function)\s+([\w$]+)")
_BOUND = re.compile(r"\bvar\s+([\w$]+)|([\w$]+)\s*=>|\(([\w$\s,]*)\)\s*(?:=>|\{)")


def _by_words(path: str, text: str) -> Code:
    """The words and strings of code in any language, line by line, comments left out."""
    comment = _COMMENTS.get(PurePosixPath(path).suffix, _SCRIPT)
    pattern = re.compile(f"(?P<string>{_STRING})|(?P<comment>{comment})|(?P<word>{_WORD})", re.DOTALL)
    lines: dict[int, list[Token]] = {}
    bare = []
    end, number = 0, 1
    for found in pattern.finditer(text):
        between = text[end : found.start()]
        bare.append(between)
        number += between.count("\n")
        end = found.end()
        if found["comment"]:
            number += found[0].count("\n")
            continue
        string = found["string"]
        word = string[1:-1] if string else found["word"]
        bare.append(" " if string else word)
        last = number + found[0].count("\n")
        lines.setdefault(number, []).append(Token(word, string is not None, number, last))
        number = last
    code = "".join(bare)
    declared = frozenset(_DECLARED.findall(code))
    bound = {name for groups in _BOUND.findall(code) for part in groups for name in re.findall(r"[\w$]+", part)}
    return Code(tuple(map(tuple, lines.values())), declared | bound, declared, declared)
