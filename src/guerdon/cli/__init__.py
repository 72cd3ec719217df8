"""The command line. Each command lives in a file of its own and loads only when it is called."""

from guerdon.cli.app import app, main

__all__ = ["app", "main"]
