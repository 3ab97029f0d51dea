"""`da2k build`: a benchmark of one's own."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from da2k.cli.build_output import Screen, print_funnel, print_intake, print_next, print_release, remark
from da2k.cli.opened import Changes, Folder, opened_workspace
from da2k.cli.score import BatchSize, Device, parse_batch_size
from da2k.errors import BadInput

if TYPE_CHECKING:
    from da2k.construction.workspace import Workspace

app = typer.Typer(help="Build a benchmark of your own photographs.", no_args_is_help=True, rich_markup_mode=None)


class KeyPointMethod(StrEnum):
    """Where key points come from."""

    GRID = "grid"
    SAM = "sam"


class SamModel(StrEnum):
    """The sizes of segment-anything."""

    VIT_H = "vit_h"
    VIT_L = "vit_l"
    VIT_B = "vit_b"


class RatioRule(StrEnum):
    """Whose predicted depth ratio counts."""

    ANY = "any"
    ALL = "all"


Experts = Annotated[
    list[str],
    typer.Option(
        "--expert",
        metavar="MODEL",
        help="The experts, in place of those in da2k.yaml: model strings, each with its options behind it "
        "('tflite:net.tflite kind=metric_depth'); may be repeated.",
    ),
]
Retry = Annotated[bool, typer.Option("--retry", help="Try images again that failed before.")]


@app.command()
def init(
    workspace: Folder,
    photos: Annotated[
        Path | None,
        typer.Argument(
            help="The folder with one folder of photographs a scenario; default: what lies in the workspace's images/.",
            show_default=False,
        ),
    ] = None,
    scenario: Annotated[
        list[str],
        typer.Option(
            metavar="NAME[=manual]",
            help="A scenario of your own, in place of the paper's eight; =manual, if people choose its pairs. May be "
            "repeated.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    expert: Experts = [],  # noqa: B006
    min_side: Annotated[
        int | None, typer.Option(min=1, help="Refuse photographs whose shorter side has fewer pixels; 480, if not set.")
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Make hard links instead of copies.")] = False,
    remove_missing: Annotated[
        bool, typer.Option("--remove-missing", help="Remove what is known of photographs whose file is gone.")
    ] = False,
) -> None:
    """Begin a workspace, or take photographs in.

    Writes da2k.yaml, the settings. Every photograph is decoded once. Exact duplicates are not taken in,
    near ones are named. Run it again after
    adding, changing or deleting photographs. Exit code 1 if a file was refused or is gone.

    Example: da2k build init bench/ photos/
    """
    from da2k.cli.progress import progress
    from da2k.construction.intake import take_in

    for text in scenario:
        if "=" in text and text.partition("=")[2] not in ("automatic", "manual"):
            raise typer.BadParameter(f'"{text}": behind = stands automatic or manual', param_hint="--scenario")
    with progress("photographs") as show:
        report = take_in(
            workspace,
            photos,
            scenarios=scenario,
            experts=expert,
            min_side=min_side,
            link=link,
            remove_missing=remove_missing,
            progress=show,
            say=remark,
        )
    print_intake(report, workspace)


@app.command()
def keypoints(
    workspace: Folder,
    method: Annotated[
        KeyPointMethod | None,
        typer.Option("--keypoints", help="grid: one point a cell; sam: the prompts of segment-anything's masks."),
    ] = None,
    cells: Annotated[int | None, typer.Option(min=2, max=256, help="grid: cells along the longer side.")] = None,
    sam: Annotated[SamModel | None, typer.Option(help="The size of segment-anything; means --keypoints sam.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Its .pth file; means --keypoints sam.")] = None,
    device: Device = "auto",
    retry: Retry = False,
) -> None:
    """Find the key points of the photographs.

    Options that are settings are written into da2k.yaml.

    Example: da2k build keypoints bench/ --keypoints grid --cells 16
    """
    from da2k.construction.adjust import differing, planned
    from da2k.construction.keypoints import STAGE, check_keypoints, place_keypoints

    if method is KeyPointMethod.GRID and (sam or checkpoint):
        raise typer.BadParameter("grid needs neither --sam nor --checkpoint", param_hint="--keypoints")
    chosen = method or (KeyPointMethod.SAM if sam or checkpoint else None)
    changes = {
        "keypoints.method": chosen and chosen.value,
        "keypoints.cells": cells,
        "keypoints.sam.model": sam and sam.value,
        "keypoints.sam.checkpoint": checkpoint and str(checkpoint),
    }

    def checked(opened: "Workspace") -> Changes:
        if differing(opened.settings, changes):
            check_keypoints(opened, planned(opened.folder, changes).keypoints)
        return changes

    with opened_workspace(workspace, checked) as opened, Screen() as screen:
        screen.say(place_keypoints(opened, device=device, retry=retry, progress=screen.bar(STAGE)))


@app.command()
def readings(
    workspace: Folder,
    expert: Experts = [],  # noqa: B006
    only: Annotated[
        list[str], typer.Option(metavar="NAME", help="Read only this expert of da2k.yaml now; may be repeated.")
    ] = [],  # noqa: B006
    device: Device = "auto",
    batch_size: BatchSize = "1",
    retry: Retry = False,
) -> None:
    """Let every expert read every photograph.

    It runs once, and what it says at every key point is kept: all votes are then look-ups. One bad
    photograph does not stop the others. Exit code 1 if any failed.

    Example: da2k build readings bench/ --device cuda --batch-size auto
    """
    from da2k.construction.adjust import expert_changes
    from da2k.construction.readings import take_readings

    at_once = parse_batch_size(batch_size)
    with (
        opened_workspace(workspace, lambda opened: expert_changes(expert, opened.settings)) as opened,
        Screen() as screen,
    ):
        for report in take_readings(
            opened, device=device, batch_size=at_once, retry=retry, only=only, progress=screen.bar
        ):
            screen.say(report)


@app.command()
def select(
    workspace: Folder,
    audit: Annotated[
        float | None, typer.Option(min=0, max=1, help="The share of unanimous pairs that go to people too.")
    ] = None,
    quota: Annotated[int | None, typer.Option(min=0, help="Disputed pairs wanted from an image.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of what is drawn by chance.")] = None,
    ratio: Annotated[
        float | None, typer.Option(min=1, help="The predicted depth ratio that a disputed pair exceeds.")
    ] = None,
    ratio_rule: Annotated[
        RatioRule | None,
        typer.Option(help="any: in the map of one expert at least; all: in the maps of all that vote."),
    ] = None,
) -> None:
    """Draw pairs, vote, queue what is disputed.

    From stored readings only, so that it costs nothing. Options that are settings are written into da2k.yaml.

    Example: da2k build select bench/ --audit 0.05
    """
    from da2k.construction.selection import STAGE, select_pairs

    changes = {
        "selection.audit": audit,
        "selection.quota": quota,
        "seed": seed,
        "selection.ratio": ratio,
        "selection.ratio_rule": ratio_rule and ratio_rule.value,
    }
    with opened_workspace(workspace, changes) as opened, Screen() as screen:
        screen.say(select_pairs(opened, progress=screen.bar(STAGE)))
        print_next(opened)


@app.command()
def run(workspace: Folder, device: Device = "auto", batch_size: BatchSize = "1", retry: Retry = False) -> None:
    """Do all stages that need no people.

    These are key points, readings and selection. What is up to date stays; an interrupted run is carried
    on by the same command. Exit code 1 if any image failed.

    Example: da2k build run bench/
    """
    from da2k.construction.pipeline import build

    at_once = parse_batch_size(batch_size)
    with opened_workspace(workspace) as opened, Screen() as screen:
        build(opened, device=device, batch_size=at_once, retry=retry, progress=screen.bar, say=screen.say)
        print_next(opened)


@app.command()
def release(
    workspace: Folder,
    out: Annotated[Path, typer.Argument(help="The folder of the release.", show_default=False)],
    draft: Annotated[
        bool, typer.Option("--draft", help="Leave out pairs that lack their checks, instead of refusing.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace another release in that folder.")] = False,
    link: Annotated[bool, typer.Option("--link", help="Make hard links of the photographs instead of copies.")] = False,
) -> None:
    """Write the benchmark that people have decided.

    In the official format, with the photographs, provenance, a card and checksums. The same answers give
    the same bytes. The folder scores at once with da2k evaluate.

    Example: da2k build release bench/ my-benchmark/
    """
    from da2k.construction.release import make_release

    with opened_workspace(workspace) as opened:
        report = make_release(opened, out, draft=draft, replace=replace, link=link)
    print_release(report)


@app.command()
def status(
    workspace: Folder,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Also draw it.")] = None,
) -> None:
    """How far the benchmark is, by scenario.

    From photographs to released pairs. It only reads, also while another process works in the workspace.

    Example: da2k build status bench/
    """
    from json import dumps

    from da2k.construction.funnel import funnel
    from da2k.construction.workspace import open_workspace

    if plot and plot.suffix.lower() != ".png":
        raise typer.BadParameter(f"{plot} does not end with .png", param_hint="--plot")
    if plot and not plot.parent.is_dir():
        raise BadInput(f"{plot}: there is no folder {plot.parent} to write it into")
    with open_workspace(workspace, read_only=True) as opened:
        found = funnel(opened)
        if plot:
            from da2k.construction.funnel_figure import write_funnel

            write_funnel(found, opened.settings.release.name, plot)
        if json:
            typer.echo(dumps(found.as_json(), indent=1, ensure_ascii=False))
            return
        print_funnel(found, workspace)
        print_next(opened, up_to_date=not found.due and not found.unknown)
    if plot:
        typer.echo(f"plot: {plot}")
