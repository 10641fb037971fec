"""The map of the library is true: it names every module, and what it says of the floors holds."""

import ast
import re
from pathlib import Path

LIBRARY = Path(__file__).parent.parent
PACKAGE = LIBRARY / "src" / "asgi_signalr"
MAP = (LIBRARY / "docs" / "inside.md").read_text(encoding="utf-8")
MODULES = {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")}
AT_THE_ROOT_AT_MOST = 20


def rooms() -> dict[str, int]:
    """Read the table of the floors: a room's floor, by its name."""
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", MAP, re.MULTILINE)
    return {room: int(floor) for floor, names in rows for room in re.findall(r"`([^`]+)`", names)}


def named() -> set[str]:
    """List the modules that the map names, as `hubs/calls`."""
    found = set()
    for folder, text in re.findall(r"^### (\w+)/\n(.*?)(?=^### |\Z)", MAP, re.MULTILINE | re.DOTALL):
        prefix = "" if folder == "asgi_signalr" else f"{folder}/"
        found |= {prefix + name for name in re.findall(r"^- `(\w+)`: ", text, re.MULTILINE)}
    return found


def imports(module: str) -> set[str]:
    """List the modules of the library that a module imports, for types only as well."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "asgi_signalr":
            path = "/".join((node.module or "").split(".")[1:])
            for name in node.names:
                inner = f"{path}/{name.name}".lstrip("/")
                candidates = (inner, f"{inner}/__init__", path, f"{path}/__init__".lstrip("/"))
                found.add(next(each for each in candidates if each in MODULES))
    return found - {module}


def room_of(module: str) -> str:
    folder, slash, _ = module.partition("/")
    return folder + slash


def test_the_map_names_every_module_and_no_other() -> None:
    docstrings_only = {f"{folder}/__init__" for folder in ("connections", "endpoints", "scaleout")}
    assert named() == MODULES.keys() - docstrings_only


def test_every_room_has_its_floor() -> None:
    assert set(rooms()) == {room_of(module) for module in MODULES}


def test_no_room_imports_one_that_stands_above_it() -> None:
    floors = rooms()
    assert [
        f"{module} imports {imported}"
        for module in sorted(MODULES)
        for imported in sorted(imports(module))
        if floors[room_of(imported)] > floors[room_of(module)]
    ] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    left = {module: imports(module) for module in MODULES}
    while free := [module for module, imported in left.items() if not imported & left.keys()]:
        for module in free:
            del left[module]
    assert left == {}


def test_few_modules_stand_at_the_root() -> None:
    assert len([module for module in MODULES if "/" not in module]) <= AT_THE_ROOT_AT_MOST
