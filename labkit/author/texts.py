"""What is said, found in the source: the messages of modules, for translators.

A message is a string, or an f-string, that reads as words. Of an f-string the fields become placeholders, `{name}`; a
choice between two texts within it (`{"it" if one else "them"}`) makes two messages, so that a translator sees both as
whole sentences.
"""

import ast
import itertools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit import prose
from labkit.lab import Exercise

_MOST = 16
"""How many messages one expression may make, by its choices; of one that makes more, the choices are placeholders."""

_QUIET_CALLS = {
    *("compile", "search", "match", "fullmatch", "sub", "split", "findall", "finditer", "escape_pattern"),
    *("startswith", "endswith", "removeprefix", "removesuffix", "replace", "strip", "rstrip", "lstrip", "partition"),
    *("rpartition", "encode", "decode", "get", "pop", "getattr", "setattr", "hasattr", "which", "getenv", "setdefault"),
    *("TypeVar", "Literal", "NewType", "mktemp", "query", "execute", "Popen", "import_module", "count", "index"),
    *("query_selector", "evaluate", "evaluate_all", "add_init_script", "locator", "wait_for_function", "write_text"),
    *("print_json", "namedtuple", "frozenset", "command", "Typer", "add_typer", "isinstance", "assert_"),
}
"""Calls whose arguments nobody reads."""

_QUIET_KEYWORDS = {
    *("encoding", "errors", "metavar", "style", "title_style", "header_style", "name", "prefix", "suffix", "rename"),
    *("mode", "overflow", "justify", "format", "rich_markup_mode", "prog_name", "title_justify", "key", "dir"),
}

FOLDERS_LEFT = {"author", "classroom", "grading", "live", "report", "sandbox", "templates", "_lab"}
MODULES_LEFT = {
    *("bootstrap", "changes", "checking", "companions", "content", "form", "likeness", "merging", "recording"),
    *("scaffold", "stacks", "texts", "wire", "workflows"),
    *("class_command", "grade", "grade_screen", "new"),
    *("browsing", "job", "warm", "worker"),
    *("nats", "redis"),
}
"""Folders and modules whose messages are not translated yet (those for authors and instructors), or that show none."""

_HELP = re.compile(r"\.(?:command|callback)$")


@dataclass(frozen=True)
class Message:
    """Words that are shown: `is_template` if they have placeholders, `line` is where they are, from 1."""

    text: str
    line: int
    is_template: bool


def of_package(folder: Path) -> dict[str, list[Message]]:
    """The messages of labkit's own modules, by their paths, without those that are left."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).parts
        if path.stem in MODULES_LEFT or "author" in parts or (len(parts) > 1 and parts[0] in FOLDERS_LEFT):
            continue
        if messages := of_module(path):
            found[path.relative_to(folder).as_posix()] = messages
    return found


def of_exercise(exercise: Exercise) -> dict[str, list[Message]]:
    """What an exercise says, by its files: the chapter's passages, the hints, and the checks with their modules."""
    lab, page = exercise.folder.parent.parent, exercise.folder / "README.md"
    source = page.read_text(encoding="utf-8")
    title = tomllib.loads((lab / "lab.toml").read_text(encoding="utf-8"))["title"]
    found = {
        lab / "lab.toml": [Message(title, 1, False)],
        page: [Message(each.text, each.first + 1, False) for each in prose.passages(source)],
    }
    if (path := exercise.folder / "hints.toml").is_file():
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        found[path] = [Message(text, 1, False) for hint in table.values() for text in hint.values()]
    if exercise.measurement:
        titles = [Message(each.title, 1, False) for each in exercise.measurement.kinds]
        found[exercise.folder / "exercise.toml"] = titles
    for path in [*sorted(exercise.checks.glob("*.py")), *sorted(exercise.folder.parent.glob("*.py"))]:
        titles = [
            Message((ast.get_docstring(node) or "").split("\n")[0], node.lineno, False)
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
        found[path] = [*titles, *of_module(path)]
    return {path.relative_to(lab).as_posix(): messages for path, messages in found.items() if messages}


def of_module(path: Path) -> list[Message]:
    """The messages of a Python module, in their order."""
    return of_source(path.read_text(encoding="utf-8"))


def of_source(source: str) -> list[Message]:
    """The messages of Python source, in their order, each once."""
    found: dict[str, Message] = {}
    for message in _Finder().find(ast.parse(source)):
        found.setdefault(message.text, message)
    return list(found.values())


class _Finder:
    def __init__(self) -> None:
        self._found: list[Message] = []

    def find(self, tree: ast.AST) -> list[Message]:
        self._visit(tree)
        return self._found

    def _visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            self._definition(node)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # says something to who reads the source
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, ast.Dict):
            for value in node.values:
                self._visit(value)
            for key in node.keys:
                is_heading = isinstance(key, ast.Constant) and re.fullmatch(r"[A-Z][a-z]+ [a-z]+", str(key.value))
                if key is not None and (is_heading or not isinstance(key, ast.Constant)):
                    self._visit(key)
        elif isinstance(node, ast.Subscript):
            self._visit(node.value)
            if not isinstance(node.slice, ast.Constant):
                self._visit(node.slice)
        elif isinstance(node, ast.Compare | ast.AnnAssign | ast.Assign):
            self._parts(node)
        elif isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp | ast.IfExp) and _is_text(node):
            self._text(node)
        else:
            for child in ast.iter_child_nodes(node):
                self._visit(child)

    def _definition(self, node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        decorators = getattr(node, "decorator_list", [])
        if any(_HELP.search(ast.unparse(each.func if isinstance(each, ast.Call) else each)) for each in decorators):
            for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
                self._add(" ".join(paragraph.split()), node.body[0].lineno, False)
        if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "StrEnum" for base in node.bases):
            for value in (each.value for each in node.body if isinstance(each, ast.Assign)):
                if isinstance(value, ast.Constant):  # the words that stand for its members are shown
                    self._found.append(Message(str(value.value), value.lineno, False))
            return
        for each in decorators:
            self._visit(each)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            for annotated in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                if annotated.annotation is not None and "typer." in ast.unparse(annotated.annotation):
                    self._visit(annotated.annotation)
        for child in node.body:
            self._visit(child)

    def _parts(self, node: ast.Compare | ast.AnnAssign | ast.Assign) -> None:
        if isinstance(node, ast.Compare):  # what it compares with is a name for the program
            for each in (node.left, *node.comparators):
                if not isinstance(each, ast.Constant | ast.Tuple | ast.Set | ast.List):
                    self._visit(each)
            return
        if node.value is not None:
            self._visit(node.value)

    def _call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        self._visit(node.func)
        if name in ("marked", "unknown"):  # the noun of what is unknown
            for each in ast.walk(node) if name == "marked" else node.args[:1]:
                if isinstance(each, ast.Constant):
                    self._found.append(Message(str(each.value), each.lineno, False))
        if name == "marked":
            return
        for argument in node.args:
            if name not in _QUIET_CALLS or not isinstance(argument, ast.Constant | ast.JoinedStr):
                self._visit(argument)
        for keyword in node.keywords:
            if keyword.arg not in _QUIET_KEYWORDS:
                self._visit(keyword.value)

    def _text(self, node: ast.expr) -> None:
        line = node.lineno
        parts = [(part, is_template) for text, is_template in _variants(node) for part in _paragraphs(text)]
        if any(reads(part) for part, _ in parts):  # of a choice each is shown: “Updated” or “Would update”
            self._found += [
                Message(part, line, is_template and "{" in part)
                for part, is_template in parts
                if reads(part) or re.search(r"[A-Za-z]{3,}", re.sub(r"\{\w*\}", "", part))
            ]
        for field in _fields(node):
            self._visit(field)

    def _add(self, text: str, line: int, is_template: bool) -> None:
        if reads(text):
            self._found.append(Message(text, line, is_template))


_CODE = re.compile(
    r"^\s*(?:SELECT|CREATE|WITH|LISTEN|ctid|encode|def|import|from|sudo|winget|REVOKE|-c) "
    r"|UNION ALL|CASE WHEN|Wheel-Version: |^of_table\.|^[a-z]+\.?\{\w+\}$"
    r"|[<>]/?[a-z]+[ >/]|\\[dwsb(]|[a-z]\(\)?;|=>|^--\w|^[a-z-]+/[a-z.+*-]+$|\bfunction\s*\(|%Y-%m"
    r"|^\{sys_executable\} -m|^uv [a-z]|\.app/|^bold \w+$|^db \w+$"
    r"|^(?:Windows NT|Macintosh|Mozilla)|Application Support"
)


def reads(text: str) -> bool:
    """Whether a text reads as words: what is a command, a pattern, code or a name only is not translated."""
    words = re.sub(r"\{\w*\}|\[/?[a-z ]*\]", " ", text)
    if not re.search(r"[A-Za-z]{2,}", words) or _CODE.search(text):
        return False
    if re.match(r"\s*labkit [a-z]", words) and not re.search(r"   (?:\(|or )|[.,;:] |\w+ \w+ \w+ \w+ \w+ \w+", words):
        return False
    if re.search(r"[A-Za-z][\w'.-]*[,:;]? +[“(]?[A-Za-z]\w", words):
        return True
    if "{" in text and re.match(r"[A-Z][a-z]{3,} ", words):
        return True
    if re.search(r"(?:^|\}), [a-z]{3,} |\[[A-Z][a-z]+: ", text):
        return True
    return bool(re.search(r"[a-z]{3,}(?:[:.!?]| …)\s*$|^ ?[a-z]{2,} $|^ [a-z]{2,}$", words))


def _paragraphs(text: str) -> list[str]:
    """A long text, the help of a group of commands for example, is translated paragraph by paragraph."""
    return text.split("\n\n") if "{" not in text and not text.startswith("\n") else [text]


def _is_text(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add) and (_is_text(node.left) or _is_text(node.right))
    return isinstance(node, ast.IfExp) and (_is_text(node.body) or _is_text(node.orelse))


def _variants(node: ast.expr) -> list[tuple[str, bool]]:
    """Each text that the expression may be, with whether it has placeholders."""
    if isinstance(node, ast.Constant):
        return [(str(node.value), False)]
    found = []
    for text in _spelled(node, {}, choose=True) or _spelled(node, {}, choose=False):
        is_template = bool(re.search(r"(?<!\{)\{\w", text.replace("{{", "")))
        found.append((text if is_template else text.replace("{{", "{").replace("}}", "}"), is_template))
    return found


def _spelled(node: ast.expr, names: dict[str, str], choose: bool) -> list[str]:
    """The expression's texts, with placeholders; none if its choices would make too many."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value.replace("{", "{{").replace("}", "}}")]
    if isinstance(node, ast.FormattedValue):
        if isinstance(node.value, ast.IfExp) and _is_text(node.value) and choose:
            return _spelled(node.value, names, choose)
        return [_placeholder(node.value, names)]
    if isinstance(node, ast.JoinedStr):
        parts = [_spelled(each, names, choose) for each in node.values]
    elif isinstance(node, ast.BinOp) and _is_text(node):
        parts = [_spelled(node.left, names, choose), _spelled(node.right, names, choose)]
    elif isinstance(node, ast.IfExp) and _is_text(node):
        return [*_spelled(node.body, names, choose), *_spelled(node.orelse, names, choose)]
    else:
        return [_placeholder(node, names)]
    texts = ["".join(each) for each in itertools.islice(itertools.product(*parts), _MOST + 1)]
    return texts if len(texts) <= _MOST or not choose else []


def _placeholder(node: ast.expr, names: dict[str, str]) -> str:
    source = ast.unparse(node)
    if source not in names:
        base = re.sub(r"\W", "", _name(node)).strip("_") or "value"
        taken = set(names.values())
        names[source] = next(
            each for n in itertools.count(1) if (each := base if n == 1 else f"{base}{n}") not in taken
        )
    return f"{{{names[source]}}}"


def _name(node: ast.expr) -> str:
    """The word for a field that tells a translator most."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{node.value.id}_{node.attr}" if isinstance(node.value, ast.Name) else node.attr
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called == "len":
            return "count"
        return _name(node.args[-1]) if node.args else called
    if isinstance(node, ast.BoolOp):
        return _name(node.values[0])
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    return "value"


def _fields(node: ast.expr) -> Iterator[ast.expr]:
    """What stands in the fields of a text: it may have texts of its own."""
    if isinstance(node, ast.FormattedValue):
        if isinstance(node.value, ast.IfExp) and _is_text(node.value):
            yield from _fields(node.value)
        else:
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        for each in node.values:
            yield from _fields(each)
    elif isinstance(node, ast.BinOp) and _is_text(node):
        yield from _fields(node.left)
        yield from _fields(node.right)
    elif isinstance(node, ast.IfExp) and _is_text(node):
        yield node.test
        yield from _fields(node.body)
        yield from _fields(node.orelse)
    elif not isinstance(node, ast.Constant):
        yield node
