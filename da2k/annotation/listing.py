"""Annotations as Label Studio lists or exports them, and the table that keeps them as they came."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from da2k.construction.workspace import Workspace
from da2k.errors import BadInput

_LARGEST = 2**63 - 1  # what the database can hold


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one person submitted for one task; nothing is interpreted yet.

    Attributes:
        url: of the server; for an export of a server that is not known, a name for it that begins with "file ".
        project, id, task: numbers on that server.
        external_id: of the task, "" if it has none.
        meta: of the task, JSON.
        person: the user's number as text; "" for a user that was deleted.
        result: JSON.
        cancelled: whether the person skipped the task.
        seconds: the time it took, where known.
        created, updated: UTC, ISO 8601 with six digits of a second, so that later ones are larger as text.
    """

    url: str
    project: int
    id: int
    task: int
    external_id: str
    meta: str
    person: str
    result: str
    cancelled: bool
    seconds: float | None
    created: str | None
    updated: str | None

    @property
    def changed(self) -> str | None:
        """When it was last changed."""
        return self.updated or self.created


@dataclass(frozen=True, slots=True)
class Task:
    """A task with all its annotations.

    Attributes:
        number: on the server.
        project: on the server; None if the task does not say.
        external_id: "" if it has none.
        meta: JSON.
        updated: when it or an annotation was last changed, as `Annotation.updated`.
        annotations: by number; their `url` is "".
        names: e-mail addresses of the people in them, as far as they are told.
    """

    number: int
    project: int | None
    external_id: str
    meta: str
    updated: str | None
    annotations: tuple[Annotation, ...]
    names: Mapping[str, str]


@dataclass(slots=True)
class Changes:
    """What storing tasks changed.

    Attributes:
        new, changed, gone: annotations.
        older: tasks that came in an older state than the one that is held, which stays, by number; so many annotations
            more than came are held of each, fewer if negative.
    """

    new: int = 0
    changed: int = 0
    gone: int = 0
    older: dict[int, int] = field(default_factory=dict)


def read_task(found: object, project: int | None = None) -> Task:
    """A task of a listing or an export, with its annotations.

    Raises:
        BadInput: it is not of the form that Label Studio gives tasks.
    """
    try:
        return _read_task(found, project)
    except RecursionError:
        raise BadInput("a task is nested too deeply") from None


def _read_task(found: object, project: int | None) -> Task:
    if not isinstance(found, Mapping):
        raise BadInput("a task is no object")
    number = _number(found.get("id"), "a task's id")
    where = f"task {number}"
    if project is None and found.get("project") is not None:
        project = _number(found["project"], f"{where}: project")
    data, listed = found.get("data"), found.get("annotations")
    if not isinstance(data, Mapping) or not isinstance(listed, Sequence) or isinstance(listed, str):
        raise BadInput(f"{where}: data and annotations are not those of a Label Studio task")
    external_id = data.get("external_id")
    external_id = external_id if isinstance(external_id, str) and _is_text(external_id) else ""
    meta, names = _as_json(found.get("meta")), {}
    annotations = []
    for each in listed:
        if not isinstance(each, Mapping):
            raise BadInput(f"{where}: an annotation is no object")
        of_it = f"{where}, annotation {_number(each.get('id'), f'{where}: the id of an annotation')}"
        person, name = _person(each.get("completed_by"), of_it)
        if name:
            names[person] = name
        annotations.append(
            Annotation(
                url="",
                project=project or 0,
                id=each["id"],
                task=number,
                external_id=external_id,
                meta=meta,
                person=person,
                result=_as_json(each.get("result")),
                cancelled=each.get("was_cancelled") is True,
                seconds=_seconds(each.get("lead_time")),
                created=stamp(each.get("created_at")),
                updated=stamp(each.get("updated_at")),
            )
        )
    stamps = [stamp(found.get("updated_at")), *(each.changed for each in annotations)]
    annotations.sort(key=lambda each: each.id)
    latest = max(filter(None, stamps), default=None)
    return Task(number, project, external_id, meta, latest, tuple(annotations), names)


def stamp(value: object) -> str | None:
    """A time, given as one or as ISO 8601, in UTC with six digits of a second; None if it is no time.

    >>> stamp("2026-11-21T18:27:59+02:00")
    '2026-11-21T16:27:59.000000Z'
    """
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(time, datetime):
            return None
        time = time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def store(workspace: Workspace, url: str, project: int, tasks: Iterable[Task], *, trusted: bool = False) -> Changes:
    """Put all that is held of these tasks in the place of what was held before, in one transaction.

    A user that was deleted since stays known by number. What came before from an export of a server not known then
    becomes this project's, as soon as one annotation shows that it is.

    Args:
        workspace: open for writing.
        url, project: where the tasks are.
        tasks: complete, with all their annotations.
        trusted: take tasks as they are: also those that are older than what is held, and annotations that have the
            number of another one that is held, and let that go.

    Raises:
        BadInput: an annotation has the number of another one that is held; nothing is stored then.
    """
    changes = Changes()
    tasks = list(tasks)
    with workspace.db.transaction():
        _adopt(workspace, url, project, tasks)
        for task in tasks:
            held = {each.id: each for each in _of_task(workspace, url, project, task.number)}
            listed = {each.id: _placed(each, url, project, held) for each in task.annotations}
            if held == listed:
                continue
            if not trusted:
                _require_same(workspace, url, project, listed.values())
                if _is_older(task, held.values()):
                    changes.older[task.number] = len(held) - len(listed)
                    continue
            workspace.db.run(f"DELETE {_OF_TASK}", url, project, task.number)
            _insert(workspace, listed.values())
            changes.new += len(listed.keys() - held.keys())
            changes.gone += len(held.keys() - listed.keys())
            changes.changed += sum(held[number] != listed[number] for number in held.keys() & listed.keys())
    return changes


def held_annotations(workspace: Workspace) -> list[Annotation]:
    """All annotations that are held, by server, project and number."""
    rows = workspace.db.run(f"SELECT {', '.join(_COLUMNS)} FROM annotations ORDER BY url, project, id")
    return list(map(_of_row, rows))


def held_names(workspace: Workspace) -> dict[tuple[str, str], str]:
    """The e-mail addresses of all users that were ever seen, by server and number."""
    return {(url, person): name for url, person, name in workspace.db.run("SELECT url, person, name FROM people")}


def write_names(workspace: Workspace, url: str, names: Mapping[str, str]) -> None:
    """Store the e-mail addresses of a server's users; those of users that are gone stay."""
    rows = ((url, person, name) for person, name in names.items() if name.strip())
    with workspace.db.transaction():
        workspace.db.run_many("INSERT OR REPLACE INTO people VALUES (?, ?, ?)", rows)


def person_name(names: Mapping[tuple[str, str], str], annotation: Annotation) -> str:
    """Who gave an annotation: the e-mail address where it is known; a number means nothing on another server."""
    known = names.get((annotation.url, annotation.person))
    if known:
        return known
    who = f"user {annotation.person}" if annotation.person else "a deleted user"
    return f"{who} of {annotation.url if annotation.url.startswith('file ') else f'project {annotation.project}'}"


_COLUMNS = tuple(each.name for each in fields(Annotation))


# SQLite would search the primary key, which ends in the annotation's number, and read the whole project.
_OF_TASK = "FROM annotations INDEXED BY annotations_of_task WHERE url = ? AND project = ? AND task = ?"


def _of_task(workspace: Workspace, url: str, project: int, task: int) -> Iterator[Annotation]:
    return map(_of_row, workspace.db.run(f"SELECT {', '.join(_COLUMNS)} {_OF_TASK}", url, project, task))


def _is_older(task: Task, held: Iterable[Annotation]) -> bool:
    """Whether a later state of the task is held: whatever is done to a task, deletions too, moves its time on."""
    return bool(task.updated and any(task.updated < (each.changed or "") for each in held))


def _of_row(row: tuple[Any, ...]) -> Annotation:
    found = Annotation(*row)
    return replace(found, cancelled=bool(found.cancelled))


def _insert(workspace: Workspace, annotations: Iterable[Annotation]) -> None:
    marks = ", ".join("?" for _ in _COLUMNS)
    workspace.db.run_many(
        f"INSERT OR REPLACE INTO annotations ({', '.join(_COLUMNS)}) VALUES ({marks})",
        map(attrgetter(*_COLUMNS), annotations),
    )


def same_project(workspace: Workspace, url: str, project: int, tasks: Iterable[Task]) -> bool:
    """Whether one of these tasks has an annotation that is held of this project, made at the same moment."""
    query = "SELECT 1 FROM annotations WHERE url = ? AND project = ? AND id = ? AND task = ? AND created = ?"
    return any(
        workspace.db.run(query, url, project, each.id, each.task, each.created)
        for task in tasks
        for each in task.annotations
        if each.created
    )


def _adopt(workspace: Workspace, url: str, project: int, tasks: Sequence[Task]) -> None:
    query = "SELECT DISTINCT url FROM annotations WHERE project = ? AND url LIKE 'file %' AND url != ?"
    for (unknown,) in workspace.db.run(query, project, url):
        if same_project(workspace, unknown, project, tasks):
            for statement in ("UPDATE OR IGNORE annotations SET url = ?3", "DELETE FROM annotations"):
                where = "WHERE url = ?1 AND project = ?2 AND ?3 != ?1"
                workspace.db.run(f"{statement} {where}", unknown, project, url)


def _placed(annotation: Annotation, url: str, project: int, held: Mapping[int, Annotation]) -> Annotation:
    earlier = held.get(annotation.id)
    person = annotation.person or (earlier.person if earlier else "")
    return replace(annotation, url=url, project=project, person=person)


def _require_same(workspace: Workspace, url: str, project: int, annotations: Iterable[Annotation]) -> None:
    """Refuse annotations of another project: numbers are given anew on each server, times of making are not."""
    for each in annotations:
        known = workspace.db.run(
            "SELECT created, task FROM annotations WHERE url = ? AND project = ? AND id = ?", url, project, each.id
        )
        if known and known[0] != (each.created, each.task):
            raise BadInput(
                f"{url}: annotation {each.id} of project {project} is another one than was pulled before; is the "
                "address that of another server now? If it was restored from a copy, pull with --everything"
            )


def _number(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LARGEST:
        raise BadInput(f"{what} is no number of Label Studio's")
    return value


def _person(value: object, where: str) -> tuple[str, str]:
    """A user's number as text, and the e-mail address if it is there too."""
    if value is None:
        return "", ""
    if isinstance(value, Mapping):
        name = value.get("email")
        is_name = isinstance(name, str) and _is_text(name)
        return str(_number(value.get("id"), f"{where}: completed_by")), str(name).strip() if is_name else ""
    return str(_number(value, f"{where}: completed_by")), ""


def _seconds(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _is_text(value: str) -> bool:
    """Whether it can be stored: half a character cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _as_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
