"""Bring in what people have answered in Label Studio."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from da2k.annotation.campaign import Campaign, read_campaign, write_campaign
from da2k.annotation.counting import Counted, count
from da2k.annotation.listing import (
    Changes,
    Task,
    held_annotations,
    held_names,
    read_task,
    stamp,
    store,
    write_names,
)
from da2k.annotation.project import follow_server
from da2k.annotation.server import Project, Server
from da2k.annotation.tasks import KINDS, Kind
from da2k.construction.queue import add_manual_pairs, record_answers
from da2k.construction.stages import Progress
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput, Da2kError, Unreachable

_OVERLAP = timedelta(minutes=5)
"""A change that takes long on the server bears an earlier time than others that could be seen before it."""
_TRIES = 3
_FEW, _MANY = 100, 1000
"""Tasks that are asked for at once: with pictures in them, a task holds about a megabyte."""


@dataclass(frozen=True)
class PullReport:
    """What a pull brought in.

    Attributes:
        kind: what the tasks ask; "file" for an export, which may hold both.
        tasks: looked at this time.
        annotations: held now of this project, skips included.
        new, changed, gone: of those, since the last pull.
        skipped: of those held, the skips.
        counted: answers that come from them.
        problems: the sort → which annotations do not count as they stand, and why.
        notes: anything else the user should know.
    """

    kind: Kind | Literal["file"]
    tasks: int
    annotations: int
    new: int
    changed: int
    gone: int
    skipped: int
    counted: int
    problems: Mapping[str, list[str]]
    notes: tuple[str, ...] = ()


def pull(
    workspace: Workspace,
    server: Server,
    *,
    everything: bool = False,
    kinds: Sequence[Kind] = KINDS,
    progress: Callable[[str], Progress] | None = None,
) -> list[PullReport]:
    """Bring in what was answered since the last pull, and count all that is held.

    All annotations are kept as they are. As many have to be held at the end as the server says it has; otherwise
    everything is listed. Doing it again, or after it was cut at any moment, gives the same.

    Args:
        workspace: open for writing.
        server: that the tasks were pushed to.
        everything: list all tasks, not only those that have changed; it finds deleted tasks, and believes a server that
            was restored from a copy.
        kinds: the projects to look at; those that were never pushed are passed over.
        progress: asked for a progress of each kind, in tasks.

    Raises:
        BadInput: nothing was pushed, or to another server, or the project was deleted.
        Unreachable: the server fails, or does not give all that it says it has. What came stays.
    """
    campaigns = [campaign for kind in kinds if (campaign := read_campaign(workspace, kind)).begun]
    if not campaigns:
        raise BadInput(f"{workspace.folder}: nothing was pushed yet; run: da2k annotate push {workspace.folder}")
    followed = [follow_server(workspace, server, campaign) for campaign in campaigns]
    campaigns = [campaign for campaign, _ in followed]
    for campaign in campaigns:
        if campaign.url != server.url:
            raise BadInput(f"{server.url}: the {campaign.kind} of {workspace.folder} were pushed to {campaign.url}")
    write_names(workspace, server.url, server.people())
    pulled: list[_Pulled] = []
    failure: Da2kError | None = None
    for campaign in campaigns:
        try:
            pulled.append(_fetch(workspace, server, campaign, everything, progress and progress(campaign.kind)))
        except Da2kError as e:
            failure = failure or e
    counted, notes = count_answers(workspace)
    notes = (*(note for _, told in followed for note in told), *notes)
    for each in pulled:
        write_campaign(workspace, each.campaign)
    if failure:
        raise failure
    return [
        report_on(workspace, counted, notes, each.campaign.kind, [(server.url, each.number)], each) for each in pulled
    ]


@dataclass(slots=True)
class Looked:
    """What has been looked at so far.

    Attributes:
        tasks: the numbers of the tasks.
        changes: what storing them changed.
        newest: the time of the newest change among them.
        vanished: external ids of tasks that are held and are not on the server any more.
        older: tasks that came in an older state than the one that is held, which stays, by number: the external id,
            and how many annotations more than came are held.
    """

    tasks: set[int] = field(default_factory=set)
    changes: Changes = field(default_factory=Changes)
    newest: str = ""
    vanished: list[str] = field(default_factory=list)
    older: dict[int, tuple[str, int]] = field(default_factory=dict)

    def store(self, workspace: Workspace, url: str, project: int, tasks: Sequence[Task], *, trusted: bool) -> None:
        """Store tasks and remember them."""
        changes = store(workspace, url, project, tasks, trusted=trusted)
        self.tasks |= {task.number for task in tasks}
        self.changes.new += changes.new
        self.changes.changed += changes.changed
        self.changes.gone += changes.gone
        for task in tasks:
            self.older.pop(task.number, None)
            if task.number in changes.older:
                self.older[task.number] = (task.external_id or f"task {task.number}", changes.older[task.number])
        self.newest = max([self.newest, *(task.updated or "" for task in tasks)])


@dataclass(slots=True)
class _Pulled(Looked):
    """What was looked at of a campaign, and how that stands afterwards."""

    campaign: Campaign = field(kw_only=True)
    number: int = field(kw_only=True)


def _fetch(
    workspace: Workspace, server: Server, campaign: Campaign, everything: bool, progress: Progress | None
) -> _Pulled:
    """Store the annotations of a project until as many are held as the server has."""
    assert campaign.project is not None
    found = _Pulled(campaign=campaign, number=campaign.project)
    since = None if everything or campaign.seen is None else campaign.seen
    before = server.project(found.number)
    for attempt in range(_TRIES + (since is not None)):
        begun, found.newest = time.monotonic(), ""
        _list(workspace, server, found, since, before, everything, progress)
        # Whatever changed while the tasks were listed bears a later time than this.
        seen = _earlier(found.newest, timedelta(seconds=time.monotonic() - begun))
        after = server.project(found.number)
        if _is_complete(workspace, server, found, since is None, before, after):
            seen = max(filter(None, (seen, since)), default=None)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            found.campaign = replace(read_campaign(workspace, campaign.kind), seen=seen, pulled=now)
            return found
        before, since = after, None
        if attempt:
            server.patience.pause(attempt - 1)
    raise Unreachable(
        f"{server.url}: project {found.number} has {_total(before)} annotations, and {_held(workspace, found)} came; "
        "what came is kept; pull again"
    )


def _list(
    workspace: Workspace,
    server: Server,
    found: Looked,
    since: str | None,
    project: Project,
    trusted: bool,
    progress: Progress | None,
) -> None:
    done = 0
    if since is None:
        found.tasks.clear()
        found.older.clear()
    size = _page_size(server, project)
    for page in server.task_pages(project.id, since=_earlier(since, _OVERLAP) if since else None, size=size):
        tasks = [read_task(task, project.id) for task in page]
        found.store(workspace, server.url, project.id, tasks, trusted=trusted)
        done += len(tasks)
        if progress:
            progress(done, max(done, project.tasks) if since is None else done)


def _is_complete(
    workspace: Workspace, server: Server, found: _Pulled, full: bool, before: Project, after: Project
) -> bool:
    """Whether as many are held as the server had at some time of the listing; people answer meanwhile.

    What is held of tasks that were deleted there, or that the server has in an older state, stays, and is left out
    here.
    """
    fewest, most = sorted((_total(before), _total(after)))
    held, found.vanished = _held(workspace, found) - sum(more for _, more in found.older.values()), []
    if full or held > most:
        there = found.tasks if full else _numbers(server, after)
        rows = workspace.db.run(
            "SELECT task, min(external_id), count(*) FROM annotations WHERE url = ? AND project = ? GROUP BY task",
            *(server.url, found.number),
        )
        gone = [(external_id or f"task {task}", number) for task, external_id, number in rows if task not in there]
        found.vanished = [name for name, _ in gone]
        held -= sum(number for _, number in gone)
    return fewest <= held <= most


def _numbers(server: Server, project: Project) -> set[int]:
    pages = server.task_pages(project.id, only_ids=True, size=_page_size(server, project))
    return {int(task["id"]) for page in pages for task in page}


def _page_size(server: Server, project: Project) -> int:
    """How many tasks to ask for at once: few, if their pictures stand in them, as the first one tells."""
    if project.tasks <= _FEW:
        return _FEW
    first = next(iter(server.task_pages(project.id, only_ids=True, size=1)), ())
    data = [task["data"] for task in first if isinstance(task["data"], Mapping)]
    inside = any(str(value).startswith("data:") for each in data for value in each.values())
    return _FEW if inside else _MANY


def _total(project: Project) -> int:
    return project.annotations + project.skipped


def _held(workspace: Workspace, found: _Pulled) -> int:
    query = "SELECT count(*) FROM annotations WHERE url = ? AND project = ?"
    return int(workspace.db.run(query, found.campaign.url, found.number)[0][0])


def _earlier(time_: str, by: timedelta) -> str | None:
    """A time less a span; None if there is none."""
    return stamp(datetime.fromisoformat(time_) - by) if time_ else None


def count_answers(workspace: Workspace) -> tuple[Counted, tuple[str, ...]]:
    """Count all annotations that are held: record the answers, and queue the pairs that people chose by hand.

    Returns:
        What they amount to, and what the user should know besides.
    """
    images = {image.image: image for image in workspace.images()}
    counted = count(held_annotations(workspace), held_names(workspace), images)
    notes = _queue_chosen(workspace, counted)
    record_answers(workspace, counted.answers, origin="label-studio")
    asked = {key for (key,) in workspace.db.run("SELECT id FROM pairs WHERE queued UNION SELECT pair FROM gold")}
    idle = sum(answer.pair not in asked for answer in counted.answers)
    if idle:
        notes.append(f"answers to pairs that are not queued are kept, and count again if the pairs are: {idle}")
    return counted, tuple(notes)


def _queue_chosen(workspace: Workspace, counted: Counted) -> list[str]:
    """Queue the pairs chosen now, and take those out of the queue that were chosen and are no more.

    Only pairs in the table `chosen` are ever taken out; it is written first, so that a cut leaves no pair that is
    queued by this function and not in it.
    """
    queued = {pair for (pair,) in workspace.db.run("SELECT id FROM pairs WHERE queued")}
    ours = {pair for (pair,) in workspace.db.run("SELECT pair FROM chosen")}
    new = [pair for pair in counted.chosen if pair not in queued]
    workspace.db.run_many("INSERT OR IGNORE INTO chosen VALUES (?)", [(pair,) for pair in new])
    add_manual_pairs(workspace, [counted.chosen[pair] for pair in new])
    answered = {pair for (pair,) in workspace.db.run("SELECT DISTINCT pair FROM answers WHERE origin = 'python'")}
    withdrawn = sorted(ours - counted.chosen.keys())
    leaving = [(pair,) for pair in withdrawn if pair not in answered]
    with workspace.db.transaction():
        workspace.db.run_many("DELETE FROM pairs WHERE id = ? AND outcome = 'manual'", leaving)
        workspace.db.run_many("DELETE FROM chosen WHERE pair = ?", [(pair,) for pair in withdrawn])
    notes = [f"pairs chosen by hand and queued, to be pushed and checked: {len(new)}"] if new else []
    if leaving:
        notes.append(f"pairs that were chosen by hand and are no more, which left the queue: {len(leaving)}")
    return notes


def report_on(
    workspace: Workspace,
    counted: Counted,
    notes: Iterable[str],
    kind: Kind | Literal["file"],
    places: Collection[tuple[str, int]],
    looked: Looked,
) -> PullReport:
    """What was pulled from these projects, each by the server's address and its number."""
    problems: dict[str, list[str]] = {}
    for problem in counted.problems:
        if (problem.url, problem.project) in places:
            problems.setdefault(problem.what, []).append(problem.where)
    if looked.vanished:
        problems["task deleted on the server"] = [f"{name}: its answers are kept" for name in looked.vanished]
    restored: tuple[str, ...] = ()
    if looked.older and kind != "file":
        problems["older on the server than what was pulled"] = [
            f"{name}: what was pulled before is kept" for name, _ in looked.older.values()
        ]
        restored = (
            f"{len(looked.older)} tasks are on the server as they were before the last pull, as after it was restored "
            "from a copy; their answers are kept; if the server is right, pull with --everything",
        )
    unclear = sum(place in places for _, place in counted.unclear)
    nothing = (f"photographs handed in as having no clear pair: {unclear}",) if unclear else ()
    query = "SELECT count(*) FROM annotations WHERE url = ? AND project = ?"
    return PullReport(
        kind=kind,
        tasks=len(looked.tasks),
        annotations=sum(workspace.db.run(query, *place)[0][0] for place in places),
        new=looked.changes.new,
        changed=looked.changes.changed,
        gone=looked.changes.gone,
        skipped=sum(counted.skipped.get(place, 0) for place in places),
        counted=sum(place in places for place in counted.sources),
        problems=problems,
        notes=(*notes, *nothing, *restored),
    )
