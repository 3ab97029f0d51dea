"""The command line: one file a command group. A command parses, calls one function, and prints.

Heavy packages are imported inside the commands, so that `da2k --help` answers at once.
"""

import sys
import warnings
from typing import Annotated, NoReturn

import typer

import da2k
from da2k.cli import annotate, build, data, demo, evaluate, leaderboard, models, protocols, report, score
from da2k.errors import Da2kError

_INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 + SIGINT."""

app = typer.Typer(
    name="da2k",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Score depth models on depth-ordering benchmarks such as DA-2K.",
)
app.command()(demo.demo)
app.command()(evaluate.evaluate)
app.command()(score.predict)
app.command()(score.compare)
app.command()(report.report)
app.add_typer(build.app, name="build")
app.add_typer(annotate.app, name="annotate")
app.add_typer(leaderboard.app, name="leaderboard")
app.add_typer(models.app, name="models")
app.add_typer(protocols.app, name="protocols")
app.add_typer(data.app, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"da2k {da2k.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a known error is one line on stderr and exit code 1."""
    # Such an image is refused with an error of its own; Pillow's warning would only say it twice.
    warnings.filterwarnings("ignore", message="Image size .* decompression bomb")
    try:
        app()
    except Da2kError as e:
        _leave(str(e))
    except OSError as e:
        _leave(f"{e.filename}: {e.strerror}" if e.filename else str(e))
    except SystemExit as e:
        if e.code == _INTERRUPTED:
            typer.echo("interrupted; the same command carries on", err=True)
        raise


def _leave(message: str) -> NoReturn:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(1)
