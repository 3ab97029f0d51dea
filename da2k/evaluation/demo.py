"""The whole loop on built-in scenes."""

from collections.abc import Callable
from pathlib import Path

from da2k.datasets.scenes import write_exact_depth, write_scenes
from da2k.errors import BadInput
from da2k.evaluation.evaluate import evaluate
from da2k.results import Result

MODELS = ("baseline:row", "baseline:centre", "baseline:haze", "baseline:sharpness")


def run_demo(folder: Path, progress: Callable[[int, int], None] | None = None) -> list[Result]:
    """Write the scenes as a benchmark, score the baselines and the exact depth on them.

    Args:
        folder: receives `benchmark/`, `exact_depth/` (a predictions folder) and `results/`.
        progress: called with (models done, models in all).

    Returns:
        One result a model, the exact depth last.

    Raises:
        BadInput: the folder holds something else.
    """
    ours = folder / "exact_depth" / "predictions.yaml"
    if folder.exists() and not ours.is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder}: is there already and is not from the demo; choose another --out")
    exact = write_exact_depth(folder / "exact_depth")
    benchmark = write_scenes(folder / "benchmark")
    specs = (*MODELS, f"predictions:{exact}")
    results = []
    for spec in specs:
        name = spec.split(":")[1] if spec in MODELS else exact.name
        results.append(evaluate(spec, benchmark, out=folder / "results" / f"{name}.json", replace=True).result)
        if progress:
            progress(len(results), len(specs))
    return results
