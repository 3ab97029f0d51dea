"""Drawing the pictures of tasks into files: each once, each photograph decoded once for all of them."""

import hashlib
import os
from collections.abc import Callable, Container, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import BinaryIO

from da2k.annotation.pictures import VERSION, Pixels, draw_pair, encode, shrunk, upright
from da2k.annotation.tasks import PairTask, PhotoTask
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput
from da2k.files import write_atomically
from da2k.images import Photo

Task = PairTask | PhotoTask

_MOST_THREADS = 8
"""Each holds a photograph and copies of it."""


@dataclass(frozen=True, slots=True)
class Names:
    """The files of a task's pictures.

    Attributes:
        image: the marked photograph; of a PhotoTask, the photograph itself.
        strip_a, strip_b: of the two points; None for a PhotoTask.
    """

    image: str
    strip_a: str | None = None
    strip_b: str | None = None

    @property
    def all(self) -> tuple[str, ...]:
        """Those there are."""
        return tuple(name for name in (self.image, self.strip_a, self.strip_b) if name is not None)


@dataclass(frozen=True, slots=True)
class Rendering:
    """What `render` left.

    Attributes:
        names: the files of each task whose pictures are there, by external id, in the order of the tasks.
        failures: the images of the others, and what is wrong with each, by image.
        drawn: tasks for which a picture was drawn now; two that share their pictures count twice.
    """

    names: Mapping[str, Names]
    failures: Mapping[str, str]
    drawn: int


def render(
    workspace: Workspace,
    tasks: Sequence[Task],
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Rendering:
    """Draw the pictures of these tasks that are not in the folder yet.

    A photograph is decoded once for all that is to be drawn of it, and not at all if that is nothing. One that fails,
    or has changed since it was taken in, does not stop the others, and its tasks have no names.

    Args:
        workspace: has the photographs.
        tasks: what to draw.
        folder: of the pictures; made if it is not there. A cut leaves whole files only, and the next call goes on.
        progress: called with how many tasks are done, of those that are to be drawn.

    Raises:
        BadInput: the folder cannot be written to, or the disk is full.
    """
    names = {task.external_id: names_of(task) for task in tasks}
    changed = workspace.changed_photos()
    failures = {task.image: changed[task.image] for task in tasks if task.image in changed}
    there = _files_in(folder)
    missing: dict[str, dict[str, Task]] = {}
    for task in tasks:
        if task.image not in failures and not there.issuperset(names[task.external_id].all):
            missing.setdefault(task.image, {})[task.external_id] = task
    total = sum(map(len, missing.values()))
    done = failed = 0
    if total and progress is not None:
        progress(0, total)
    with closing(_drawn(workspace.folder, missing, folder, there)) as drawn:
        for image, reason in drawn:
            if reason is not None:
                failures[image] = reason
                failed += len(missing[image])
            done += len(missing[image])
            if progress is not None:
                progress(done, total)
    kept = {task.external_id: names[task.external_id] for task in tasks if task.image not in failures}
    return Rendering(kept, dict(sorted(failures.items())), total - failed)


def names_of(task: Task) -> Names:
    """The files that a task's pictures have: digests, so that they tell nothing of the photograph or of other tasks.

    The same photograph, points and way of drawing give the same names.
    """
    if isinstance(task, PhotoTask):
        return Names(_name(task.photo))
    a, b = task.points
    what = f"{a.row},{a.col} {b.row},{b.col}"
    return Names(*(_name(task.photo, what, which) for which in ("marked", "a", "b")))


def _name(*what: str) -> str:
    told = "\n".join((f"da2k pictures {VERSION}", *what))
    return f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.jpg"


def _pictures(task: Task, pixels: Pixels, shown: Pixels, there: Container[str]) -> Iterator[tuple[str, bytes]]:
    """The files of a task, name and bytes, that are not there."""
    names = names_of(task)
    if isinstance(task, PhotoTask):
        if names.image not in there:
            yield names.image, encode(upright(pixels))
        return
    pair = draw_pair(pixels, *task.points, shown)
    for name, picture in zip(names.all, (pair.marked, pair.strip_a, pair.strip_b), strict=True):
        if name not in there:
            yield name, encode(picture)


def _files_in(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()
    except OSError as e:
        raise BadInput(f"{folder}: {e.strerror or e}") from None


def _drawn(
    photos: Path, missing: Mapping[str, Mapping[str, Task]], folder: Path, there: set[str]
) -> Generator[tuple[str, str | None]]:
    """Draw photograph after photograph on all cores; each with what is wrong with it, as it is done."""
    stop = Event()
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1), thread_name_prefix="draw") as pool:
        try:
            work = {
                pool.submit(_draw_all, photos / image, list(tasks.values()), folder, there, stop): image
                for image, tasks in missing.items()
            }
            for drawing in as_completed(work):
                yield work[drawing], drawing.result()
        finally:
            stop.set()  # what is queued then ends at once, and what is begun after its pair


def _draw_all(path: Path, tasks: Sequence[Task], folder: Path, there: set[str], stop: Event) -> str | None:
    """Draw what is missing of one photograph, `there` being what is not; what is wrong with it, if anything."""
    if stop.is_set():
        return None
    try:
        photo = Photo.open(path)  # made here, so that its pixels go when it is done
        if {photo.load()} != {task.photo for task in tasks}:
            return f"{path}: not the photograph that the pairs were made for; run the same command again"
        shown = shrunk(photo.pixels)
    except BadInput as e:
        return str(e)
    for task in tasks:
        if stop.is_set():
            break
        try:
            files = list(_pictures(task, photo.pixels, shown, there))
        except BadInput as e:
            return f"{task.external_id}: {e}"
        for name, data in files:
            write_atomically(folder / name, partial(_put, data))
            there.add(name)
    return None


def _put(data: bytes, file: BinaryIO) -> None:
    file.write(data)
