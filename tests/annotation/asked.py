"""The projects of a workspace on a real server, made through the plain API, and people who answer there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from da2k.annotation.campaign import read_campaign, write_campaign
from da2k.annotation.interface import interface
from da2k.annotation.server import Patience, Server
from da2k.annotation.tasks import Kind, PairTask, PhotoTask, is_swapped
from da2k.construction.queue import read_pairs
from da2k.construction.workspace import Workspace
from tests.annotation.conftest import Person, Studio

TABLES = ("annotations", "people", "answers", "chosen", "pairs")


def connect(studio: Studio) -> Server:
    return Server(studio.url, studio.token, Patience(timeout=60, attempts=3, wait=0.05))


def choice(value: object, control: str = "closer") -> list[dict[str, Any]]:
    return [{"from_name": control, "to_name": "img", "type": "choices", "value": {"choices": [value]}}]


def mark(label: str, row: float, col: float, size: tuple[int, int]) -> dict[str, Any]:
    """What Label Studio keeps when a person clicks into the middle of a pixel."""
    height, width = size
    place = {"x": 100 * (col + 0.5) / width, "y": 100 * (row + 0.5) / height, "width": 0.4}
    of_it = {"original_width": width, "original_height": height, "image_rotation": 0}
    value = {**place, "keypointlabels": [label]}
    return {"from_name": "point", "to_name": "img", "type": "keypointlabels", "value": value, **of_it}


def marked(near: tuple[int, int], far: tuple[int, int], size: tuple[int, int]) -> list[dict[str, Any]]:
    return [mark("nearer", *near, size), mark("farther", *far, size)]


@dataclass(frozen=True)
class Asked:
    """A project with a task for each of some pairs or photographs."""

    studio: Studio
    project: int
    numbers: dict[str, int]  # external id → number of the task

    def task(self, task: PairTask | PhotoTask) -> int:
        return self.numbers[task.external_id]

    def answer(self, person: Person, task: PairTask | PhotoTask, result: object, **more: object) -> int:
        """Hand an annotation in; its number."""
        path = f"/api/tasks/{self.task(task)}/annotations/"
        done = self.studio.api("POST", path, person.token, json={"result": result, "lead_time": 2.5, **more})
        assert done.status_code == 201, done.text[:200]
        return int(done.json()["id"])

    def says(self, person: Person, task: PairTask, says: str, **more: object) -> int:
        return self.answer(person, task, choice(task.choice(says)), **more)  # type: ignore[arg-type]

    def change(self, person: Person, annotation: int, result: object) -> None:
        done = self.studio.api("PATCH", f"/api/annotations/{annotation}/", person.token, json={"result": result})
        assert done.status_code == 200, done.text[:200]

    def delete(self, what: str, number: int) -> None:
        """Delete "annotations" or "tasks" of this number, or "projects"."""
        assert self.studio.api("DELETE", f"/api/{what}/{number}/").status_code == 204


def pair_tasks(workspace: Workspace) -> list[PairTask]:
    """The tasks of all queued pairs."""
    photos = {image.image: image.sha256 for image in workspace.images()}
    return [
        PairTask(pair.id, photos[pair.image], is_swapped(workspace.settings.seed, pair.id, photos[pair.image]))
        for pair in read_pairs(workspace, queued_only=True)
    ]


def ask(studio: Studio, workspace: Workspace, kind: Kind, tasks: Sequence[PairTask | PhotoTask]) -> Asked:
    """Make a project with these tasks and bind the workspace to it."""
    title = {"title": f"{kind} of {workspace.folder.name}", "label_config": interface(kind, "independent")}
    made = studio.api("POST", "/api/projects/", json=title)
    assert made.status_code == 201, made.text[:200]
    project = int(made.json()["id"])
    path = f"/api/projects/{project}/import?return_task_ids=1"
    sent = studio.api("POST", path, json=[as_sent(task) for task in tasks])
    assert sent.status_code == 201, sent.text[:200]
    numbers = dict(zip((task.external_id for task in tasks), sent.json()["task_ids"], strict=True))
    known = read_campaign(workspace, kind)
    write_campaign(workspace, replace(known, url=studio.url, project=project, mode="independent", seen=None))
    return Asked(studio, project, numbers)


def as_sent(task: PairTask | PhotoTask) -> dict[str, Any]:
    data = {"external_id": task.external_id, "scenario": task.scenario, "image": "/x.jpg"}
    if isinstance(task, PhotoTask):
        return {"data": data, "meta": {"da2k": 1, "image": task.image, "photo": task.photo, "number": task.number}}
    meta = {"da2k": 1, "pair": task.pair, "photo": task.photo, "swapped": task.swapped}
    return {"data": {**data, "strip_a": "/a.jpg", "strip_b": "/b.jpg", "first": ""}, "meta": meta}


def tables(workspace: Workspace) -> dict[str, list[Any]]:
    """All that a pull writes, but for the time of the last pull."""
    found = {name: sorted(map(repr, workspace.db.run(f"SELECT * FROM {name}"))) for name in TABLES}
    seen = workspace.db.run("SELECT kind, url, project FROM campaigns ORDER BY kind")
    return {**found, "campaigns": seen}
