"""The report on measured depth: from checked rows to a page."""

from pathlib import Path
from typing import Any

from da2k.datasets.open_frames import open_frames
from da2k.errors import BadInput, Da2kError
from da2k.evaluation.dense.inputs import prepare_model
from da2k.evaluation.dense.summary import frames_digest
from da2k.leaderboard.pages import page
from da2k.leaderboard.report import figures
from da2k.leaderboard.report.about import about, direction
from da2k.leaderboard.report.dense import ScoredImages, read_images
from da2k.leaderboard.report.maps import HIGHEST_ERROR, FramePictures, draw_frames
from da2k.leaderboard.report.shown import lines, seen
from da2k.metrics.dense import METRICS
from da2k.models.registry import load_model
from da2k.protocols import dense_protocol
from da2k.results import DenseResult

_FRAMES = 3
"""So many of the best and of the worst frames are drawn."""
_PREDICTIONS = "predictions:"


def write_depth_page(
    result: DenseResult, path: Path, root: Path | None, own_list: Path | None, protocol: str | None
) -> tuple[str, list[str]]:
    """The page, and what its reader should be told on the command line too.

    Raises:
        BadInput: the rows are damaged, or frames and protocol that were given are not those of the result.
    """
    images = read_images(result, path)
    ends = _ends(images)
    drawn, notes = ([], [_no_maps(result)]) if root is None else _draw(result, images, ends, root, own_list, protocol)
    notes = [seen(note, 400) for note in notes]
    best, worst = ([pictures for index, pictures in drawn if index in end] for end in ends)
    return page(
        "report_depth.html.j2",
        **_headline(result),
        **_plots(images),
        clamped_much=images.much_clamped,
        best=best,
        worst=worst,
        unit="1/m" if drawn and drawn[0][1].near > drawn[0][1].far else "m",
        highest_error=HIGHEST_ERROR,
        notes=notes,
        warnings=lines(result.warnings),
        failures=lines(f"{failure.image}: {failure.reason}" for failure in result.failures),
        about=about(result),
    ), notes


def _ends(images: ScoredImages) -> tuple[list[int], list[int]]:
    """The best and the worst images, each the most extreme first; no image is in both."""
    ordered = images.best_first if len(images) else []
    few = min(_FRAMES, len(ordered) // 2)
    return ordered[:few], ordered[::-1][:few]


def _no_maps(result: DenseResult) -> str:
    if not result.model.spec.startswith(_PREDICTIONS):
        return "frames are drawn for predictions folders only: a network is not run again for a report"
    return "no --root was given: the best and the worst frames are not drawn"


def _draw(
    result: DenseResult,
    images: ScoredImages,
    ends: tuple[list[int], list[int]],
    root: Path,
    own_list: Path | None,
    protocol: str | None,
) -> tuple[list[tuple[int, FramePictures]], list[str]]:
    if not result.model.spec.startswith(_PREDICTIONS):
        return [], [_no_maps(result)]
    rules = dense_protocol(protocol or result.protocol.name)
    if rules.digest != result.protocol.digest:
        raise BadInput(
            f"protocol {rules.name} is not the one that the result was scored by (field protocol.digest); name that "
            "with --protocol, or leave --root out"
        )
    choices = rules.rules(result.benchmark.name)
    frames = open_frames(result.benchmark.name, choices, root, own_list=own_list, partial=True)
    if frames_digest(frames) != result.benchmark.digest:
        raise BadInput(
            "the frames are not those that the result was scored on (field benchmark.digest); give its list with "
            "--list, or leave --root out"
        )
    try:
        model = prepare_model(load_model(result.model.spec, result.model.options or None), rules, choices)
    except Da2kError as e:
        return [], [f"the predictions cannot be read again: {e}"]
    chosen = [*ends[0], *ends[1]]
    drawn, lacking = draw_frames(chosen, images, frames, rules, model)
    index_of = {str(images.image[index]): index for index in chosen}
    return [(index_of[pictures.image], pictures) for pictures in drawn], [f"not drawn: {why}" for why in lacking]


def _headline(result: DenseResult) -> dict[str, Any]:
    count, benchmark = result.images, result.benchmark
    return {
        "model": seen(result.model.name),
        "benchmark": seen(benchmark.name),
        "protocol": seen(result.protocol.name),
        "images": count,
        "partial": benchmark.partial,
        "own_list": benchmark.own_list,
        "level": f"{100 * result.level:g} %",
        "resamples": result.resamples,
        "metrics": [(METRICS[name], mean) for name, mean in result.metrics.items()],
        "clamped": result.clamped,
        "direction": direction(result.model.kind),
    }


def _plots(images: ScoredImages) -> dict[str, Any]:
    if not len(images):
        return {"error": None, "by_error": None, "by_delta1": None, "by_clamped": None}
    error, delta1 = images.error, images.delta1
    values = images.values[error.name]
    unit = f" ({error.unit})" if error.unit else ""
    label = f"{error.name}{unit}, {'← ' if error.better == 'lower' else ''}{error.better} is better"
    clamped = 100 * images.clamped
    return {
        "error": error,
        "by_error": figures.histogram(values, f"{error.name} of the images", label, float(values.mean())),
        "by_delta1": None
        if delta1 is None
        else figures.sorted_curve(delta1, "δ1 of the images, sorted", "δ1, higher is better →", 0, 1),
        "by_clamped": figures.histogram(
            clamped, "Clamped pixels of the images", "clamped pixels (%), fewer is better", float(clamped.mean())
        )
        if clamped.any()
        else None,
    }
