"""Write docs/annotate-*.png: the pages on which people answer, as a real server and a real browser show them.

Takes a few minutes: the built-in scenes are rendered at the size of a photograph. Needs Label Studio (`make
label-studio`) and chromium.
"""

import json
import shutil
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from da2k.annotation.campaign import Mode
from da2k.annotation.interface import interface
from da2k.annotation.pictures import draw_pair, encode, upright
from da2k.annotation.studio import Running, default_folder, prepare, run
from da2k.annotation.tasks import Kind
from da2k.datasets.scenes import iterate_scenes
from da2k.datasets.scenes.render import picture
from da2k.datasets.scenes.stages import STAGES
from da2k.pairs import Point

DOCS = Path(__file__).parent
PORT = 18181
LARGER = 4
"""The scenes' size, against that of the demo."""
SIZE = {"width": 1400, "height": 900}
MOST_BYTES = 400_000


def photograph(name: str) -> np.ndarray:
    """A built-in scene, larger."""
    for number, make in enumerate(STAGES):
        setting, film = (np.random.default_rng([0, number, part]) for part in range(2))
        stage = make(setting)
        if stage.name == name:
            height, width = stage.camera.size
            return picture(replace(stage, camera=replace(stage.camera, size=(height * LARGER, width * LARGER))), film)
    raise KeyError(name)


def data_uri(image: Image.Image) -> str:
    """A picture as its own address."""
    return f"data:image/jpeg;base64,{b64encode(encode(image)).decode()}"


def pair_task(name: str, number: int, first: str = "") -> dict[str, str]:
    """The task of a scene's pair of this number."""
    pair = next(scene for scene in iterate_scenes() if scene.name == name).pairs[number]
    one, other = (Point(*(x * LARGER + LARGER // 2 for x in point)) for point in (pair.point2, pair.point1))
    drawn = draw_pair(photograph(name), one, other)
    shown = {"image": drawn.marked, "strip_a": drawn.strip_a, "strip_b": drawn.strip_b}
    return {"external_id": pair.id, "first": first, **{key: data_uri(image) for key, image in shown.items()}}


def photo_task(name: str) -> dict[str, str]:
    """The task to choose a pair of a scene."""
    return {"external_id": name, "image": data_uri(upright(photograph(name)))}


def log_in(page: Page, running: Running) -> None:
    """Log in through the form."""
    page.goto(f"{running.url}/user/login/")
    page.fill("input[name=email]", running.email)
    page.fill("input[name=password]", running.password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "/login" not in url)


def send(page: Page, running: Running, path: str, content: Any) -> Any:
    """POST with the session of the browser."""
    answer = page.request.post(
        f"{running.url}{path}",
        data=json.dumps(content),
        headers={
            "Content-Type": "application/json",
            "X-CSRFToken": next((c["value"] for c in page.context.cookies() if c["name"] == "csrftoken"), ""),
        },
    )
    if not answer.ok:
        raise SystemExit(f"{path}: {answer.status} {answer.text()[:300]}")
    return answer.json()


def open_task(page: Page, running: Running, title: str, kind: Kind, mode: Mode, task: dict[str, str]) -> None:
    """Make a project with one task, and show it."""
    fields = {"title": title, "label_config": interface(kind, mode)}
    number = send(page, running, "/api/projects", fields)["id"]
    send(page, running, f"/api/projects/{number}/import", [{"data": task}])
    page.goto(f"{running.url}/projects/{number}/data?labeling=1")
    page.wait_for_function(
        "() => { const all = [...document.querySelectorAll('.lsf-image img')];"
        " return all.length && all.every(each => each.complete && each.naturalWidth && each.offsetWidth) }"
    )
    page.wait_for_timeout(3000)  # fonts and the drawn marks, which no event tells of


def shoot(page: Page, name: str) -> None:
    """Write what the page shows, its colours rounded by three steps at most so that the file is small."""
    path = DOCS / f"annotate-{name}.png"
    page.screenshot(path=path)
    with Image.open(path) as shown:
        shown.convert("RGB").point([255 if v > 252 else round(v / 6) * 6 for v in range(256)] * 3).save(
            path, optimize=True
        )
    print(path, path.stat().st_size)  # noqa: T201
    if path.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{path}: larger than {MOST_BYTES} bytes")


def main() -> None:
    """Write all four."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not on the path: apt-get install chromium")
    room = pair_task("living-room", 1)
    review = {**room, "first": "The first answer: B is closer. Do you agree?"}
    corridor, mug = pair_task("corridor", 0), photo_task("mug")
    with (
        TemporaryDirectory() as folder,
        run(
            prepare(default_folder(), print), Path(folder) / "data", port=PORT, document_root=Path(folder) / "root"
        ) as running,
        sync_playwright() as p,
        p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]) as browser,
    ):
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(180_000)
        log_in(page, running)
        page.evaluate("localStorage.setItem('preferred-color-scheme', 'Light')")
        open_task(page, running, "Which point is closer?", "pairs", "independent", room)
        page.keyboard.press("2")
        shoot(page, "light")
        open_task(page, running, "Which point is closer?", "pairs", "independent", corridor)
        shoot(page, "portrait")
        open_task(page, running, "Choose a pair", "photos", "independent", mug)
        box = page.locator(".photo .lsf-image img").bounding_box()
        assert box is not None
        for key, across, down in (("1", 0.62, 0.93), ("2", 0.3, 0.12)):
            page.keyboard.press(key)
            page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])
            page.wait_for_timeout(500)
        shoot(page, "photos")
        page.evaluate("localStorage.setItem('preferred-color-scheme', 'Dark')")
        open_task(page, running, "Which point is closer? (review)", "pairs", "review", review)
        shoot(page, "dark")


if __name__ == "__main__":
    main()
