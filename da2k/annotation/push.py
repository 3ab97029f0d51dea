"""Sending people what is to do: `push` brings the projects on a server up to date with the workspace."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from json import dumps
from pathlib import Path
from typing import Any

from da2k.annotation.campaign import read_campaign
from da2k.annotation.delivery import Address, Images, Pictures, inline
from da2k.annotation.project import New, open_campaign, project_fields, ready_project
from da2k.annotation.rendering import Names, Rendering, render
from da2k.annotation.sending import Listing, list_tasks, remove_twins, send, task_batches, update_tasks
from da2k.annotation.server import Server
from da2k.annotation.tasks import CLOSER, GIVEN, KINDS, Kind, PairTask, PhotoTask
from da2k.annotation.wanted import Plan, Wanted, plan_tasks
from da2k.construction.stages import Progress
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput
from da2k.files import write_text

_FILE_BYTES = 100_000_000
"""A file of tasks is about so large at most; the server takes 250 MB."""

Show = Callable[[str], Progress]


@dataclass(frozen=True)
class PushReport:
    """What a push did to one project, or what it wrote for one.

    Attributes:
        kind: what its tasks ask.
        project: its number; None if files were written.
        url: where people label; the folder, if files were written.
        sent: tasks that are there now and were not before; all that were written.
        present: tasks wanted that were there already.
        again: tasks that one more person is asked to answer, because people differ.
        reviewing: tasks that now show their first answer to the people who check it.
        closed: tasks of decided pairs that were still open, and that nobody is given any more.
        vanished: external ids of tasks that were there at the last push and had gone; those that people still have to
            answer are sent again.
        foreign: numbers of tasks in the project that are not da2k's; they are left alone.
        stale: external ids of tasks of pairs that are not queued any more; they are left alone.
        duplicates: external ids of tasks that stand there more than once, and that people have touched.
        failures: image → why its pictures could not be drawn; its tasks are not sent.
        notes: anything else the user should know.
    """

    kind: Kind
    project: int | None
    url: str
    sent: int = 0
    present: int = 0
    again: int = 0
    reviewing: int = 0
    closed: int = 0
    vanished: tuple[str, ...] = ()
    foreign: tuple[int, ...] = ()
    stale: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def push(
    workspace: Workspace,
    server: Server,
    *,
    images: Images = "local",
    root: Path | None = None,
    server_root: str | None = None,
    project: int | None = None,
    new_project: bool = False,
    kinds: Sequence[Kind] = KINDS,
    progress: Show | None = None,
) -> list[PushReport]:
    """Bring the projects on the server up to date with the workspace, as of the last pull.

    A cut at any time loses nothing and leaves nothing twice: the next push goes on. What is not da2k's is never
    changed, and no task that a person has touched is ever deleted.

    Args:
        workspace: open for writing.
        server: where people work.
        images, root, server_root: how pictures reach them, see `Pictures`.
        project: the number of a project to use, for a single kind; by default one is made.
        new_project: begin anew in another project, and leave the old one to itself; of several kinds, only those whose
            project is gone, on another server, or shows its tasks in another mode.
        kinds: what is asked.
        progress: gives, for the name of a step, what is to be told how far it is.

    Returns:
        A report for each kind that there is anything to ask of, or that was begun.

    Raises:
        BadInput: there is nothing to ask; the project was deleted, is another campaign's or has another interface; the
            server cannot show the pictures; the guidelines cannot be read.
        Unreachable: the server does not answer, or nothing arrives.
    """
    campaigns = [read_campaign(workspace, kind) for kind in kinds]
    active = [each.kind for each in campaigns if each.begun or plan_tasks(workspace, each).wanted]
    if not active:
        raise _nothing_to_ask(workspace)
    if project is not None and len(active) > 1:
        raise BadInput(f"there are two projects, of {' and of '.join(active)}; say which of them project {project} is")
    pictures = Pictures(images, root, server_root)
    new: New = "no" if not new_project else "yes" if len(kinds) == 1 else "where lost"
    return [_push(workspace, server, kind, pictures, project, new, progress) for kind in active]


def _push(
    workspace: Workspace,
    server: Server,
    kind: Kind,
    pictures: Pictures,
    number: int | None,
    new: New,
    show: Show | None,
) -> PushReport:
    campaign, told = open_campaign(workspace, server, kind, number=number, new=new)
    plan, people = _with_known_people(plan_tasks(workspace, campaign), server)
    project, notes = ready_project(workspace, server, campaign, plan.overlap)
    notes = (*told, *notes)

    look = partial(list_tasks, server, project, kind, 100 if pictures.images == "inline" else 1000)
    before = look()
    missing = [each for each in plan.wanted if each.task.external_id not in before.tasks]

    # Where the server reads our folder, pictures of tasks that are there are drawn again if they were lost.
    shown = _as_shown(plan, before) if pictures.images == "local" else [each.task for each in missing]
    drawing = render(workspace, shown, pictures.folder(workspace), _step(show, "drawing pictures"))
    ready = [each for each in missing if each.task.external_id in drawing.names]
    names = [name for each in ready for name in drawing.names[each.task.external_id].all]
    address = pictures.deliver(workspace, server, project, names, _step(show, "uploading pictures"))

    def make(each: Wanted) -> Mapping[str, Any]:
        return task_of(each, drawing.names[each.task.external_id], address, people)

    after = send(server, project, ready, make, look, before, _step(show, f"sending {kind}"))
    deleted, duplicates = remove_twins(server, after)
    if deleted:
        notes = (*notes, f"{deleted} tasks that had arrived twice, and that nobody had touched, were deleted")
    updated = update_tasks(server, plan, look() if deleted else after, _step(show, "updating tasks"))
    return PushReport(
        kind=kind,
        project=project,
        url=f"{server.url}/projects/{project}/data?labeling=1",
        sent=len(ready),
        present=len(plan.wanted) - len(missing),
        again=updated.again,
        reviewing=updated.reviewing,
        closed=updated.closed,
        vanished=_remembered(workspace, kind, before.tasks, after.tasks),
        foreign=tuple(after.foreign),
        stale=tuple(sorted(set(after.tasks) - plan.known)),
        duplicates=tuple(duplicates),
        failures=drawing.failures,
        notes=notes,
    )


def task_of(wanted: Wanted, names: Names, address: Address, people: Mapping[str, int]) -> Mapping[str, Any]:
    """A task as Label Studio takes it.

    Args:
        wanted: what it says.
        names: of its pictures.
        address: where they are.
        people: the number of each user, by e-mail address; of all whose answers go into the task.
    """
    task = wanted.task
    data = {"external_id": task.external_id, "scenario": task.scenario, "image": address(names.image)}
    if isinstance(task, PairTask):
        assert names.strip_a is not None
        assert names.strip_b is not None
        data |= {"strip_a": address(names.strip_a), "strip_b": address(names.strip_b)}
        data["first"] = wanted.sentence(task.swapped)
    made: dict[str, Any] = {"data": data, "meta": wanted.meta}
    for person, choice in wanted.given.items():
        value = {"id": GIVEN, "from_name": CLOSER, "to_name": "img", "type": "choices", "value": {"choices": [choice]}}
        given = {"completed_by": people[person], "result": [value], "ground_truth": False, "was_cancelled": False}
        made.setdefault("annotations", []).append(given)
    return made


def write_tasks(
    workspace: Workspace, folder: Path, *, kinds: Sequence[Kind] = KINDS, progress: Show | None = None
) -> list[PushReport]:
    """Write what there is to ask as files, for a server that cannot be reached from here: `FOLDER/<kind>/…`.

    `tasks.json` (and `tasks-2.json`, … where there are many) holds the tasks with their pictures, and `project.json`
    what makes their project through `POST /api/projects/`: how many people answer each task, the labelling interface
    and the instructions. Those two are in `interface.xml` and `guidelines.html` too, to be put into a project by hand.
    Tasks that were put into a project before are in it again while they lack answers: put them into another one.

    Raises:
        BadInput: there is nothing to ask; the mode is review, whose tasks have to be changed after the first answer; a
            file cannot be written.
    """
    mode = workspace.settings.annotation.mode
    plans = {kind: plan_tasks(workspace, replace(read_campaign(workspace, kind), project=None)) for kind in kinds}
    plans = {kind: plan for kind, plan in plans.items() if plan.wanted}
    if not plans:
        raise _nothing_to_ask(workspace)
    if mode == "review" and "pairs" in plans:
        raise BadInput(
            f"{workspace.folder}: in review mode the first answer is shown to those who check it, which needs a server "
            "that can be reached; or set annotation.mode: independent in da2k.yaml"
        )
    pictures = Pictures().folder(workspace)
    reports = []
    for kind, plan in plans.items():
        place = folder / kind
        drawing = render(workspace, [each.task for each in plan.wanted], pictures, _step(progress, "drawing pictures"))
        sent = 0
        for number, batch in enumerate(task_batches(_made(plan, drawing, pictures), len(plan.wanted), _FILE_BYTES), 1):
            write_text(place / (f"tasks-{number}.json" if number > 1 else "tasks.json"), dumps(batch))
            sent += len(batch)
        project = project_fields(workspace, kind, plan.overlap)
        write_text(place / "project.json", dumps(project, indent=2) + "\n")
        write_text(place / "interface.xml", str(project["label_config"]))
        write_text(place / "guidelines.html", str(project["expert_instruction"]))
        reports.append(PushReport(kind, None, str(place), sent=sent, failures=drawing.failures))
    return reports


def _made(plan: Plan, drawing: Rendering, pictures: Path) -> Iterator[Mapping[str, Any]]:
    for each in plan.wanted:
        names = drawing.names.get(each.task.external_id)
        if names:
            yield task_of(replace(each, given={}), names, inline(pictures), {})


def _as_shown(plan: Plan, listing: Listing) -> list[PairTask | PhotoTask]:
    """The tasks, with the letters where they stand in those on the server; without those of which nobody knows."""
    found: list[PairTask | PhotoTask] = []
    for each in plan.wanted:
        there = listing.tasks.get(each.task.external_id)
        if not there:
            found.append(each.task)
        elif there[0].intact:
            swapped = there[0].swapped
            found.append(replace(each.task, swapped=swapped) if isinstance(each.task, PairTask) else each.task)
    return found


def _with_known_people(plan: Plan, server: Server) -> tuple[Plan, dict[str, int]]:
    """The plan without answers that go into tasks and are of nobody on this server; and the numbers of the others."""
    if not any(each.given for each in plan.wanted):
        return plan, {}
    people = {name: int(number) for number, name in server.people().items()}
    wanted = (
        replace(each, given={person: choice for person, choice in each.given.items() if person in people})
        for each in plan.wanted
    )
    return replace(plan, wanted=tuple(wanted)), people


def _remembered(
    workspace: Workspace, kind: Kind, before: Mapping[str, object], after: Mapping[str, object]
) -> tuple[str, ...]:
    """Remember which tasks the project holds; the external ids of those that were remembered and had gone."""
    was_there = {name for (name,) in workspace.db.run("SELECT external_id FROM tasks WHERE kind = ?", kind)}
    with workspace.db.transaction():
        workspace.db.run("DELETE FROM tasks WHERE kind = ?", kind)
        workspace.db.run_many("INSERT INTO tasks VALUES (?, ?)", ((kind, name) for name in after))
    return tuple(sorted(was_there - before.keys()))


def _nothing_to_ask(workspace: Workspace) -> BadInput:
    return BadInput(f"{workspace.folder}: nothing to ask; pairs are queued by: da2k build select {workspace.folder}")


def _step(show: Show | None, name: str) -> Progress | None:
    return show(name) if show else None
