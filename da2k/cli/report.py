"""`da2k report`."""

from pathlib import Path
from typing import Annotated

import typer

from da2k.cli.score import warn


def report(
    result: Annotated[Path, typer.Argument(help="A result file of `da2k evaluate`.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The page to write; it may replace an earlier one.")],
    benchmark: Annotated[
        str | None,
        typer.Option(
            help="Of a result on pairs: its benchmark, by name or folder. Wrong pairs are then drawn on its "
            "photographs, and the baselines are scored on it."
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="Where the named benchmark lies. Of measured depth: the folder of the frames; the best and the worst "
            "are then drawn, if the model is a predictions folder."
        ),
    ] = None,
    own_list: Annotated[
        Path | None, typer.Option("--list", help="Of measured depth: the list, if it was not the dataset's own.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Of measured depth: the protocol's YAML file, if it does not come with da2k.")
    ] = None,
    photos: Annotated[int, typer.Option(min=0, help="Pairs drawn at most.")] = 60,
) -> None:
    """Write one model's report: a page of one file that opens from disk.

    On pairs: accuracy by scenario, by margin, by distance and by row difference, tests against the baselines, and the
    wrong pairs drawn on the photographs, the hardest first. Against measured depth: the metrics, the images' errors,
    and the best and the worst frames as colour maps. The page stays under 10 MB and asks nothing from the network.

    Example: da2k report results/da2k/depth-anything-v2-small.json --benchmark da2k --out report.html
    """
    from da2k.cli.progress import progress
    from da2k.leaderboard.report import write_report

    with progress("baselines") as show:
        made = write_report(
            result,
            out,
            benchmark=benchmark,
            root=root,
            own_list=own_list,
            protocol=protocol,
            photos=photos,
            progress=show,
        )
    for note in made.notes:
        warn(note)
    typer.echo(f"report: {made.path} ({made.size / 1e6:.1f} MB)")
