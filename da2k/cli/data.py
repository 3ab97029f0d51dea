"""`da2k data list`, `fetch` and `verify`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from da2k.datasets.manifest import Dataset

app = typer.Typer(help="The benchmarks' files.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="A dataset of `da2k data list`.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Manifest = Annotated[Path | None, typer.Option(help="Another data manifest than the one that comes with da2k.")]

_SECONDS_BETWEEN_LINES = 5.0


@app.command("list")
def list_datasets(json: Json = False, manifest: Manifest = None) -> None:
    """List the datasets: what they hold, their licence, and whether and where they are on this machine.

    Example: da2k data list
    """
    from json import dumps

    from da2k.cli.tables import print_table
    from da2k.datasets.holdings import holdings

    held = holdings(manifest)
    if json:
        rows = [
            {**h.dataset.model_dump(mode="json"), "here": h.here, "lists_here": h.lists, "folder": str(h.folder)}
            for h in held
        ]
        typer.echo(dumps(rows, indent=1, ensure_ascii=False))
        return
    print_table(
        ["dataset", "images", "pairs", "size", "licence", "here"],
        [
            [
                h.dataset.id,
                _images(h.dataset),
                str(h.dataset.expected.pairs) if h.dataset.expected else "",
                _all_sizes(h.dataset),
                h.dataset.licence,
                "yes" if h.here else "list only" if h.lists else "no",
            ]
            for h in held
        ],
    )
    for h in held:
        typer.echo(f"{h.dataset.id}: {h.folder if h.here else h.state}")


@app.command()
def fetch(
    name: Name,
    replace: Annotated[bool, typer.Option("--replace", help="Put a new copy in place of what is here.")] = False,
    accept_changed: Annotated[
        bool,
        typer.Option(
            "--accept-changed",
            help="Download anew, replace what is here, and accept a file that differs from the one first fetched.",
        ),
    ] = False,
    lists: Annotated[
        bool,
        typer.Option("--lists", help="Fetch no more than the lists of frames, for data that lies elsewhere (--root)."),
    ] = False,
    manifest: Manifest = None,
) -> None:
    """Download, unpack and check a dataset, and print its folder. An interrupted fetch is carried on.

    Where people must register or unpack, what can be had is fetched, and what is left to do is said.

    Example: da2k data fetch da2k
    """
    from da2k.datasets.fetch import fetch as run

    with _progress() as show:
        folder = run(
            name,
            manifest=manifest,
            replace=replace,
            accept_changed=accept_changed,
            lists_only=lists,
            progress=show,
            say=_remark,
        )
    typer.echo(folder)


@app.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(help="A dataset; default: all that are here.", show_default=False)
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Where the dataset lies, if not where fetch puts it.", show_default=False)
    ] = None,
    json: Json = False,
    manifest: Manifest = None,
) -> None:
    """Check checksums, counts and files of the datasets here. Exit code 1 if anything is wrong.

    Of images with measured depth, the list is compared with the files and a few are decoded.

    Example: da2k data verify kitti --root /data/kitti
    """
    from json import dumps

    from da2k.datasets.verify import verify_all

    if root is not None and name is None:
        raise typer.BadParameter(
            "say which dataset lies there: da2k data verify NAME --root FOLDER", param_hint="--root"
        )
    problems = verify_all(name, root, manifest=manifest, say=_remark)
    if json:
        typer.echo(dumps(problems, indent=1, ensure_ascii=False))
    else:
        for dataset, lines in problems.items():
            typer.echo("\n".join(f"{dataset}: {line}" for line in lines or ["complete"]))
        if not problems:
            typer.echo("no dataset is here; get one with: da2k data fetch NAME")
    if any(problems.values()):
        raise typer.Exit(1)


def _images(dataset: "Dataset") -> str:
    """How many images count: those with pairs, or those with measured depth."""
    if dataset.expected is not None:
        return str(dataset.expected.images)
    return str(sum(each.scored for each in dataset.lists)) if dataset.lists else ""


def _all_sizes(dataset: "Dataset") -> str:
    """Bytes of what `fetch` gets: more than (>) what is known, where that is not all."""
    if dataset.size is not None:
        return _size(dataset.size)
    if not dataset.files:
        return "by hand"
    return f">{_size(dataset.size_known)}" if dataset.size_known else "unknown"


def _remark(line: str) -> None:
    typer.echo(line, err=True)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """Bytes on stderr: a bar for each thing done on a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks = {}

        def show(label: str, done: int, total: int | None) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total)
            bars.update(tasks[label], completed=done, total=total)

        yield show


def _lines() -> Callable[[str, int, int | None], None]:
    """Says where each thing begins and ends, and every few seconds how far it is."""
    from time import monotonic

    current, begun, first, last = "", 0.0, 0, 0.0

    def show(label: str, done: int, total: int | None) -> None:
        nonlocal current, begun, first, last
        now = monotonic()
        if label != current:
            current, begun, first, last = label, now, done, now
        elif now - last < _SECONDS_BETWEEN_LINES and done != total:
            return
        last = now
        whole = "" if total is None else f" of {_size(total)}"
        rate = (done - first) / (now - begun) if now > begun else 0.0
        left = f", {(total - done) / rate:.0f} s left" if total is not None and rate and done < total else ""
        speed = f", {_size(rate)}/s{left}" if rate else ""
        _remark(f"{label}: {_size(done)}{whole}{speed}")

    return show


def _size(count: float) -> str:
    """Bytes as people read them, in powers of ten.

    >>> _size(681_000_000), _size(999), _size(1_300_000_000)
    ('681 MB', '999 bytes', '1.3 GB')
    """
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000 or unit == "GB":
            break
    return f"{count:.0f} {unit}" if count >= 10 else f"{count:.1f} {unit}"
