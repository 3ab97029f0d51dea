"""Drawing pictures; sending 10,000 pairs to a real Label Studio whose pictures are drawn, and pulling 30,000 answers.

`python -m benchmarks.annotation`. The server is the one that `make label-studio` prepares; its database is SQLite.
"""

import random
import re
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from benchmarks.timing import seconds
from da2k.annotation import studio
from da2k.annotation.campaign import read_campaign
from da2k.annotation.delivery import Pictures
from da2k.annotation.pull import pull
from da2k.annotation.push import PushReport, push
from da2k.annotation.rendering import names_of, render
from da2k.annotation.server import Rows, Server
from da2k.annotation.studio import VERSION, Running, default_folder, is_prepared, prepare
from da2k.annotation.tasks import CLOSER
from da2k.annotation.wanted import plan_tasks
from da2k.construction.queue import DrawnPair, read_answers, write_pairs
from da2k.construction.settings import FILE_NAME, Settings, write_settings
from da2k.construction.workspace import Workspace, create_workspace
from da2k.files import sha256_file
from da2k.pairs import Point, pair_id

PHOTOS, PAIRS, PEOPLE = 500, 20, 3
SIZE = (48, 64)


@dataclass(frozen=True)
class Answered:
    """A server to which tasks go together with an answer of each of these people."""

    server: Server
    people: tuple[int, ...]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.server, name)

    def import_tasks(self, project: int, tasks: Rows) -> None:
        """Send tasks that everybody has answered, mostly alike."""
        chance = random.Random(len(tasks))
        self.server.import_tasks(
            project, [{**task, "annotations": [self._answer(who, chance) for who in self.people]} for task in tasks]
        )

    @staticmethod
    def _answer(person: int, chance: random.Random) -> Mapping[str, Any]:
        value = {"choices": [chance.choices("AB", (299, 1))[0]]}
        result = [{"from_name": CLOSER, "to_name": "img", "type": "choices", "value": value}]
        return {"completed_by": person, "result": result, "ground_truth": False, "lead_time": chance.uniform(2, 9)}


def fill(workspace: Workspace, photos: int, pairs: int, size: tuple[int, int]) -> None:
    """Photographs (rows, columns) with queued pairs; they have as much detail as 1/8 of their size holds."""
    rng = np.random.default_rng(0)
    for index in range(photos):
        image = f"images/indoor/{index:04}.jpg"
        path = workspace.folder / image
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8)
        Image.fromarray(noise).resize(size[::-1], Image.Resampling.BICUBIC).save(path, quality=90)
        stat = path.stat()
        row = (image, sha256_file(path), *size, stat.st_size, stat.st_mtime_ns, "0" * 16)
        workspace.db.run("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)", *row)
        pixels = rng.choice(size[0] * size[1], (pairs, 2), replace=False)
        points = [sorted(Point(*map(int, divmod(pixel, size[1]))) for pixel in pair) for pair in pixels]
        with workspace.db.transaction():
            write_pairs(
                workspace,
                (
                    DrawnPair(pair_id(image, a, b), image, a, b, "disputed", (1, 2, 0, 1), 3.5, queued=True)
                    for a, b in points
                ),
            )


def put_pictures(workspace: Workspace, root: Path) -> None:
    """Small files in the place of all pictures."""
    folder = Pictures("local", root).folder(workspace)
    folder.mkdir(parents=True)
    for wanted in plan_tasks(workspace, read_campaign(workspace, "pairs")).wanted:
        for name in names_of(wanted.task).all:
            (folder / name).write_bytes(b"\xff\xd8\xff a small file in the place of a picture")


@contextmanager
def served(folder: Path, root: Path) -> Iterator[tuple[Running, str]]:
    """A new server, and the token of its first user."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = prepare(default_folder(), print)
    with studio.run(environment, folder, port=port, document_root=root) as running:
        with httpx.Client(base_url=running.url, trust_env=False) as browser:
            field = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/user/login/").text)
            assert field
            given = {"csrfmiddlewaretoken": field[1], "email": running.email, "password": running.password}
            browser.post("/user/login/", data=given)
            token = browser.get("/api/current-user/token").json()["token"]
        yield running, token


def run_on(first: Workspace, second: Workspace, folder: Path) -> None:
    """Print the seconds, on a server of its own; the tasks of the second workspace come with answers."""
    root = folder / "root"
    for workspace in (first, second):
        put_pictures(workspace, root)
    with served(folder / "server", root) as (running, token):
        server = Server(running.url, token)
        reports: list[PushReport] = []

        def send(workspace: Workspace, to: Any) -> None:
            reports.extend(push(workspace, to, root=root))

        print(f"Label Studio {VERSION}: {PHOTOS * PAIRS:,} pairs on {PHOTOS} photographs, local pictures")
        show("push (goal: under 60 s)", lambda: send(first, server))
        show("push again, nothing to do", lambda: send(first, server))
        assert [(report.sent, report.present) for report in reports] == [(PHOTOS * PAIRS, 0), (0, PHOTOS * PAIRS)]
        send(second, Answered(server, people(running.url, token)))
        show(f"pull {PEOPLE * PHOTOS * PAIRS:,} answers (goal: under 90 s)", lambda: pull(second, server))
        assert sum(map(len, read_answers(second).values())) == PHOTOS * PAIRS * PEOPLE
        show("pull again at once, which lists them all", lambda: pull(second, server))
        show("push after that", lambda: send(second, server))
        print(f"  of that, {reports[-1].again} pairs were given to a fourth person")


def draw(workspace: Workspace) -> None:
    """Print how fast pictures are drawn."""
    tasks = [each.task for each in plan_tasks(workspace, read_campaign(workspace, "pairs")).wanted]
    for what in ("draw the pictures of a pair, 1500 x 2000", "the same, all drawn before"):
        took = seconds(lambda: render(workspace, tasks, workspace.folder / "annotation" / "pictures"))
        print(f"  {what:40} {1000 * took / len(tasks):7.2f} ms", flush=True)


def show(what: str, work: Callable[[], object]) -> None:
    """Print the seconds of some work."""
    print(f"  {what:40} {seconds(work):7.1f} s", flush=True)


def people(url: str, token: str) -> tuple[int, ...]:
    """New users, who cannot log in; their numbers."""
    given = {"Authorization": f"Token {token}"}
    bodies = [{"email": f"person{n}@example.org", "username": f"person{n}"} for n in range(PEOPLE)]
    return tuple(httpx.post(f"{url}/api/users/", headers=given, json=body).json()["id"] for body in bodies)


def run() -> None:
    """Print the seconds; nothing, where Label Studio is not prepared."""
    if not is_prepared(default_folder()):
        print(f"annotation: Label Studio {VERSION} is not prepared in {default_folder()}; run: make label-studio")
        return
    settings = Settings.model_validate(
        {"experts": [{"model": f"baseline:{cue}"} for cue in ("row", "centre", "haze", "sharpness")]}
    )
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        first, second, photos = (
            stack.enter_context(create_workspace(Path(name) / each, settings)) for each in ("first", "second", "photos")
        )
        for workspace in (first, second, photos):
            write_settings(workspace.folder / FILE_NAME, settings)
        fill(photos, 20, 2, (1500, 2000))
        draw(photos)
        for workspace in (first, second):
            fill(workspace, PHOTOS, PAIRS, SIZE)
        run_on(first, second, Path(name))


if __name__ == "__main__":
    run()
