"""Bring in what people have answered from a file that Label Studio exported, for a server that cannot be reached."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NoReturn, TextIO

from da2k.annotation.campaign import read_campaign
from da2k.annotation.listing import Task, read_task, same_project, write_names
from da2k.annotation.pull import Looked, PullReport, count_answers, report_on
from da2k.annotation.tasks import KINDS, image_asked
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput

_CHUNK = 1 << 20
_PAGE = 1000


def pull_file(workspace: Workspace, path: Path) -> PullReport:
    """Bring in an export of Label Studio's, of the format JSON, and count all that is held.

    It gives what a pull from the server would give, but that people are known by number only. The file may be older
    than what was pulled before: of each task the later state stays. A file of a project on a server that was never
    asked keeps apart from other projects of the same number, until an annotation shows that they are one.

    Args:
        workspace: open for writing.
        path: the file.

    Raises:
        BadInput: it is no such export, or of another project or workspace; nothing is stored then.
    """
    found = _look_over(workspace, path)
    looked, older = Looked(), 0
    for page in _pages(_tasks(path)):
        for number, seen in found.seen.items():
            of_it = [task for task in page if task.project == number]
            newer = [task for task in of_it if not task.updated or task.updated > seen]
            older += len(of_it) - len(newer)
            looked.tasks |= {task.number for task in of_it}
            looked.store(workspace, found.url, number, newer, trusted=False)
    write_names(workspace, found.url, found.names)
    counted, notes = count_answers(workspace)
    older += len(looked.older)
    if older:
        notes = (*notes, f"{older} tasks of the file are older than what was pulled before, which stays")
    if not found.seen:
        notes = (*notes, f"{path} holds no task; nobody had answered when it was exported")
    return report_on(workspace, counted, notes, "file", [(found.url, number) for number in found.seen], looked)


@dataclass(slots=True)
class _Exported:
    """What a file is an export of.

    Attributes:
        url: of the server; a name for it that begins with "file " where nothing tells.
        seen: up to when each project was pulled from the server, by number; "" if never.
        names: e-mail addresses of its people, as far as they are told.
    """

    url: str = ""
    seen: dict[int, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def _look_over(workspace: Workspace, path: Path) -> _Exported:
    """Read the whole file without storing anything."""
    images = {image.image for image in workspace.images()}
    held = workspace.db.run("SELECT DISTINCT url, project FROM annotations ORDER BY url DESC, project")
    servers = list(dict.fromkeys(url for url, _ in held))
    possible = {url: [project for u, project in held if u == url] for url in servers if url.startswith("file ")}
    found, new_name = _Exported(), ""
    tasks = ours = known = 0
    for task in _tasks(path):
        assert task.project is not None
        tasks += 1
        image = image_asked(task.external_id)
        ours += image is not None
        known += image in images
        found.seen[task.project] = ""
        found.names |= task.names
        found.url = found.url or next((u for u in servers if same_project(workspace, u, task.project, [task])), "")
        possible = {url: numbers for url, numbers in possible.items() if not _differs(workspace, url, numbers, task)}
        new_name = new_name or (_new_name(task) if task.annotations else "")
    if tasks and not ours:
        raise BadInput(f"{path}: none of its {tasks} tasks is da2k's; is it the export of another project?")
    if tasks and not known:
        raise BadInput(
            f"{path}: none of its photographs is in {workspace.folder}; was it made for another workspace, or are the "
            f"photographs not taken in? See: da2k build status {workspace.folder}"
        )
    # People are known by number. Who is taken for two would check answers of his own, so that in doubt it is one.
    found.url = found.url or next(iter(possible), "") or new_name or "file"
    for campaign in (read_campaign(workspace, kind) for kind in KINDS):
        if campaign.project in found.seen and campaign.url == found.url:
            found.seen[campaign.project] = campaign.seen or ""
    return found


def _differs(workspace: Workspace, url: str, projects: Sequence[int], task: Task) -> bool:
    """Whether a task cannot be of this server, on which no number is given twice."""
    query = "SELECT created, task, project FROM annotations WHERE url = ? AND project = ? AND id = ?"
    return any(
        row != (each.created, task.number, task.project)
        for each in task.annotations
        for project in projects
        for row in workspace.db.run(query, url, project, each.id)
    )


def _new_name(task: Task) -> str:
    """A name for the server of a project that is only known from exports."""
    made = [(each.id, each.created) for each in task.annotations]
    return f"file {sha256(json.dumps([task.project, task.number, made]).encode()).hexdigest()[:8]}"


def _pages(tasks: Iterator[Task]) -> Iterator[list[Task]]:
    page: list[Task] = []
    for task in tasks:
        page.append(task)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


def _tasks(path: Path) -> Iterator[Task]:
    """The tasks of an export, one at a time: with pictures in it, it may be larger than the memory."""
    for found in _elements(path):
        if not isinstance(found, dict):
            _refuse(path, "holds a list of something else than tasks")
        if "annotations" not in found:
            if "annotation_id" in found or "annotator" in found:
                _refuse(path, "is of the format JSON-MIN, which leaves out what was shown")
            if "data" in found:
                _refuse(path, "holds tasks to import and no annotations")
            _refuse(path, "holds a list of something else than tasks")
        try:
            task = read_task(found)
        except BadInput as e:
            raise BadInput(f"{path}: {e}; is it as Label Studio exported it?") from None
        if task.project is None:
            raise BadInput(f"{path}: task {task.number} does not name its project; is it as Label Studio exported it?")
        yield task


def _elements(path: Path) -> Iterator[object]:
    """The elements of the list that a JSON file holds."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = _Text(file)
            _require_list(path, text.next())
            text.at += 1
            more = text.next() != "]"
            text.at += not more
            while more:
                yield text.value()
                separator = text.next()
                text.at += 1
                more = separator == ","
                if separator not in ("]", ","):
                    raise ValueError
            if text.next():
                raise ValueError
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    except RecursionError:
        raise BadInput(f"{path}: nested too deeply; is it as Label Studio exported it?") from None
    except ValueError:  # no UTF-8, no JSON, or a number of thousands of digits
        _refuse(path, "is no whole JSON file")


class _Text:
    """The text of a file, of which little more than the value that is being read is held."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._text = ""
        self._decode = json.JSONDecoder().raw_decode
        self.at = 0

    def next(self) -> str:
        """The next character that is no blank, "" at the end; it is not passed."""
        while True:
            while self._text[self.at : self.at + 1] in _BLANKS:
                self.at += 1
            if self.at < len(self._text) or not self._more():
                return self._text[self.at : self.at + 1]

    def value(self) -> object:
        """Read a value."""
        self.next()
        while True:
            try:
                found, end = self._decode(self._text, self.at)
            except json.JSONDecodeError:
                if not self._more():
                    raise
            else:
                self.at = end
                return found

    def _more(self) -> bool:
        """Read on; with a value that is not at its end yet ever more at once."""
        self._text = self._text[self.at :]
        self.at = 0
        more = self._file.read(max(_CHUNK, len(self._text)))
        self._text += more
        return bool(more)


_BLANKS = (" ", "\t", "\n", "\r")


def _require_list(path: Path, first: str) -> None:
    if first == "[":
        return
    if not first:
        _refuse(path, "is empty")
    _refuse(path, "holds one object and no list of tasks" if first == "{" else "is no JSON")


def _refuse(path: Path, what: str) -> NoReturn:
    raise BadInput(f'{path}: {what}; in Label Studio choose Export, then "JSON", and give that file')
