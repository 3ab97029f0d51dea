"""A real browser opens reports from disk: nothing is asked for, nothing complains, and a phone is wide enough."""

from pathlib import Path

import numpy as np
import pytest

import da2k
from da2k.leaderboard.report import write_report
from tests.leaderboard.report_pages import PAIRS, evaluated, plain_benchmark

DISPARITY = "affine_disparity"
NETWORKS = {
    "fast_depth_224": {"kind": "metric_depth"},
    "mobile_pydnet_kitti_pruned35_192x640": {"kind": "affine_disparity", "output_scale": "-1"},
    "pydnetpp_matterport_q8_448x640": {"kind": "scale_invariant_depth"},
}
COUNTS = {
    "fast_depth_224": (68, 32, 3),
    "mobile_pydnet_kitti_pruned35_192x640": (66, 37, 0),
    "pydnetpp_matterport_q8_448x640": (65, 38, 0),
}
"""Correct, wrong and tied, as the table beside the photos has them, computed by its maker."""


class Opened:
    """A page from disk, with everything that it asked for and complained about."""

    def __init__(self, browser, path: Path, width=1280, scheme="light", script=True) -> None:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=script
        )
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def require_quiet(self, path: Path) -> None:
        assert self.complaints == []
        assert [url for url in self.asked if not url.startswith("data:")] == [path.as_uri()]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A report in which two pairs are wrong, two are right, and one is tied."""
    folder = tmp_path_factory.mktemp("plain")
    result = evaluated(plain_benchmark(folder, PAIRS), folder, lambda p: np.indices(p.shape[:2])[0], kind=DISPARITY)
    return write_report(result, folder / "report.html", benchmark=folder / "plain").path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_a_report_opens_from_disk_at_any_width(browser, made, width, scheme):
    opened = Opened(browser, made, width, scheme)
    opened.require_quiet(made)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is cut off sideways"
    seen = opened.page.evaluate("[...document.images].every(each => each.complete && each.naturalWidth)")
    assert seen
    assert opened.page.locator("ol.r-pairs img").count() == 3
    assert opened.page.locator("figure svg").count() >= 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(browser, made, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    page = browser.new_context(color_scheme=scheme, bypass_csp=True).new_page()
    page.goto(made.as_uri())
    found = axe.Axe().run(page)
    assert found.response["violations"] == []


def test_a_report_reads_without_javascript(browser, made):
    opened = Opened(browser, made, script=False)
    assert opened.page.locator("h2").all_inner_texts() == [
        "Result",
        "By scenario",
        "Against the baselines",
        "Where it is right and where not",
        "Wrong pairs, the hardest first",
        "How it was measured",
    ]
    assert opened.page.locator("table").count() == 3


def test_text_is_inside_of_its_figure(browser, made):
    opened = Opened(browser, made)
    outside = opened.page.evaluate(
        """() => [...document.querySelectorAll('figure svg')].flatMap(svg => {
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll('text')].filter(text => {
                const box = text.getBoundingClientRect();
                return box.left < frame.left - 1 || box.right > frame.right + 1
                    || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
            }).map(text => text.textContent);
        })"""
    )
    assert outside == []


@pytest.fixture(scope="module")
def reports(shared, tmp_path_factory) -> dict[str, Path]:
    """Of each real network, on real photographs."""
    pytest.importorskip("ai_edge_litert")
    folder, photos = tmp_path_factory.mktemp("reports"), shared / "data/mini-da2k"
    found = {}
    for name, options in NETWORKS.items():
        spec, out = f"tflite:{shared / 'data/weights' / name}.tflite", folder / f"{name}.json"
        da2k.evaluate(spec, photos, model_options=options, out=out)
        found[name] = write_report(out, folder / f"{name}.html", benchmark=photos).path
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_reports_of_real_networks_on_real_photographs_open_from_disk(browser, reports, name):
    opened = Opened(browser, reports[name])
    opened.require_quiet(reports[name])
    correct, wrong, tied = COUNTS[name]
    assert f"{correct} of 103 pairs" in opened.page.locator(".result").inner_text()
    assert opened.page.locator("ol.r-pairs img").count() == wrong + tied
    assert opened.page.evaluate("[...document.images].every(each => each.complete && each.naturalWidth >= 200)")
    assert reports[name].stat().st_size < 10_000_000
