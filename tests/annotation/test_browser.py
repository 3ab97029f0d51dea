"""A real browser: people log in, see the pictures, answer with the keyboard, and the answers arrive."""

import shutil
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest

from da2k.annotation.interface import FARTHER, NEARER, NO_PAIR, NONE, POINT, interface
from da2k.annotation.pictures import draw_pair, encode, upright
from da2k.annotation.server import Patience, Server
from da2k.annotation.tasks import CLOSER, Kind
from da2k.construction.settings import Mode
from da2k.pairs import Point
from tests.annotation.conftest import Person, Studio

HEIGHT, WIDTH = 90, 120
GUIDELINES = "<h2>What is asked</h2><p>Which of the two points is closer to the camera?</p>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Chromium; skips where it is absent."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, an extra of da2k[dev]")
    if CHROMIUM is None:
        pytest.skip("needs chromium on the path: apt-get install chromium")
    with playwright.sync_playwright() as p:
        # A container has neither the privileges for the sandbox nor a large /dev/shm.
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        with p.chromium.launch(executable_path=CHROMIUM, args=options) as started:
            yield started


class Page:
    """A page of somebody who logged in through the form; every address that it asks for is kept."""

    def __init__(self, browser, studio: Studio, person: Person) -> None:
        self.studio = studio
        self.page = browser.new_page(viewport={"width": 1366, "height": 768})
        self.page.set_default_timeout(180_000)  # a busy machine is no failure
        self.asked: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"{studio.url}/user/login/")
        self.page.fill("input[name=email]", person.email)
        self.page.fill("input[name=password]", person.password)
        self.page.click("button[type=submit]")
        self.page.wait_for_url(lambda url: "/login" not in url)

    def label(self, project: int) -> None:
        """Open the stream of tasks, read the instructions, and close them."""
        self.page.goto(f"{self.studio.url}/projects/{project}/data?labeling=1")
        self.page.get_by_text("Which of the two points is closer").wait_for()
        self.page.keyboard.press("Escape")
        self.page.get_by_text("Which of the two points is closer").wait_for(state="hidden")
        self.settle()

    def settle(self) -> None:
        """Wait until the pictures are shown."""
        self.page.wait_for_function(
            "() => { const all = [...document.querySelectorAll('.lsf-image img')];"
            " return all.length && all.every(each => each.complete && each.naturalWidth && each.offsetWidth) }"
        )

    def choose(self, key: str) -> None:
        """Choose an answer by its key."""
        self.page.keyboard.press(key)
        self.page.locator(".lsf-choice input:checked").wait_for(state="attached")

    def submit(self) -> None:
        """Submit by keyboard, and wait until the server has it."""
        with self.page.expect_response(lambda r: "/annotations" in r.url and r.request.method == "POST") as arrived:
            self.page.keyboard.press("Control+Enter")
        assert arrived.value.status == 201

    def photo(self) -> dict[str, float]:
        """Where the photograph stands in the page."""
        return self.page.locator(".photo .lsf-image img").bounding_box()


@pytest.fixture(scope="module")
def page(browser, studio) -> Page:
    """Ann's page."""
    return Page(browser, studio, studio.person("Ann"))


def data_uri(picture) -> str:
    return f"data:image/jpeg;base64,{b64encode(encode(picture)).decode()}"


def pair_task(number: int, first: str = "") -> dict:
    pixels = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    pictures = draw_pair(pixels, Point(20, 30), Point(70, 100))
    names = ("image", "strip_a", "strip_b")
    shown = (pictures.marked, pictures.strip_a, pictures.strip_b)
    return {
        "external_id": str(number),
        "scenario": "indoor",
        "first": first,
        **{name: data_uri(picture) for name, picture in zip(names, shown, strict=True)},
    }


def photo_task(height: int = HEIGHT, width: int = WIDTH) -> dict:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return {"external_id": "1", "scenario": "object", "image": data_uri(upright(pixels))}


def project(studio: Studio, kind: Kind, tasks: list[dict], mode: Mode = "independent") -> int:
    fields = {
        "title": "In a browser",
        "label_config": interface(kind, mode),
        "expert_instruction": GUIDELINES,
        "show_instruction": True,
        "enable_empty_annotation": kind == "pairs",
        "sampling": "Sequential sampling",
    }
    number = studio.api("POST", "/api/projects", json=fields).json()["id"]
    sent = studio.api("POST", f"/api/projects/{number}/import", json=[{"data": task} for task in tasks])
    assert sent.status_code == 201, sent.text
    return number


def results(studio: Studio, number: int) -> list[list[dict]]:
    """The results of the project's annotations, by task."""
    tasks = studio.api("GET", f"/api/projects/{number}/export?exportType=JSON").json()
    tasks.sort(key=lambda task: task["id"])
    return [annotation["result"] for task in tasks for annotation in task["annotations"]]


def test_a_person_answers_pairs_with_the_keyboard(studio, page):
    number = project(studio, "pairs", [pair_task(i) for i in range(4)])
    page.label(number)
    page.page.keyboard.press("Control+Enter")
    page.page.get_by_text("Answer first: press 1, 2, 3 or 4").wait_for()
    assert not results(studio, number), "nothing is sent without an answer"
    page.page.keyboard.press("Escape")
    for key in "1234":
        page.settle()
        page.choose(key)
        page.submit()
        page.page.locator(".lsf-choice input:checked").wait_for(state="detached")
    given = [(r["from_name"], r["to_name"], r["value"]["choices"]) for (r,) in results(studio, number)]
    assert given == [(CLOSER, "img", [choice]) for choice in ("A", "B", "tie", "bad")]


@pytest.mark.parametrize("first", ["First answer: A is closer", ""])
def test_in_review_the_first_answer_stands_there(studio, page, first):
    number = project(studio, "pairs", [pair_task(0, first)], "review")
    page.label(number)
    box = page.page.locator(".first")
    assert box.is_visible() == bool(first)
    assert (box.text_content() or "").strip() == first


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (WIDTH, HEIGHT)])
def test_the_whole_photo_is_seen_at_once(studio, page, shape):
    number = project(studio, "photos", [photo_task(*shape)])
    page.label(number)
    box, bottom = page.photo(), page.page.locator("button", has_text="Skip").first.bounding_box()["y"]
    assert box["y"] > 0
    assert box["y"] + box["height"] <= bottom
    assert box["height"] > bottom / 2
    assert box["width"] / box["height"] == pytest.approx(shape[1] / shape[0], rel=0.02)


def test_a_person_marks_a_nearer_and_a_farther_point(studio, page):
    number = project(studio, "photos", [photo_task()])
    page.label(number)
    box, wanted = page.photo(), {NEARER: (70.5, 20.5), FARTHER: (11.5, 101.5)}
    for many, (key, (row, col)) in enumerate(zip("12", wanted.values(), strict=True)):
        page.page.keyboard.press(key)
        page.page.mouse.click(box["x"] + col / WIDTH * box["width"], box["y"] + row / HEIGHT * box["height"])
        page.page.wait_for_function(f"() => Htx.annotationStore.selected.areas.size > {many}")
    page.submit()
    (result,) = results(studio, number)
    assert [(r["from_name"], r["type"]) for r in result] == [(POINT, "keypointlabels")] * 2
    assert all((r["original_height"], r["original_width"]) == (HEIGHT, WIDTH) for r in result)
    marked = {r["value"]["keypointlabels"][0]: r["value"] for r in result}
    for label, (row, col) in wanted.items():
        assert marked[label]["y"] / 100 * HEIGHT == pytest.approx(row, abs=1.5)
        assert marked[label]["x"] / 100 * WIDTH == pytest.approx(col, abs=1.5)


def test_a_photo_without_a_pair_is_said_so_and_an_empty_one_is_not_submitted(studio, page):
    number = project(studio, "photos", [photo_task()])
    page.label(number)
    submit = page.page.locator("button", has_text="Submit").first
    assert submit.is_disabled()
    page.page.keyboard.press("Control+Enter")
    assert not results(studio, number)
    page.choose("3")
    page.submit()
    ((result,),) = results(studio, number)
    assert (result["from_name"], result["value"]["choices"]) == (NONE, [NO_PAIR])


def test_no_page_asks_anybody_but_the_server(page):
    asked = {urlsplit(url).hostname for url in page.asked if not url.startswith(("data:", "blob:"))}
    assert asked == {"127.0.0.1"}


def test_a_person_copies_a_token_of_either_kind(studio, browser):
    """As people find it, with the settings that our own servers have."""
    person = studio.person("Bo")
    page = Page(browser, studio, person).page
    page.goto(f"{studio.url}/user/account")
    page.get_by_role("link", name="Legacy Token").click()
    page.wait_for_function("() => [...document.querySelectorAll('input')].some(each => each.value.length == 40)")
    shown = [each.input_value() for each in page.locator("input").all()]
    (legacy,) = [text for text in shown if len(text) == 40]
    assert legacy == person.token
    page.get_by_role("link", name="Personal Access Token").click()
    page.get_by_role("button", name="Create New Token").click()
    page.wait_for_function(
        "() => [...document.querySelectorAll('input, textarea')].some(each => each.value.length > 99)"
    )
    shown = [each.input_value() for each in page.locator("input, textarea").all()]
    (personal,) = [text for text in shown if text.startswith("ey")]
    assert Server(studio.url, legacy, Patience(attempts=1)).user == person.id
    assert Server(studio.url, personal, Patience(attempts=1)).user == person.id
