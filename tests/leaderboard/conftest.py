"""Boards made by the scorer itself: benchmarks of noise, models that know so many of the labels, and real networks."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from da2k.evaluation.evaluate import evaluate
from da2k.leaderboard.rows import Row
from da2k.pairs import SCENARIOS
from da2k.results import Result, read_result

BASELINES = ("baseline:row", "baseline:centre", "baseline:haze", "baseline:sharpness")
NETWORKS = {
    "fast_depth_224": {"kind": "metric_depth"},
    "mobile_pydnet_kitti_pruned35_192x640": {"kind": "affine_disparity", "output_scale": "-1"},
    "pydnetpp_matterport_q8_448x640": {"kind": "scale_invariant_depth"},
}
SIDE = 32
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@dataclass(frozen=True)
class Model:
    """A make-believe model: how often it is right, and what its row says of it."""

    name: str
    skill: float
    parameters: int | None = None
    kind: str = "affine_disparity"
    licence: str | None = None
    url: str | None = None
    note: str | None = None
    speed: float | None = None
    device: str = "cpu"
    rescored: bool = True
    absent: int = 0


MODELS = (
    Model(
        "Deep Fjord L",
        0.97,
        335_000_000,
        licence="CC-BY-NC-4.0",
        speed=11.8,
        device="cuda",
        url="https://example.org/fjord",
    ),
    Model(
        "Deep Fjord S",
        0.93,
        24_800_000,
        licence="Apache-2.0",
        speed=61.0,
        device="cuda",
        url="https://example.org/fjord",
    ),
    Model("Tarn", 0.95, 1_290_000_000, "affine_depth", licence="MIT", speed=0.7, device="cuda", rescored=False),
    Model(
        "Moraine",
        0.86,
        97_500_000,
        "metric_depth",
        licence="Apache-2.0",
        speed=3.4,
        absent=1,
        note="two photographs at once",
    ),
    Model("Scree", 0.78, 4_100_000, "metric_depth", speed=140.0, licence="MIT"),
    Model("Unnamed", 0.7),
)


def write_benchmark(
    root: Path, images: int = 24, pairs: int = 8, seed: int = 0, scenarios: Sequence[str] = SCENARIOS
) -> Path:
    """Photographs of noise, and pairs of distinct points whose closer one is drawn."""
    rng = np.random.default_rng(seed)
    labels = {}
    for i in range(images):
        file = f"images/{scenarios[i % len(scenarios)]}/photo{i:03}.png"
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(root / file)
        points = [divmod(int(p), SIDE) for p in rng.choice(SIDE * SIDE, 2 * pairs, replace=False)]
        couples = zip(points[::2], points[1::2], strict=True)
        labels[file] = [{"point1": list(a), "point2": list(b), "closer_point": "point1"} for a, b in couples]
    (root / "annotations.json").write_text(json.dumps(labels))
    return root


def write_predictions(folder: Path, benchmark: Path, model: Model, seed: int) -> Path:
    """A map an image that orders a share `skill` of all pairs as the labels do."""
    rng = np.random.default_rng(seed)
    nearer = 1.0 if model.kind == "affine_disparity" else -1.0
    labels = json.loads((benchmark / "annotations.json").read_text())
    for i, (image, pairs) in enumerate(labels.items()):
        if i < model.absent:
            continue
        values = np.full((SIDE, SIDE), 5.0, np.float32)
        for pair in pairs:
            right = rng.random() < model.skill
            values[tuple(pair["point1"])] = 5 + nearer * (1 if right else -1)
        path = (folder / image).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, values)
    declared = {"model": model.name, "kind": model.kind, "parameters": model.parameters}
    text = json.dumps({key: value for key, value in declared.items() if value is not None})
    (folder / "predictions.yaml").write_text(text)
    return folder


def place(board: Path, result_file: Path, **fields: object) -> Path:
    """Write the row of a result, and its per-pair rows, where they belong; what changes the result is `result`."""
    change = fields.pop("result", {})
    result = read_result(result_file)
    result = Result.model_validate(
        {**result.model_dump(), **change(result.model_dump())} if callable(change) else result
    )
    row = Row.model_validate({"schema_version": 1, "result": result, "rescored": True, **fields})
    model, revision, stem = row.place
    path = board / "results" / model / revision / f"{stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(row.model_dump_json(indent=1) + "\n")
    shutil.copy(result_file.with_name(result.rows.file), path.parent)
    return path


def add_models(
    board: Path, benchmark: Path, scratch: Path, models: Sequence[Model] = MODELS, baselines: Sequence[str] = BASELINES
) -> Path:
    """Score make-believe models and baselines on a benchmark, and put their rows on a board."""
    for i, model in enumerate(models):
        maps = write_predictions(scratch / f"maps{i}", benchmark, model, seed=i)
        out = scratch / f"{i}.json"
        evaluate(f"predictions:{maps}", benchmark, out=out)
        run = {"images_per_second": model.speed, "device": model.device}

        def change(dumped: Mapping, run: Mapping = run) -> dict:
            return {"run": {**dumped["run"], **run}}

        fields = {"licence": model.licence, "url": model.url, "note": model.note, "rescored": model.rescored}
        place(board, out, result=change, **fields)
    for spec in baselines:
        out = scratch / f"{spec.split(':')[1]}.json"
        evaluate(spec, benchmark, out=out)
        place(board, out)
    return board


@pytest.fixture(scope="session")
def board(tmp_path_factory) -> Path:
    """Six make-believe models and four baselines on one release, two models on another; and published numbers."""
    root = tmp_path_factory.mktemp("board")
    first = write_benchmark(root / "noise", seed=1)
    second = write_benchmark(root / "noise2", images=8, seed=2)
    made = add_models(root / "board", first, root / "scratch")
    add_models(made, second, root / "scratch2", MODELS[:2], BASELINES[:1])
    shutil.copy(Path(__file__).resolve().parents[2] / "leaderboard/published.yaml", made)
    return made


@pytest.fixture
def new_board(tmp_path) -> Callable[..., Path]:
    """Makes a small board of its own: `new_board(models=…)` gives the folder."""

    def make(models: Sequence[Model] = MODELS[:2], scenarios: Sequence[str] = SCENARIOS[:2]) -> Path:
        benchmark = write_benchmark(tmp_path / "bench", images=4, pairs=6, scenarios=scenarios)
        return add_models(tmp_path / "board", benchmark, tmp_path / "scratch", models, BASELINES[:1])

    return make


@pytest.fixture(scope="session")
def real_results(shared, tmp_path_factory) -> Path:
    """A folder with the results of three real networks and four baselines on real photographs, by the command."""
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert, the extra da2k[edge]")
    folder = tmp_path_factory.mktemp("real")
    wanted = {
        name: (f"tflite:{shared / 'data/weights' / name}.tflite", [f"{k}={v}" for k, v in options.items()])
        for name, options in NETWORKS.items()
    }
    wanted |= {spec.split(":")[1]: (spec, []) for spec in BASELINES}
    for name, (spec, options) in wanted.items():
        words = [word for option in options for word in ("--model-option", option)]
        out = ["--out", str(folder / f"{name}.json")]
        command = [sys.executable, "-m", "da2k", "evaluate", spec, "--benchmark", str(shared / "data/mini-da2k"), *out]
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def real_board(real_results, tmp_path_factory) -> Path:
    """A board of the real results."""
    made = tmp_path_factory.mktemp("real-board")
    for result in sorted(real_results.glob("*.json")):
        place(made, result)
    shutil.copy(Path(__file__).resolve().parents[2] / "leaderboard/published.yaml", made)
    return made


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
