"""The loop that every stage runs in: what is up to date stays, the rest is made, one transaction an image."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from da2k.construction.workspace import Workspace
from da2k.evaluation.inference import reason

RowsT = TypeVar("RowsT")
Progress = Callable[[int, int], None]
"""Told (images done, images in all)."""


@dataclass(frozen=True)
class StageReport:
    """What a stage did.

    Attributes:
        stage: its name, such as "keypoints" or "readings: baseline:row".
        made: images made now that were not there before.
        remade: images made again, because what they depend on had changed.
        kept: images that were up to date.
        dropped: images whose rows were removed, because the stage has nothing to do with them any more.
        failures: image → why it failed, those of earlier runs included; also images whose file is gone or has changed,
            whose rows stay as they are.
        notes: anything else the user should know.
    """

    stage: str
    made: int = 0
    remade: int = 0
    kept: int = 0
    dropped: int = 0
    failures: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def work_through(
    workspace: Workspace,
    stage: str,
    keys: Mapping[str, str],
    compute: Callable[[Sequence[str]], Iterable[tuple[str, RowsT | Exception]]],
    write: Callable[[str, RowsT], None],
    forget: Callable[[str], None],
    *,
    retry: bool = False,
    progress: Progress | None = None,
) -> StageReport:
    """Bring a stage up to date.

    Args:
        workspace: open for writing.
        stage: its name in the table `work`.
        keys: for each image that the stage is for, the digest of all that its rows are made from.
        compute: gives the rows of each image it is asked for, or the exception it ended with, in any order. It is
            called only if there is something to make, so what it loads is loaded only then.
        write: stores the rows of an image; inside a transaction.
        forget: removes what the stage holds of an image; inside a transaction.
        retry: try images again that failed before, though nothing has changed.
        progress: called before the first image and after each.
    """
    stored: dict[str, tuple[str, str | None]] = {
        image: (key, failure)
        for image, key, failure in workspace.db.run("SELECT image, key, failure FROM work WHERE stage = ?", stage)
    }
    changed = workspace.changed_photos()
    dropped = [image for image in stored if image not in keys]
    for image in dropped:
        with workspace.db.transaction():
            forget(image)
            workspace.db.run("DELETE FROM work WHERE stage = ? AND image = ?", stage, image)
    due = [image for image, key in keys.items() if _is_due(stored.get(image), key, retry)]
    todo = [image for image in due if image not in changed]
    failures = {image: stored[image][1] or "" for image in keys.keys() - set(due) if stored[image][1]}
    failures |= {image: changed[image] for image in keys if image in changed}
    made = remade = 0
    for done, (image, rows) in enumerate(_with_progress(compute, todo, progress), 1):
        failure = reason(rows) if isinstance(rows, Exception) else None
        with workspace.db.transaction():
            forget(image)
            if not isinstance(rows, Exception):
                write(image, rows)
            workspace.db.run("INSERT OR REPLACE INTO work VALUES (?, ?, ?, ?)", stage, image, keys[image], failure)
        if failure is not None:
            failures[image] = failure
        elif image in stored and stored[image][1] is None:
            remade += 1
        else:
            made += 1
        if progress:
            progress(done, len(todo))
    kept = sum(1 for image in keys.keys() - set(due) if stored[image][1] is None and image not in changed)
    return StageReport(stage, made, remade, kept, len(dropped), failures)


def _is_due(stored: tuple[str, str | None] | None, key: str, retry: bool) -> bool:
    return stored is None or stored[0] != key or (retry and stored[1] is not None)


def _with_progress(
    compute: Callable[[Sequence[str]], Iterable[tuple[str, RowsT | Exception]]],
    todo: Sequence[str],
    progress: Progress | None,
) -> Iterator[tuple[str, RowsT | Exception]]:
    if not todo:
        return
    if progress:
        progress(0, len(todo))
    yield from compute(todo)
