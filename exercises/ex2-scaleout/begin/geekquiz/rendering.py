"""Turns the templates into pages."""

from pathlib import Path

from fastapi.templating import Jinja2Templates

FOLDER = Path(__file__).parent

templates = Jinja2Templates(directory=FOLDER / "templates")
