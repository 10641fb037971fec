"""The checks' fixtures are in `scenes`, and in `quiz_pages` beside the exercises; `signalr_causes` knows causes."""

pytest_plugins = ["quiz_pages", "scenes", "signalr_causes"]
