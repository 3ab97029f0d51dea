"""The workspace that a command works in."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from da2k.cli.build_output import remark

if TYPE_CHECKING:
    from da2k.construction.workspace import Workspace

Changes = Mapping[str, Any]
Folder = Annotated[
    Path, typer.Argument(metavar="WORKSPACE", help="The folder of the benchmark being built.", show_default=False)
]


@contextmanager
def opened_workspace(
    folder: Path, changes: "Changes | Callable[[Workspace], Changes] | None" = None
) -> "Iterator[Workspace]":
    """The workspace, for writing, with the options that are settings written into its da2k.yaml."""
    from da2k.construction.adjust import adjusted, require_scenarios
    from da2k.construction.workspace import open_workspace

    with open_workspace(folder) as opened:
        require_scenarios(opened)
        yield adjusted(opened, (changes(opened) if callable(changes) else changes) or {}, remark)
