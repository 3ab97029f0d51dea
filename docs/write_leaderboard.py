"""Write docs/leaderboard-*.png and docs/report-*.png: a board of the demo's scenes, as a browser shows it.

The models are the scenes' exact depth, and the same with noise on it; only their names are made up.
"""

import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from da2k.construction.demo import BASELINES, run_demo
from da2k.datasets.da2k import read_benchmark
from da2k.leaderboard.report import write_report
from da2k.leaderboard.site import build_site
from da2k.leaderboard.submissions.add import add_submission
from da2k.leaderboard.submissions.check import check_submission

DOCS = Path(__file__).parent
NOISE = {"exact depth": 0.0, "noise of 10 %": 0.1, "noise of 20 %": 0.2, "noise of 40 %": 0.4}
SIZES = {"desktop": (1280, 1000), "phone": (390, 844)}
CHROMIUM = "/usr/bin/chromium"


def write_noisy(exact: Path, folder: Path, name: str, noise: float) -> None:
    """A predictions folder of the exact depth, each value times a factor of its own."""
    rng = np.random.default_rng(0)
    for path in sorted(exact.rglob("*.npy")):
        values = np.load(path, allow_pickle=False)
        target = folder / path.relative_to(exact)
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, (values * np.exp(rng.normal(0, noise, values.shape))).astype(np.float32))
    (folder / "predictions.yaml").write_text(f"model: {name}\nkind: metric_depth\nlicence: CC0-1.0\n")


def write_pages(folder: Path) -> dict[str, Path]:
    """The board's first page and a report."""
    run_demo(folder / "demo")
    labels, board = read_benchmark(folder / "demo" / "benchmark", name="da2k-demo"), folder / "board"
    for name, noise in NOISE.items():
        write_noisy(folder / "demo" / "exact_depth", folder / name, name, noise)
        add_submission(check_submission(folder / name, labels), board)
    for baseline in BASELINES:
        result = folder / "demo" / "results" / f"{baseline.split(':')[1]}.json"
        add_submission(check_submission(result, labels), board)
    (board / "published.yaml").write_bytes((DOCS.parent / "leaderboard" / "published.yaml").read_bytes())
    build_site(board, folder / "site")
    write_report(folder / "demo" / "results" / "sharpness.json", folder / "report.html", benchmark=labels.root)
    return {"leaderboard": folder / "site" / "index.html", "report": folder / "report.html"}


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for page_name, path in write_pages(Path(name)).items():
            for size_name, (width, height) in SIZES.items():
                for scheme in ("light", "dark"):
                    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                    page.goto(path.as_uri())
                    page.screenshot(path=DOCS / f"{page_name}-{size_name}-{scheme}.png")
                    page.close()
        browser.close()


if __name__ == "__main__":
    main()
