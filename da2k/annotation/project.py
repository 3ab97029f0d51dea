"""The project that a workspace's tasks go to: found, or made once; with our interface and guidelines."""

from dataclasses import replace
from uuid import uuid4

from da2k.annotation.campaign import Campaign, Mode, read_campaign, write_campaign
from da2k.annotation.guidelines import guidelines
from da2k.annotation.interface import interface, same_interface
from da2k.annotation.server import Project, Server, Unsure
from da2k.annotation.tasks import Kind
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput

_LONGEST_TITLE = 50
"""Label Studio takes no longer one."""


def open_campaign(
    workspace: Workspace, server: Server, kind: Kind, *, number: int | None = None, new: bool = False
) -> Campaign:
    """The workspace's campaign on this server; its project may have to be made yet.

    Args:
        workspace: open for writing.
        server: where its tasks go.
        kind: what they ask.
        number: of a project to use; None leaves it to us.
        new: begin anew, and leave the old project to itself.

    Raises:
        BadInput: the workspace's tasks are on another server or in another project, or are shown in another mode.
    """
    campaign = read_campaign(workspace, kind)
    if new and campaign.begun:
        campaign = Campaign(kind, uuid4().hex)
        with workspace.db.transaction():
            write_campaign(workspace, campaign)
            workspace.db.run("DELETE FROM tasks WHERE kind = ?", kind)
    elsewhere = campaign.url not in (None, server.url)
    if campaign.begun and (elsewhere or number not in (None, campaign.project)):
        raise BadInput(
            f"{workspace.folder}: its {kind} are in project {campaign.project} on {campaign.url}; "
            "to begin anew elsewhere, push with --new-project"
        )
    return replace(campaign, url=server.url, project=campaign.project or number)


def ready_project(
    workspace: Workspace, server: Server, campaign: Campaign, overlap: int
) -> tuple[int, tuple[str, ...]]:
    """The campaign's project, made if there is none, with our interface, guidelines and overlap.

    Whatever cuts this, the next call makes no second project: the tag is stored before, and stands in the project.

    Returns:
        The project's number, and what the user should know.

    Raises:
        BadInput: the project is of another campaign, or has another interface.
        NotThere: it was deleted.
        Unsure: whether it was made is not known; the next call looks for it.
    """
    mode = workspace.settings.annotation.mode
    html = guidelines(workspace.folder, workspace.settings)
    project = None if campaign.project is None else server.project(campaign.project)
    if project is None:
        write_campaign(workspace, campaign)
        project = server.project(_found_or_made(workspace, server, campaign, overlap))
    _require_mode(workspace, campaign, project)
    _require_ours(project, server, campaign, mode)
    changes: dict[str, object] = {"expert_instruction": html, "show_instruction": True}
    notes = [
        f"project {twin.id} holds no task and was made for the same purpose, by a request that was given up; delete it"
        for twin in server.projects_with(_tag(campaign))
        if twin.id != project.id and not twin.tasks
    ]
    if same_interface(project.interface, campaign.kind, mode) != "same":
        changes["label_config"] = interface(campaign.kind, mode)
        notes.append(f"project {project.id} was given da2k's interface; it looked otherwise")
    if project.overlap != overlap:
        changes["maximum_annotations"] = overlap
    if campaign.tag not in project.description:
        changes["description"] = f"{project.description}\n{_tag(campaign)}".strip()
    server.update_project(project.id, **changes)
    write_campaign(workspace, replace(campaign, project=project.id, mode=mode))
    return project.id, tuple(notes)


def _require_mode(workspace: Workspace, campaign: Campaign, project: Project) -> None:
    mode = workspace.settings.annotation.mode
    if campaign.kind == "pairs" and campaign.mode not in (None, mode) and project.tasks:
        raise BadInput(
            f"{workspace.folder}: project {project.id} was begun with annotation.mode {campaign.mode}, and da2k.yaml "
            f"says {mode} now; set it back, or begin anew with --new-project"
        )


def _require_ours(project: Project, server: Server, campaign: Campaign, mode: Mode) -> None:
    """Whether we may work in a project: it is of this campaign, or of none and empty or with our interface."""
    named = f'project {project.id} "{project.title}" on {server.url}'
    if campaign.tag not in project.description and "da2k campaign " in project.description:
        raise BadInput(f"{named} belongs to another campaign of da2k; name another project, or none to have one made")
    if not project.tasks and "".join(project.interface.split()) in ("", "<View></View>", "<View/>"):
        return
    modes: tuple[Mode, ...] = (mode,) if project.tasks else ("independent", "review")
    if all(same_interface(project.interface, campaign.kind, each) == "other" for each in modes):
        raise BadInput(
            f"{named} has another interface than da2k's for {campaign.kind}; name another project, or push with "
            "--new-project to have one made"
        )


def _found_or_made(workspace: Workspace, server: Server, campaign: Campaign, overlap: int) -> int:
    """The number of the project that has the campaign's tag; made, if there is none."""
    mode, name = workspace.settings.annotation.mode, workspace.settings.release.name
    title = f"{name[: _LONGEST_TITLE - len(campaign.kind) - 2]}: {campaign.kind}"
    failure: Unsure | None = None
    for attempt in range(server.patience.attempts):
        found = server.projects_with(_tag(campaign))
        if found:
            return max(found, key=lambda project: (project.tasks, -project.id)).id
        try:
            return server.create_project(
                title=title,
                description=_tag(campaign),
                label_config=interface(campaign.kind, mode),
                maximum_annotations=overlap,
                show_skip_button=True,
                enable_empty_annotation=False,
            )
        except Unsure as e:
            failure = e
        server.patience.pause(attempt, failure.after)
    assert failure is not None
    raise failure


def _tag(campaign: Campaign) -> str:
    return f"da2k campaign {campaign.tag} {campaign.kind}"
