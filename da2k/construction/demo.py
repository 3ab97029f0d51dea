"""The whole loop on built-in scenes: a benchmark is built, decided, released and scored."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import numpy as np
from numpy.typing import NDArray

from da2k.construction.decisions import Answer, Says
from da2k.construction.funnel import Funnel, funnel
from da2k.construction.intake import take_in
from da2k.construction.pipeline import build
from da2k.construction.queue import DrawnPair, add_manual_pairs, read_pairs, record_answers
from da2k.construction.release import ReleaseReport, make_release
from da2k.construction.settings import FILE_NAME, Settings
from da2k.construction.template import template
from da2k.construction.workspace import Workspace, open_workspace
from da2k.datasets.da2k import Benchmark, read_benchmark
from da2k.datasets.scenes import write_exact_depth, write_scenes
from da2k.errors import BadInput
from da2k.evaluation.evaluate import evaluate
from da2k.files import write_text
from da2k.results import Result

BASELINES = ("baseline:row", "baseline:centre", "baseline:haze", "baseline:sharpness")

CLEAR = 1.1
"""The exact depth answers where the farther point is at least so many times as far; else, as people, it cannot tell."""

DESCRIPTION = "Ray-cast scenes. No person took part: the renderer chose the manual pairs, and its exact depth decided."

MARK = "ABOUT.md"
ABOUT = """# Made by `da2k demo`

The next demo with the same `--out` replaces all of it; keep nothing of your own here.

- `scenes/`: ray-cast pictures; `exact_depth/`: their depth, as a predictions folder
- `workspace/`: a benchmark being built: `da2k build status workspace`
- `benchmark/`: its release; see the `README.md` in it
- `results/`: scores of the baselines and of the exact depth
- `leaderboard/`: these results as rows of a board; `site/index.html`: its pages; `report.html`: a report of one of them
"""

ReadDepth = Callable[[str], NDArray[np.float32]]
"""Gives the exact depth of an image, float32 [H, W], metres, larger = farther."""


@dataclass(frozen=True)
class Demo:
    """What the demo made.

    Attributes:
        funnel: how many pairs got how far.
        release: the benchmark.
        results: one a model, the exact depth last.
    """

    funnel: Funnel
    release: ReleaseReport
    results: tuple[Result, ...]


def demo_settings(seed: int = 0) -> Settings:
    """The settings of the demo: the baselines are the experts, and half of the unanimous pairs are audited."""
    return Settings.model_validate(
        {
            "seed": seed,
            "images": {"min_side": 180},
            "experts": [{"model": model} for model in BASELINES],
            "selection": {"quota": 8, "audit": 0.5},
            "release": {"name": "da2k-demo", "licence": "CC0-1.0", "description": DESCRIPTION},
        }
    )


def run_demo(folder: Path, progress: Callable[[int, int], None] | None = None) -> Demo:
    """Build a benchmark from the scenes, with the exact depth in the place of people, and score the baselines on it.

    Args:
        folder: receives `scenes/`, `exact_depth/` (a predictions folder), `workspace/`, `benchmark/` (the release) and
            `results/`. What an earlier demo left there is replaced.
        progress: called with (steps done, steps in all).

    Raises:
        BadInput: the folder holds something else.
    """
    exact = folder / "exact_depth"
    if folder.exists() and not _is_ours(folder):
        raise BadInput(f"{folder}: is there already and is not from the demo; choose another --out")
    write_text(folder / MARK, ABOUT)
    step = _steps(4 + len(BASELINES), progress)
    write_exact_depth(exact)
    scenes = read_benchmark(write_scenes(folder / "scenes"))
    next(step)
    rmtree(folder / "workspace", ignore_errors=True)
    write_text(folder / "workspace" / FILE_NAME, template(demo_settings()))
    take_in(folder / "workspace", scenes.root / "images")
    next(step)
    with open_workspace(folder / "workspace") as workspace:
        build(workspace)
        choose_by_hand(workspace, scenes)
        record_answers(workspace, answer_exactly(read_pairs(workspace, queued_only=True), lambda i: _read(exact, i)))
        release = make_release(workspace, folder / "benchmark", replace=True)
        found = funnel(workspace)
    next(step)
    results = []
    for spec in (*BASELINES, f"predictions:{exact}"):
        name = exact.name if spec.startswith("predictions:") else spec.split(":")[1]
        out = folder / "results" / f"{name}.json"
        results.append(evaluate(spec, folder / "benchmark", out=out, replace=True).result)
        next(step)
    return Demo(found, release, tuple(results))


def choose_by_hand(workspace: Workspace, scenes: Benchmark) -> None:
    """Queue the scenes' own pairs in the scenarios that experts have no say in."""
    chosen = (pair for pair in scenes.pairs if not workspace.settings.is_automatic(pair.scenario))
    add_manual_pairs(workspace, ((pair.image, pair.point1, pair.point2) for pair in chosen))


def answer_exactly(pairs: Iterable[DrawnPair], depth_of: ReadDepth) -> Iterator[Answer]:
    """What the exact depth says of each pair, in the place of a person."""
    for pair in pairs:
        depth = depth_of(pair.image)
        yield Answer(pair.id, "exact depth", _says(float(depth[pair.point1]), float(depth[pair.point2])), "exact")


def _says(depth1: float, depth2: float) -> Says:
    if max(depth1, depth2) < CLEAR * min(depth1, depth2):
        return "cannot_tell"
    return "point1" if depth1 < depth2 else "point2"


def _read(exact: Path, image: str) -> NDArray[np.float32]:
    depth: NDArray[np.float32] = np.load((exact / image).with_suffix(".npy"), allow_pickle=False)
    return depth


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and ((folder / MARK).is_file() or not any(folder.iterdir()))


def _steps(total: int, progress: Callable[[int, int], None] | None) -> Iterator[None]:
    for done in range(1, total + 1):
        if progress:
            progress(done, total)
        yield
