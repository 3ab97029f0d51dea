"""A real Label Studio server with people on it, and a workspace whose pairs want answers."""

import hashlib
import os
import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from da2k.annotation.studio import VERSION, Running, is_prepared, run
from da2k.construction.queue import DrawnPair, add_manual_pairs, write_pairs
from da2k.construction.settings import FILE_NAME, Settings, write_settings
from da2k.construction.workspace import Workspace, create_workspace
from da2k.pairs import Point, pair_id

CHECKOUT = Path(__file__).resolve().parents[2]
EXPERTS = ("baseline:row", "baseline:centre", "baseline:haze", "baseline:sharpness")


def prepared_environment() -> Path:
    """Label Studio's environment, as `make test` prepares it; skips where there is none."""
    folder = Path(os.environ.get("DA2K_LABEL_STUDIO") or CHECKOUT / ".label-studio").absolute()
    if not is_prepared(folder):
        pytest.skip(f"needs Label Studio {VERSION} in {folder}, which `make label-studio` prepares")
    return folder / VERSION


def free_port() -> int:
    """A port nobody listens on, outside the range that the system gives to outgoing connections."""
    import socket

    while True:
        port = random.SystemRandom().randrange(18000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


@dataclass(frozen=True)
class Person:
    """Somebody with an account on the server."""

    email: str
    password: str
    id: int
    token: str


class Studio:
    """A real server on 127.0.0.1, with its own data; `url`, `token` (the administrator's) and `root` stay the same.

    `root` is the server's document root: pictures have to lie in a sub-folder of it.
    """

    def __init__(self, folder: Path) -> None:
        self.environment = prepared_environment()
        self.data, self.root = folder / "data", folder / "root"
        self.port = free_port()
        self._stack = ExitStack()
        self._people: dict[str, Person] = {}
        self.start()
        self.admin = self._account(self.running.email, self.running.password)
        self.token = self.admin.token

    @property
    def url(self) -> str:
        return self.running.url

    def start(self) -> None:
        """Start it, for the first time or again; the data stay."""
        served = run(self.environment, self.data, port=self.port, document_root=self.root)
        self.running: Running = self._stack.enter_context(served)

    def stop(self) -> None:
        """Stop it as it wants to be stopped."""
        self._stack.close()

    def kill(self) -> None:
        """End it as a power cut does; `start` starts it again."""
        import signal

        os.kill(self.running.pid, signal.SIGKILL)
        self._stack.close()

    def api(self, method: str, path: str, token: str | None = None, **more: object) -> httpx.Response:
        """A request with somebody's token, the administrator's by default."""
        given = {"Authorization": f"Token {token or self.token}"}
        return httpx.request(method, f"{self.url}{path}", headers=given, timeout=60, trust_env=False, **more)

    def person(self, name: str) -> Person:
        """Somebody who signs up through the invite link; the same one for the same name."""
        if name not in self._people:
            invite = self.api("GET", "/api/invite").json()["token"]
            email, password = f"{name.lower()}@example.org", f"secret of {name}"
            with httpx.Client(base_url=self.url, trust_env=False, timeout=60) as browser:
                _post_form(browser, f"/user/signup/?token={invite}", email=email, password=password)
            self._people[name] = self._account(email, password)
        return self._people[name]

    def _account(self, email: str, password: str) -> Person:
        with httpx.Client(base_url=self.url, trust_env=False, timeout=60) as browser:
            _post_form(browser, "/user/login/", email=email, password=password)
            token = browser.get("/api/current-user/token").json()["token"]
            number = browser.get("/api/current-user/whoami").json()["id"]
        return Person(email, password, number, token)


def _post_form(browser: httpx.Client, path: str, **fields: str) -> None:
    field = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(path).text)
    assert field, path
    answer = browser.post(path, data={"csrfmiddlewaretoken": field[1], **fields})
    assert answer.status_code == 302, "the form was refused"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A real server for the tests of a module; skips where Label Studio is not prepared."""
    started = Studio(tmp_path_factory.mktemp("studio"))
    yield started
    started.stop()


INDOOR, FOG, OBJECT = "images/indoor/room.png", "images/adverse_style/fog é#1.png", "images/object/cup.png"
SIZES = {INDOOR: (96, 128), FOG: (64, 48), OBJECT: (80, 120)}
"""(height, width) of the photographs of `campaign`."""


def disputed(image: str, one: tuple[int, int], other: tuple[int, int], **more: object) -> DrawnPair:
    """A pair that the experts dispute, so that it goes to people; `one` is the smaller point."""
    fields = {"outcome": "disputed", "votes": (1, 2, 0, 1), "ratio": 3.5, "queued": True, **more}
    return DrawnPair(pair_id(image, Point(*one), Point(*other)), image, Point(*one), Point(*other), **fields)  # type: ignore[arg-type]


PAIRS = (
    disputed(INDOOR, (10, 20), (80, 100)),
    disputed(INDOOR, (0, 0), (95, 127), votes=(2, 2, 1, 0)),
    disputed(FOG, (5, 40), (60, 3)),
    disputed(FOG, (30, 10), (31, 12), votes=(0, 1, 2, 0)),
)
"""The pairs of `campaign` that the experts dispute; all are queued."""
CHOSEN = (OBJECT, Point(4, 7), Point(70, 110))
"""The pair of `campaign` that was chosen by hand; it is queued too."""


@pytest.fixture
def make_campaign(tmp_path: Path) -> Iterator["MakeCampaign"]:
    """`make_campaign(**settings)` gives an open workspace with queued pairs that nobody has answered."""
    with ExitStack() as stack:
        yield MakeCampaign(tmp_path, stack)


class MakeCampaign:
    """Makes workspaces; they are closed with the test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack

    def __call__(self, name: str = "ws", pairs: tuple[DrawnPair, ...] = PAIRS, **settings: object) -> Workspace:
        folder = self.folder / name
        chosen = Settings.model_validate({"experts": [{"model": model} for model in EXPERTS], **settings})
        folder.mkdir()
        write_settings(folder / FILE_NAME, chosen)
        workspace = self.stack.enter_context(create_workspace(folder, chosen))
        for image, (height, width) in SIZES.items():
            seed = int.from_bytes(hashlib.sha256(image.encode()).digest()[:4])
            path = folder / image
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
            Image.fromarray(pixels).save(path)
            stat, sha256 = path.stat(), hashlib.sha256(path.read_bytes()).hexdigest()
            workspace.db.run(
                "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?)",
                *(image, sha256, height, width, stat.st_size, stat.st_mtime_ns, "0" * 16),
            )
        with workspace.db.transaction():
            write_pairs(workspace, pairs)
        add_manual_pairs(workspace, [CHOSEN])
        return workspace


@pytest.fixture
def campaign(make_campaign: MakeCampaign) -> Workspace:
    """An open workspace: two photographs with two disputed pairs each, and one of a manual scenario with one pair."""
    return make_campaign()
