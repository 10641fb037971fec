"""Packaging only; everything static is declared in pyproject.toml."""

from setuptools import setup

setup()
