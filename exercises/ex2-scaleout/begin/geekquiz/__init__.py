"""Geek Quiz: a quiz on the history of computing and the web."""
