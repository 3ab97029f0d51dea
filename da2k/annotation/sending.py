"""Sending tasks so that each arrives once: nothing is sent again before the server was asked what it has."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import dumps
from typing import Any

from da2k.annotation.once import batches
from da2k.annotation.server import NotThere, Server, Unsure
from da2k.annotation.tasks import GIVEN, Kind, kind_asked
from da2k.annotation.wanted import Plan, Wanted
from da2k.construction.stages import Progress

MOST_TASKS, MOST_BYTES = 300, 20_000_000
"""What one request holds at most."""

Task = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """A task on the server.

    Attributes:
        number: the server's.
        external_id: ours.
        data: what it holds; None where pictures stand in it, so that not all of them are in memory at once.
        first: the sentence that it shows.
        overlap: how many people are to annotate it.
        annotations: how many have, skips left out.
        done: whether it is given to nobody any more.
        swapped: whether the letter A stands at point2 in it; False in a task of a photograph.
        intact: whether its meta is as da2k makes it; otherwise nobody knows what it shows.
    """

    number: int
    external_id: str
    data: Mapping[str, Any] | None
    first: str
    overlap: int
    annotations: int
    done: bool
    swapped: bool
    intact: bool


@dataclass(frozen=True)
class Listing:
    """What a project holds.

    Attributes:
        tasks: da2k's tasks of the project's kind, by external id; the oldest first, where there are several.
        foreign: numbers of all other tasks.
    """

    tasks: Mapping[str, Sequence[Held]]
    foreign: Sequence[int]


def list_tasks(server: Server, project: int, kind: Kind, size: int = 1000) -> Listing:
    """What a project holds now; `size` tasks are asked for at once."""
    tasks: dict[str, list[Held]] = {}
    foreign = []
    for page in server.task_pages(project, only_ids=True, size=size):
        for row in page:
            data = row["data"] if isinstance(row["data"], Mapping) else {}
            name = str(data.get("external_id") or "")
            if kind_asked(name) != kind:
                foreign.append(int(row["id"]))
                continue
            tasks.setdefault(name, []).append(_held(row, data, name, kind))
    return Listing(tasks, foreign)


def send(
    server: Server,
    project: int,
    wanted: Sequence[Wanted],
    make: Callable[[Wanted], Task],
    look: Callable[[], Listing],
    listing: Listing,
    progress: Progress | None = None,
) -> Listing:
    """Send the tasks that the project does not hold.

    After a failure the server is looked at, and only what it lacks is sent: a request whose answer was lost is never
    made again blindly.

    Args:
        server: takes them.
        project: its number.
        wanted: the tasks, in order.
        make: the task as the server wants it.
        look: lists the project.
        listing: what it held last.
        progress: called with (tasks there, tasks wanted).

    Returns:
        What the project holds afterwards.

    Raises:
        Unsure: again and again nothing arrived, or the server does not answer.
        BadInput: the server refuses a task.
    """
    missing = [each for each in wanted if each.task.external_id not in listing.tasks]
    in_vain = 0
    while missing:
        done = len(wanted) - len(missing)
        failure = None
        try:
            for batch in task_batches(map(make, missing), MOST_TASKS, MOST_BYTES):
                if progress:
                    progress(done, len(wanted))
                server.import_tasks(project, batch)
                done += len(batch)
        except Unsure as e:
            failure = e
        if failure:
            server.patience.pause(in_vain, failure.after)
            wait_until_still(server, project)
        listing = look()
        left = [each for each in missing if each.task.external_id not in listing.tasks]
        in_vain = in_vain + 1 if len(left) == len(missing) else 0
        if in_vain >= server.patience.attempts:
            raise failure or Unsure(f"{server.url}: tasks that project {project} took are not there; see its log")
        missing = left
    if progress and wanted:
        progress(len(wanted), len(wanted))
    return listing


def wait_until_still(server: Server, project: int) -> None:
    """Wait until the number of tasks stays the same: a request that was given up may still be at work there."""
    counts: list[int] = []
    for attempt in range(max(3, server.patience.attempts)):
        counts.append(server.project(project).tasks)
        if len(counts) >= 3 and len(set(counts[-3:])) == 1:
            return
        server.patience.pause(attempt)


def remove_twins(server: Server, listing: Listing) -> tuple[int, list[str]]:
    """Delete tasks that arrived twice, because a request that was given up was done after all.

    Only those that nobody has touched, which is looked at right before. One of each always stays: of several that
    somebody touched, all; otherwise the oldest.

    Returns:
        How many were deleted, and the external ids that still stand there more than once.
    """
    deleted, left = 0, []
    for name, several in listing.tasks.items():
        if len(several) < 2:
            continue
        touched = [held.number for held in several if _is_touched(server, held.number)]
        for number in [held.number for held in several[0 if touched else 1 :] if held.number not in touched]:
            if _is_touched(server, number):
                touched.append(number)
            else:
                server.delete_task(number)
                deleted += 1
        if len(touched) > 1:
            left.append(name)
    return deleted, left


@dataclass(frozen=True, slots=True)
class Updated:
    """What became of tasks that were there.

    Attributes:
        again: tasks that one more person is asked of because people differ.
        reviewing: tasks that now show a first answer and showed none.
        closed: tasks of decided pairs that nobody is given any more.
    """

    again: int
    reviewing: int
    closed: int


def update_tasks(server: Server, plan: Plan, listing: Listing, progress: Progress | None = None) -> Updated:
    """Have each task ask for as many people as are wanted, and show its first answer where one is to be shown.

    A task that enough people have annotated asks for no more: what they said is not pulled yet. One whose pair is
    decided is given to nobody any more. One whose meta is lost is left alone.
    """
    due: list[tuple[Held, dict[str, Any]]] = []
    again = reviewing = closed = 0
    for each in plan.wanted:
        for held in _intact(listing, each.task.external_id):
            known = plan.annotators.get(held.number, ())
            # Some databases give a deleted task's number to the next one, and then these are of the deleted one.
            people = each.annotations(known if len(known) <= held.annotations else ())
            first = each.sentence(held.swapped)
            changes: dict[str, Any] = {}
            if _is_due(people, held):
                changes = {"overlap": people, "is_labeled": False}
                again += each.dissent
            if first != held.first:
                changes["data"] = {"first": first}
                reviewing += not held.first
            if changes:
                due.append((held, changes))
    for name in plan.decided:
        for held in _intact(listing, name):
            if not held.done:
                due.append((held, {"overlap": max(1, held.annotations), "is_labeled": True}))
                closed += 1
    for done, (held, changes) in enumerate(due, 1):
        if "data" in changes:
            data = server.task(held.number)["data"] if held.data is None else held.data
            changes["data"] = {**data, **changes["data"]}
        server.update_task(held.number, **changes)
        if progress:
            progress(done, len(due))
    return Updated(again, reviewing, closed)


def _intact(listing: Listing, name: str) -> list[Held]:
    return [held for held in listing.tasks.get(name, ()) if held.intact]


def _is_due(people: int, held: Held) -> bool:
    """Whether a task asks for another number of people than it should, and lacks some of them."""
    return held.annotations < people and (held.overlap != people or held.done)


def task_batches(tasks: Iterable[Task], most: int, most_bytes: int) -> Iterator[list[Task]]:
    """Tasks by as many as go into one request."""
    return batches(tasks, most, most_bytes, lambda task: len(dumps(task)))


def _held(row: Task, data: Mapping[str, Any], name: str, kind: Kind) -> Held:
    meta = row.get("meta")
    meta = meta if isinstance(meta, Mapping) else {}
    return Held(
        number=int(row["id"]),
        external_id=name,
        data=None if str(data.get("image", "")).startswith("data:") else data,
        first=str(data.get("first") or ""),
        overlap=int(row.get("overlap") or 1),
        annotations=int(row.get("total_annotations") or 0),
        done=bool(row.get("is_labeled")),
        swapped=meta.get("swapped") is True,
        intact=meta.get("da2k") == 1 and (kind == "photos" or isinstance(meta.get("swapped"), bool)),
    )


def _is_touched(server: Server, number: int) -> bool:
    """Whether anything of a task is a person's, or it is none as we make them.

    An answer that da2k put into it, and that nobody changed there, is no person's work on it.
    """
    try:
        task = server.task(number)
    except NotThere:
        return False
    meta = task.get("meta")
    ours = isinstance(meta, Mapping) and meta.get("da2k") == 1
    annotations = task.get("annotations") or ()
    given = sum(map(_is_given, annotations))
    of_people = max(len(annotations), task.get("total_annotations") or 0) > given
    others = ("drafts", "cancelled_annotations", "comment_count", "draft_exists")
    return not ours or of_people or any(task.get(key) for key in others)


def _is_given(annotation: object) -> bool:
    """Whether da2k put an annotation into its task, and nobody has changed it."""
    if not isinstance(annotation, Mapping) or annotation.get("updated_by") or annotation.get("was_cancelled"):
        return False
    result = annotation.get("result")
    return isinstance(result, list) and [isinstance(i, Mapping) and i.get("id") for i in result] == [GIVEN]
