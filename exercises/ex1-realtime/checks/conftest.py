"""The checks' fixtures are in `scenes`, and in `quiz_pages` beside the exercises."""

pytest_plugins = ["quiz_pages", "scenes"]
