"""The project that a workspace's tasks go to: found, or made once; with our interface and guidelines."""

from dataclasses import replace
from typing import Literal
from uuid import uuid4

from da2k.annotation.campaign import Campaign, read_campaign, write_campaign
from da2k.annotation.guidelines import guidelines
from da2k.annotation.interface import interface, same_interface
from da2k.annotation.listing import held_annotations, read_task
from da2k.annotation.once import found_or_made
from da2k.annotation.server import NotThere, Project, Server
from da2k.annotation.tasks import KINDS, Kind
from da2k.construction.settings import Mode
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput

New = Literal["no", "where lost", "yes"]
"""Whether to begin a project anew; "where lost": only if it is gone, elsewhere, or shows its tasks in another mode."""

_LONGEST_TITLE = 50
"""Label Studio takes no longer one."""


def open_campaign(
    workspace: Workspace, server: Server, kind: Kind, *, number: int | None = None, new: New = "no"
) -> tuple[Campaign, tuple[str, ...]]:
    """The workspace's campaign on this server; its project may have to be made yet.

    Args:
        workspace: open for writing.
        server: where its tasks go.
        kind: what they ask.
        number: of a project to use; None leaves it to us.
        new: whether to begin anew, and leave the old project to itself. One that nobody has answered in is gone on
            with, so that the same command after a cut makes no further one.

    Returns:
        The campaign, and what the user should know.

    Raises:
        BadInput: the workspace's tasks are on another server or in another project; or it is to begin anew, and the
            old project holds answers that were not pulled.
    """
    campaign, notes = follow_server(workspace, server, read_campaign(workspace, kind))
    if campaign.begun and new != "no":
        told = _to_go_on_with(workspace, server, campaign, number, new)
        notes = (*notes, *told)
        if not told:
            if campaign.url != server.url:
                notes = (*notes, f"what was not pulled of project {campaign.project} on {campaign.url} stays there")
            campaign = _begun_anew(workspace, server, kind)
    elsewhere = campaign.url not in (None, server.url)
    if campaign.begun and (elsewhere or number not in (None, campaign.project)):
        raise BadInput(
            f"{workspace.folder}: its {kind} are in project {campaign.project} on {campaign.url}; "
            "to begin anew elsewhere, push with --new-project"
        )
    return replace(campaign, url=server.url, project=campaign.project or number), notes


def follow_server(workspace: Workspace, server: Server, campaign: Campaign) -> tuple[Campaign, tuple[str, ...]]:
    """The campaign under the server's address of today, if this is its server: if a project of it has our tag.

    Then all that is known of the server goes by that address, in one transaction.

    Returns:
        The campaign as it is stored now, which may still be elsewhere; and what the user should know.
    """
    campaign = read_campaign(workspace, campaign.kind) if campaign.begun else campaign
    if not campaign.begun or campaign.url == server.url:
        return campaign, ()
    old, url = campaign.url, server.url
    there = [each for kind in KINDS if (each := read_campaign(workspace, kind)).begun and each.url == old]
    if not any(_is_there(server, each) for each in there):
        return campaign, ()
    with workspace.db.transaction():
        workspace.db.run("UPDATE campaigns SET url = ? WHERE url = ?", url, old)
        workspace.db.run(
            "INSERT OR REPLACE INTO modes SELECT ?1, project, max(mode) FROM modes WHERE url IN (?1, ?2) "
            "GROUP BY project",  # "review" is the larger
            *(url, old),
        )
        workspace.db.run("DELETE FROM modes WHERE url = ?", old)
        for table in ("annotations", "people"):
            # What the new address has already is of a later time.
            workspace.db.run(f"UPDATE OR IGNORE {table} SET url = ? WHERE url = ?", url, old)
            workspace.db.run(f"DELETE FROM {table} WHERE url = ?", old)
    return read_campaign(workspace, campaign.kind), (f"{url} is the server that was {old}; it goes by {url} now",)


def _is_there(server: Server, campaign: Campaign) -> bool:
    assert campaign.project is not None
    try:
        return _tag(campaign) in server.project(campaign.project).description
    except NotThere:
        return False


def _to_go_on_with(
    workspace: Workspace, server: Server, campaign: Campaign, number: int | None, new: New
) -> tuple[str, ...]:
    """Why the campaign's project is kept though a new one was asked for; nothing if a new one is to be made.

    Raises:
        BadInput: a new one is to be made, and the old one holds answers that were not pulled.
    """
    assert campaign.project is not None
    if campaign.url != server.url:
        return ()
    try:
        project = server.project(campaign.project)
    except NotThere:
        return ()
    mode = workspace.settings.annotation.mode
    if not _may_be_ours(project, campaign):
        return ()
    if number in (None, project.id) and not _is_in_another_mode(campaign, project, mode):
        if number == project.id or new == "where lost":
            return (
                f"the {campaign.kind} stay in project {project.id}, which is there; for a new one all the same, push "
                f"with --only {campaign.kind} --new-project",
            )
        if _is_as_new(workspace, campaign, project):
            return (f"project {project.id} is used, and no other made: nobody has answered in it yet",)
    unpulled = _unpulled(workspace, server, campaign)
    if unpulled:
        raise BadInput(
            f"{workspace.folder}: project {project.id} on {server.url} has {unpulled} answers that were not pulled; "
            f"first run: da2k annotate pull {workspace.folder}"
        )
    return ()


def _may_be_ours(project: Project, campaign: Campaign) -> bool:
    """Whether it is the campaign's project; another one may have its number, where the server was made anew."""
    if "da2k campaign " in project.description:
        return campaign.tag in project.description
    modes: tuple[Mode, ...] = ("independent", "review")
    return any(same_interface(project.interface, campaign.kind, mode) != "other" for mode in modes)


def _is_as_new(workspace: Workspace, campaign: Campaign, project: Project) -> bool:
    """Whether nobody has answered in it, or a push into it never came to its end, which the next one does."""
    held = workspace.db.run(
        "SELECT count(*) FROM annotations WHERE url = ? AND project = ?", campaign.url, campaign.project
    )[0][0]
    pushed = workspace.db.run("SELECT count(*) FROM tasks WHERE kind = ?", campaign.kind)[0][0]
    return not held and (not pushed or not project.annotations + project.skipped)


def _unpulled(workspace: Workspace, server: Server, campaign: Campaign) -> int:
    """How many annotations of its project are not held, or in an older state than they are there."""
    assert campaign.project is not None
    place = campaign.url, campaign.project
    held = {each.id: each.changed or "" for each in held_annotations(workspace) if (each.url, each.project) == place}
    pages = server.task_pages(campaign.project, size=100)  # there may be pictures in the tasks
    tasks = (read_task(task, campaign.project) for page in pages for task in page)
    there = (each for task in tasks for each in task.annotations)
    return sum(each.id not in held or (each.changed or "") > held[each.id] for each in there)


def _begun_anew(workspace: Workspace, server: Server, kind: Kind) -> Campaign:
    campaign = Campaign(kind, uuid4().hex, server.url)
    with workspace.db.transaction():
        write_campaign(workspace, campaign)
        workspace.db.run("DELETE FROM tasks WHERE kind = ?", kind)
    return campaign


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


def project_fields(workspace: Workspace, kind: Kind, overlap: int) -> dict[str, object]:
    """What a project is made from, as `POST /api/projects/` takes it.

    Raises:
        BadInput: the guidelines cannot be read.
    """
    settings = workspace.settings
    return {
        "title": f"{settings.release.name[: _LONGEST_TITLE - len(kind) - 2]}: {kind}",
        "label_config": interface(kind, settings.annotation.mode),
        "maximum_annotations": overlap,
        "show_skip_button": True,
        # With it the page says which answer is missing; of marked points it cannot, so there Submit is off until then.
        "enable_empty_annotation": kind == "pairs",
        "expert_instruction": guidelines(workspace.folder, settings),
        "show_instruction": True,
    }


def _require_mode(workspace: Workspace, campaign: Campaign, project: Project) -> None:
    mode = workspace.settings.annotation.mode
    if _is_in_another_mode(campaign, project, mode):
        raise BadInput(
            f"{workspace.folder}: project {project.id} was begun with annotation.mode {campaign.mode}, and da2k.yaml "
            f"says {mode} now; set it back, or begin anew with --new-project"
        )


def _is_in_another_mode(campaign: Campaign, project: Project, mode: Mode) -> bool:
    return campaign.kind == "pairs" and campaign.mode not in (None, mode) and project.tasks > 0


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
    fields = project_fields(workspace, campaign.kind, overlap)

    def look() -> int | None:
        found = server.projects_with(_tag(campaign))
        return max(found, key=lambda project: (project.tasks, -project.id)).id if found else None

    return found_or_made(look, lambda: server.create_project(description=_tag(campaign), **fields), server.patience)


def _tag(campaign: Campaign) -> str:
    return f"da2k campaign {campaign.tag} {campaign.kind}"
