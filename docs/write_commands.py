"""Write docs/commands.md from the command line's own help. A test checks that it is up to date."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command
from typer.testing import CliRunner

from da2k.cli import app

PAGE = Path(__file__).with_name("commands.md")


def command_lines(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command, groups before their commands."""
    yield words
    for name, child in getattr(command, "commands", {}).items():
        yield from command_lines(child, (*words, name))


def page() -> str:
    """The text of docs/commands.md."""
    parts = ["# Commands\n\nWritten by `make docs` from the command line's own help.\n"]
    for words in command_lines(get_command(app)):
        shown = CliRunner().invoke(app, [*words, "--help"], prog_name="da2k", env={"COLUMNS": "100"}).output
        parts.append(f"## {' '.join(('da2k', *words))}\n\n```text\n{shown.rstrip()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
