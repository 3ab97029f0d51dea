"""One model against measured depth, under a named protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from da2k.datasets.frames import FrameSet
from da2k.datasets.open_frames import open_frames
from da2k.depth import DepthKind
from da2k.errors import BadInput
from da2k.evaluation.dense.inputs import prepare_model
from da2k.evaluation.dense.loop import ScoredImage, score_frames
from da2k.evaluation.dense.rows import columns, make_rows
from da2k.evaluation.dense.summary import frames_digest, summarise_run
from da2k.evaluation.evaluate import Progress, check_arguments, journal_path
from da2k.evaluation.inference import BatchSize
from da2k.evaluation.journal import Journal
from da2k.evaluation.provenance import Stopwatch, fingerprint
from da2k.evaluation.saving import require_free, save_result
from da2k.models.python import Aspect, as_model
from da2k.models.registry import load_model
from da2k.protocols import dense_protocol
from da2k.results import DenseResult, ProtocolRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class DenseEvaluation:
    """A result and the rows behind it.

    Attributes:
        result: everything that is known about the run.
    """

    result: DenseResult
    _rows: list[dict[str, Any]]

    @property
    def metrics(self) -> Mapping[str, float]:
        """The mean of each metric over the scored images."""
        return {name: metric.mean for name, metric in self.result.metrics.items()}

    def __repr__(self) -> str:
        images = self.result.images
        values = ", ".join(f"{name}={value:.4f}" for name, value in self.metrics.items())
        wanted = images.scored + images.failed + images.absent if self.result.benchmark.own_list else images.expected
        return f"DenseEvaluation({values}; {images.scored} of {wanted} images)"

    @cached_property
    def rows(self) -> "pd.DataFrame":
        """One row an image; see `da2k.evaluation.dense.rows`."""
        import pandas as pd

        return pd.DataFrame(self._rows)

    def save(self, path: str | Path) -> DenseResult:
        """Write the result as JSON, and its rows as Parquet beside it."""
        return save_result(self.result, self._rows, columns(self.result.metrics), Path(path))


def evaluate_dense(
    model: Any,
    benchmark: str | FrameSet,
    protocol: str,
    *,
    root: Path | None = None,
    own_list: Path | None = None,
    partial: bool = False,
    kind: DepthKind | str | None = None,
    aspect: Aspect = "kept",
    model_options: Mapping[str, str] | None = None,
    device: str = "auto",
    batch_size: BatchSize = 1,
    workers: int = 1,
    out: str | Path | None = None,
    replace: bool = False,
    resume: bool | None = None,
    progress: Progress | None = None,
) -> DenseEvaluation:
    """Score a model against measured depth: AbsRel, δ1 and what else the protocol names, mean over images.

    Args:
        model: a model string (see `da2k.models.registry`), an object with `predict(images)`, or a function from
            RGB pixels, uint8 [H, W, 3], to a map [h, w] of any size and the image's aspect.
        benchmark: `kitti`, `nyu`, `sintel`, `eth3d`, `diode`, `diode-indoor` or `diode-outdoor`; or frames that
            were opened by the same protocol's rules.
        protocol: the name of a protocol that names this dataset, or the path of a YAML file with one.
        root: where the dataset lies; by default where `da2k data fetch` puts it.
        own_list: a list of other frames, in the format of the dataset's own; the result says so.
        partial: score what is here of an incomplete copy; the result says so.
        kind: what the plain arrays of a Python model mean; the direction is never guessed.
        aspect: "stretched" if a Python model's maps do not have their image's aspect.
        model_options, device: for a model string.
        batch_size: images given to `predict` at once; "auto" is 16, or fewer if memory runs out.
        workers: threads that read, align and compare beside the model.
        out: where to save the result.
        replace: let the result replace one of another model, dataset or protocol.
        resume: carry an interrupted run with the same `out` on. By default only for a model string.
        progress: called after each image that was run.

    Returns:
        The evaluation. Failed images, maps that are not finite and missing predictions are counted in it, never
        raised, and are in no mean.

    Raises:
        Da2kError: the model, the frames or the protocol cannot be used at all or not together, or `out` holds
            something else.
    """
    check_arguments(model, kind, model_options, batch_size)
    if workers < 1:
        raise BadInput(f"workers={workers}: must be 1 or more")
    rules = dense_protocol(protocol)
    frames = benchmark
    if not isinstance(frames, FrameSet):
        frames = open_frames(frames, rules.rules(frames), root, own_list=own_list, partial=partial)
    choices = rules.rules(frames.dataset)
    if frames.reader != choices.reader:
        raise BadInput(
            f"the frames were opened as {frames.reader}, and protocol {rules.name} reads {frames.dataset} as "
            f"{choices.reader}; open them by the rules of the protocol"
        )
    loaded = load_model(model, model_options, device) if isinstance(model, str) else as_model(model, kind, aspect)
    if loaded.record.kind is not None:
        rules.require(loaded.record.kind)
    scored = prepare_model(loaded, rules, choices)
    target = None if out is None else Path(out)
    watch = Stopwatch()
    if target is not None and not replace:
        named = ProtocolRecord(name=rules.name, digest=rules.digest)
        require_free(target, scored.record, frames_digest(frames), named, partial=bool(frames.absent))
    images: list[ScoredImage] = []
    remarks: list[str] = []
    known = isinstance(model, str) if resume is None else resume
    work = fingerprint(scored, rules.digest, frames_digest(frames), batch_size)
    with Journal(journal_path(target, scored, known), work) as journal:
        for image in score_frames(
            scored, frames, rules, choices, journal, batch_size=batch_size, workers=workers, say=remarks.append
        ):
            images.append(image)
            if progress and not image.resumed:
                progress(len(images), len(frames.frames))
        result = summarise_run(scored, frames, rules, images, watch, remarks)
        rows = make_rows(images, rules.metrics)
        if target is not None:
            result = save_result(result, rows, columns(rules.metrics), target)
        if all(image.failure is None for image in images):
            journal.finish()
    return DenseEvaluation(result, rows)
