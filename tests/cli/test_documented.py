"""The documents say what the command line says."""

import importlib.util
import re
from pathlib import Path

import pytest
from typer.main import get_command

from da2k.cli import app

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def writer():
    spec = importlib.util.spec_from_file_location("write_commands", ROOT / "docs/write_commands.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_up_to_date(writer):
    assert writer.PAGE.read_text() == writer.page(), "run: make docs"


def test_every_command_ends_with_an_example_of_itself(writer):
    for words in writer.command_lines(get_command(app)):
        command = get_command(app)
        for word in words:
            command = command.commands[word]
        if not getattr(command, "commands", None):
            assert f"Example: da2k {' '.join(words)}" in re.sub(r"\s+", " ", command.help), words


def test_the_readme_names_every_command_and_stays_short(writer):
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 200
    for words in writer.command_lines(get_command(app)):
        assert " ".join(("da2k", *words)) in text, words
