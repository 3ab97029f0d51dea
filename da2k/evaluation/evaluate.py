"""One model on one ordering benchmark."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from da2k.datasets.benchmarks import open_benchmark, open_photos
from da2k.datasets.da2k import Benchmark
from da2k.depth import DepthKind
from da2k.errors import BadInput
from da2k.evaluation.inference import BatchSize
from da2k.evaluation.journal import Journal
from da2k.evaluation.provenance import Stopwatch, fingerprint
from da2k.evaluation.readings import read_pairs
from da2k.evaluation.rows import COLUMNS, JudgedImage, judge, make_rows
from da2k.evaluation.saving import require_free, save_result
from da2k.evaluation.summary import summarise_run
from da2k.models import Model
from da2k.models.python import Aspect, PythonModel, as_model
from da2k.models.registry import load_model
from da2k.protocols import ordering_protocol
from da2k.results import Counts, ModelRecord, Result, Scenario

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], None]
"""Told (images done, images in all) after each image."""


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """A result and the rows behind it.

    Attributes:
        result: everything that is known about the run.
    """

    result: Result
    _rows: list[dict[str, Any]]

    @property
    def accuracy(self) -> float:
        """correct / total over all pairs, in [0, 1]."""
        return self.result.accuracy.micro

    @property
    def counts(self) -> Counts:
        """How many pairs ended how."""
        return self.result.counts

    @property
    def scenarios(self) -> Mapping[str, Scenario]:
        """Counts, accuracy and interval of each scenario."""
        return self.result.scenarios

    def __repr__(self) -> str:
        low, high = self.result.accuracy.interval
        counts = " ".join(f"{name}={count}" for name, count in self.counts.model_dump().items())
        return f"Evaluation(accuracy={self.accuracy:.4f} [{low:.4f}, {high:.4f}], {counts})"

    @cached_property
    def rows(self) -> "pd.DataFrame":
        """One row a pair; the columns are `da2k.evaluation.rows.COLUMNS`."""
        import pandas as pd

        return pd.DataFrame(self._rows)

    def save(self, path: str | Path) -> Result:
        """Write the result as JSON, and its rows as Parquet beside it."""
        return save_result(self.result, self._rows, COLUMNS, Path(path))


def evaluate(
    model: Any,
    benchmark: str | Path | Benchmark,
    *,
    kind: DepthKind | str | None = None,
    aspect: Aspect = "kept",
    protocol: str = "da2k",
    root: Path | None = None,
    partial: bool = False,
    model_options: Mapping[str, str] | None = None,
    device: str = "auto",
    batch_size: BatchSize = 1,
    out: str | Path | None = None,
    replace: bool = False,
    resume: bool | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a model on an ordering benchmark.

    Args:
        model: a model string (see `da2k.models.registry`), an object with `predict(images)`, or a function from
            RGB pixels, uint8 [H, W, 3], to a map [h, w] of any size and the image's aspect.
        benchmark: a name from the data manifest, a folder in the official layout, or an opened Benchmark.
        kind: what the plain arrays of a Python model mean; the direction is never guessed.
        aspect: "stretched" if a Python model's maps do not have their image's aspect.
        protocol: the name of the scoring rules.
        root: where a named benchmark lies.
        partial: accept an incomplete copy of a named benchmark.
        model_options, device: for a model string.
        batch_size: images given to `predict` at once; "auto" is 16, or fewer if memory runs out. Images of equal
            size come after one another.
        out: where to save the result.
        replace: let the result replace one of another model or benchmark.
        resume: carry an interrupted run with the same `out` on. By default only for a model string: nothing tells
            whether a Python object has learned since.
        progress: called after each image that was run.

    Returns:
        The evaluation. Failed images, non-finite values and missing predictions are counted in it, never raised.

    Raises:
        Da2kError: the model or the benchmark cannot be used at all, an argument does not fit the model, or `out`
            holds something else.

    >>> import da2k, tempfile
    >>> from da2k.datasets.scenes import write_scenes
    >>> def lower_is_nearer(pixels):  # a network would stand here
    ...     height, width, _ = pixels.shape
    ...     return [[row] * width for row in range(height)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     score = da2k.evaluate(lower_is_nearer, write_scenes(folder), kind="affine_disparity")
    >>> 0 < score.accuracy < 1, score.counts.invalid, len(score.result.scenarios)
    (True, 0, 8)
    """
    check_arguments(model, kind, model_options, batch_size)
    rules = ordering_protocol(protocol)
    labels = benchmark
    if not isinstance(labels, Benchmark):
        labels = open_benchmark(labels, root=root, partial=partial)
    photos = open_photos(labels)
    scored = load_model(model, model_options, device) if isinstance(model, str) else as_model(model, kind, aspect)
    target = None if out is None else Path(out)
    watch = Stopwatch()
    if target is not None and not replace:
        require_free(target, scored.record, labels.digest)
    judged: list[JudgedImage] = []
    remarks: list[str] = []
    stated = [f"{pair.id} {tuple(pair.closer_point)}" for pair in labels.pairs]
    known = isinstance(model, str) if resume is None else resume
    with Journal(journal_path(target, scored, known), fingerprint(scored, stated, batch_size)) as journal:
        for reading in read_pairs(scored, labels, photos, journal, batch_size, remarks.append):
            judged.append(JudgedImage(reading, labels.by_image[reading.image], judge(reading)))
            if progress and not reading.resumed:
                progress(len(judged), len(labels.images))
        position = {image: index for index, image in enumerate(labels.images)}
        judged.sort(key=lambda image: position[image.reading.image])
        result = summarise_run(scored, labels, rules, judged, watch, remarks)
        rows = make_rows(judged)
        if target is not None:
            result = save_result(result, rows, COLUMNS, target)
        if all(image.reading.failure is None for image in judged):
            journal.finish()
    return Evaluation(result, rows)


def check_arguments(model: Any, kind: object, model_options: object, batch_size: BatchSize) -> None:
    """Check that the arguments of an evaluation go together.

    Raises:
        BadInput: one does not fit the model, or is out of range.
    """
    if isinstance(getattr(model, "record", None), ModelRecord) and kind is not None:
        raise BadInput(f"kind= is for models that do not say it; this one is {model.record.kind}")
    if isinstance(model, str) and kind is not None:
        raise BadInput(f'kind= is for Python models; for "{model}" give model_options={{"kind": "{kind}"}}')
    if not isinstance(model, str) and model_options:
        raise BadInput("model_options= is for model strings; a Python model takes its options when it is made")
    if batch_size != "auto" and batch_size < 1:
        raise BadInput(f'batch_size={batch_size}: must be "auto", or 1 or more')


def journal_path(out: Path | None, model: Model, known: bool) -> Path | None:
    """Where progress is kept: beside the result, if nothing can have changed the model unseen."""
    if out is None or not known or (isinstance(model, PythonModel) and model.record.weights_digest is None):
        return None
    return out.with_name(f"{out.name}.progress")
