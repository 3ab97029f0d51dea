"""`da2k annotate`: people decide pairs, in Label Studio."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from da2k.cli.annotate_output import print_gold, print_pulled, print_pushed, print_served, print_status, say_unselected
from da2k.cli.build_output import Screen, remark
from da2k.cli.opened import Changes, Folder, opened_workspace
from da2k.errors import BadInput

if TYPE_CHECKING:
    from da2k.annotation.server import Server
    from da2k.annotation.tasks import Kind
    from da2k.construction.workspace import Workspace

app = typer.Typer(help="Let people decide pairs, in Label Studio.", no_args_is_help=True, rich_markup_mode=None)

TOKEN = "LABEL_STUDIO_API_KEY"
"""The environment variable that holds the token; there is no option for it, since others can read command lines."""


class Images(StrEnum):
    """How pictures reach the server."""

    LOCAL = "local"
    UPLOAD = "upload"
    INLINE = "inline"


class Mode(StrEnum):
    """Whether the people who check an answer see it."""

    INDEPENDENT = "independent"
    REVIEW = "review"


class Only(StrEnum):
    """One of the two projects."""

    PAIRS = "pairs"
    PHOTOS = "photos"


Url = Annotated[
    str | None,
    typer.Option(help="The server, such as http://127.0.0.1:8080; default: that of the last push.", show_default=False),
]
OnlyKind = Annotated[
    Only | None, typer.Option("--only", help="pairs: which point is closer; photos: choosing pairs by hand.")
]


@app.command()
def serve(
    workspace: Folder,
    port: Annotated[int, typer.Option(min=1, max=65535, help="On 127.0.0.1.")] = 8080,
) -> None:
    """Run a Label Studio on this machine.

    The first time its own environment is made, outside da2k's (about 800 MB). It listens on 127.0.0.1
    only, sends nothing out, keeps its data in WORKSPACE/label-studio, and ends with Ctrl-C.

    Example: da2k annotate serve bench/
    """
    from da2k.annotation.delivery import ROOT
    from da2k.annotation.studio import default_folder, prepare, run
    from da2k.construction.workspace import open_workspace

    with open_workspace(workspace, read_only=True):
        pass
    environment = prepare(default_folder(), remark)
    # Beside the pictures' folder, not in it: what is in that one can be shown to annotators.
    data, shown = workspace / "label-studio", workspace / ROOT
    try:
        with run(environment, data, port=port, document_root=shown) as running:
            print_served(running, workspace)
            running.wait()
    except KeyboardInterrupt:
        remark("stopped")


@app.command()
def push(
    workspace: Folder,
    url: Url = None,
    images: Annotated[
        Images,
        typer.Option(
            help="How the server gets the pictures. local: it reads them from a folder; upload: they are sent to it; "
            "inline: they are part of the tasks (few pairs only)."
        ),
    ] = Images.LOCAL,
    root: Annotated[
        Path | None,
        typer.Option(
            help="local: the folder that the server may serve files from, as it is called here; "
            "default: WORKSPACE/annotation.",
            show_default=False,
        ),
    ] = None,
    server_root: Annotated[
        str | None, typer.Option(help="local: what the server calls that folder, if otherwise.", show_default=False)
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(help="independent: nobody sees another's answer; review: the first is shown to those who check."),
    ] = None,
    project: Annotated[
        int | None, typer.Option(min=1, help="Use this project of the server instead of making one; needs --only.")
    ] = None,
    new_project: Annotated[
        bool, typer.Option("--new-project", help="Begin a new project, also on another server.")
    ] = False,
    only: OnlyKind = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Write tasks and interfaces as files to import by hand; no server is asked."
        ),
    ] = None,
) -> None:
    """Send people what they are to answer.

    Draws the pictures, makes the projects or finds them, and adds the tasks that are missing; pairs on
    which people differ go to a fourth person. Run it again after each pull: nothing is sent twice. The
    token comes from LABEL_STUDIO_API_KEY, or is asked for. Exit code 1 if a photograph failed.

    Example: da2k annotate push bench/ --url http://127.0.0.1:8080
    """
    from da2k.annotation.campaign import require_mode
    from da2k.annotation.push import push as send
    from da2k.annotation.push import write_tasks

    if project is not None and only is None:
        raise typer.BadParameter("say with --only which of the two projects it is", param_hint="--project")
    if file is not None and url is not None:
        raise typer.BadParameter("asks no server, so it goes without --url", param_hint="--file")

    def checked(opened: "Workspace") -> Changes:
        if mode is Mode.REVIEW and file is not None:
            raise BadInput("in review mode the server is needed, to show the first answer to others; leave out --file")
        if mode and not new_project:
            require_mode(opened, mode.value)
        return {"annotation.mode": mode and mode.value}

    with opened_workspace(workspace, checked) as opened, Screen() as screen:
        say_unselected(opened)
        if file is not None:
            reports = write_tasks(opened, file, kinds=_kinds(only), progress=screen.bar)
            screen.close()
            print_pushed(reports, workspace)
            return
        server = _server(opened, url)
        reports = send(
            opened,
            server,
            images=images.value,
            root=root,
            server_root=server_root,
            project=project,
            new_project=new_project,
            kinds=_kinds(only),
            progress=screen.bar,
        )
        screen.close()
        print_pushed(reports, workspace)


@app.command()
def pull(
    workspace: Folder,
    url: Url = None,
    everything: Annotated[
        bool, typer.Option("--everything", help="List all tasks, not only those changed since the last pull.")
    ] = False,
    only: OnlyKind = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="EXPORT.json", help="Read an export of Label Studio's instead of asking the server."),
    ] = None,
) -> None:
    """Bring what people answered.

    Every answer is kept; of one person's several answers to a pair the latest counts. What cannot be
    counted is named. Then da2k annotate push sends on what needs a further answer.

    Example: da2k annotate pull bench/
    """
    from da2k.annotation.export_file import pull_file
    from da2k.annotation.pull import pull as bring

    if file is not None and (url is not None or everything or only):
        raise typer.BadParameter("asks no server, so it goes without the other options", param_hint="--file")
    with opened_workspace(workspace) as opened, Screen() as screen:
        if file is not None:
            print_pulled([pull_file(opened, file)], opened)
            return
        _require_pushed(opened)
        server = _server(opened, url)
        reports = bring(opened, server, everything=everything, kinds=_kinds(only), progress=screen.bar)
        screen.close()
        print_pulled(reports, opened)


@app.command()
def status(
    workspace: Folder,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """How far people are, and how well they agree.

    By scenario and by person, as of the last pull; no server is asked.

    Example: da2k annotate status bench/
    """
    from json import dumps

    from da2k.annotation.status import annotation_status
    from da2k.construction.workspace import open_workspace

    with open_workspace(workspace, read_only=True) as opened:
        found = annotation_status(opened)
    if json:
        typer.echo(dumps(found.as_json(), indent=1, ensure_ascii=False))
        return
    print_status(found, workspace)


@app.command()
def gold(
    workspace: Folder,
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="ANNOTATIONS.json",
            help="Pairs of the workspace's photographs whose answer is known, in the official format.",
            show_default=False,
        ),
    ],
    share: Annotated[
        float | None, typer.Option(min=0, max=0.5, help="The share of tasks that are gold; 0.05, if not set.")
    ] = None,
) -> None:
    """Mix in pairs whose answer is known.

    Annotators cannot tell them from others; da2k annotate status shows how often each person got them
    right. They are not released.

    Example: da2k annotate gold bench/ gold.json
    """
    from da2k.annotation.gold import add_gold
    from da2k.construction.adjust import adjusted

    with opened_workspace(workspace) as opened:
        report = add_gold(opened, pairs)
        adjusted(opened, {"annotation.gold": share}, remark)
    print_gold(report, workspace)


def _kinds(only: Only | None) -> "tuple[Kind, ...]":
    from da2k.annotation.tasks import KINDS

    return KINDS if only is None else (only.value,)


def _server(workspace: "Workspace", url: str | None) -> "Server":
    """The server, with the token from the environment or the keyboard."""
    from da2k.annotation.campaign import read_campaign
    from da2k.annotation.server import Server, checked_url
    from da2k.annotation.tasks import KINDS

    known = url or next(filter(None, (read_campaign(workspace, kind).url for kind in KINDS)), None)
    if known is None:
        raise BadInput(
            f"{workspace.folder}: say where Label Studio is: --url URL; if there is none: da2k annotate serve "
            f"{workspace.folder}"
        )
    address = checked_url(known)
    token = os.environ.get(TOKEN)
    if not token:
        import sys

        if not sys.stdin.isatty():
            raise BadInput(
                f"no token: set {TOKEN}; make one in Label Studio, Account & Settings, Personal Access Token: "
                f"{address}/user/account"
            )
        try:
            token = typer.prompt(f"Token for {address} (from {address}/user/account)", hide_input=True, err=True)
        except typer.Abort:
            raise typer.Exit(130) from None
    return Server(address, str(token))


def _require_pushed(workspace: "Workspace") -> None:
    from da2k.annotation.campaign import read_campaign
    from da2k.annotation.tasks import KINDS

    if not any(read_campaign(workspace, kind).begun for kind in KINDS):
        raise BadInput(
            f"{workspace.folder}: nothing was pushed yet; run: da2k annotate push {workspace.folder} --url URL"
        )
