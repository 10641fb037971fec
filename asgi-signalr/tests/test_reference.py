"""The API reference can be built from the docstrings, without a warning, and holds every public name."""

import importlib.util
from pathlib import Path

import asgi_signalr
import asgi_signalr.testing
import pytest

TOOL = Path(__file__).parent.parent / "tools" / "build_reference.py"


@pytest.mark.slow
def test_it_is_built_without_a_warning_and_is_complete(tmp_path: Path) -> None:
    pytest.importorskip("pdoc")
    spec = importlib.util.spec_from_file_location("build_reference", TOOL)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.build(tmp_path)
    for page, names in (("", asgi_signalr.__all__), ("/testing", asgi_signalr.testing.__all__)):
        html = (tmp_path / f"asgi_signalr{page}.html").read_text(encoding="utf-8")
        assert [name for name in names if f'id="{name}"' not in html] == []
    assert (tmp_path / "index.html").exists()
