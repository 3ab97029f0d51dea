"""From scored images to a result."""

from collections.abc import Iterator, Sequence

import numpy as np

from da2k.datasets.frames import FrameSet
from da2k.evaluation.dense.loop import ScoredImage
from da2k.evaluation.provenance import Stopwatch, describe_run
from da2k.metrics.resampling import bootstrap_means
from da2k.models import Model
from da2k.protocols.dense import DenseProtocol
from da2k.protocols.digest import digest_of
from da2k.results import SCHEMA_VERSION, DenseResult, Failure, FramesRecord, Images, Mean, ProtocolRecord

LEVEL = 0.95
RESAMPLES = 10_000
FEW_IMAGES = 20
"""Below so many images a bootstrap interval is far too narrow."""
CLAMPED_MUCH = 0.01
"""The share of clamped pixels above which a result warns (PROTOCOLS: visible above 1 %)."""


def frames_digest(frames: FrameSet) -> str:
    """Names what is scored: dataset, way of reading, and list."""
    return digest_of({"dataset": frames.dataset, "reader": frames.reader, "list": frames.list_digest})


def summarise_run(
    model: Model,
    frames: FrameSet,
    protocol: DenseProtocol,
    scored: Sequence[ScoredImage],
    watch: Stopwatch,
    remarks: Sequence[str] = (),
) -> DenseResult:
    """The result of a run over all frames; `remarks` join its warnings."""
    scored = sorted(scored, key=lambda image: image.image)  # as the rows are, from which the intervals are checked
    kinds = {image.kind for image in scored if image.kind is not None}
    record = model.record
    if record.kind is None and len(kinds) == 1:
        record = record.model_copy(update={"kind": min(kinds)})
    resumed = sum(image.resumed for image in scored)
    failures = [Failure(image=image.image, reason=image.failure) for image in scored if image.failure is not None]
    scores = [image.score for image in scored if image.score is not None]
    table = np.array([[score.compared.values[name] for name in protocol.metrics] for score in scores])
    means = {}
    if scores:
        intervals = bootstrap_means(table, level=LEVEL, resamples=RESAMPLES)
        means = {
            name: Mean(mean=float(mean), interval=(float(low), float(high)))
            for name, mean, (low, high) in zip(protocol.metrics, table.mean(axis=0), intervals, strict=True)
        }
    return DenseResult(
        schema_version=SCHEMA_VERSION,
        benchmark=FramesRecord(
            name=frames.dataset,
            reader=frames.reader,
            digest=frames_digest(frames),
            partial=frames.partial,
            own_list=frames.own_list,
        ),
        protocol=ProtocolRecord(name=protocol.name, digest=protocol.digest),
        model=record,
        run=describe_run(model, watch, len(scores) - resumed, resumed),
        images=Images(expected=frames.expected, scored=len(scores), failed=len(failures), absent=len(frames.absent)),
        metrics=means,
        level=LEVEL,
        resamples=RESAMPLES,
        clamped=float(np.mean([score.compared.clamped for score in scores])) if scores else 0.0,
        failures=failures,
        warnings=[
            *frames.notes,
            *remarks,
            *getattr(model, "warnings", ()),
            *_standing(frames, protocol),
            *_doubts(scored, sorted(kinds), protocol.alignment.solver),
        ],
    )


def _standing(frames: FrameSet, protocol: DenseProtocol) -> Iterator[str]:
    """What is known of the protocol on this dataset that a reader of the number must know too."""
    rules = protocol.rules(frames.dataset)
    if rules.status == "unreproduced" and not frames.own_list:
        what = rules.note or "Nobody is known to have reproduced the published numbers with these choices."
        yield f"protocol {protocol.name} on {frames.dataset} is unreproduced. {what}"


def _doubts(scored: Sequence[ScoredImage], kinds: Sequence[str], solver: str) -> Iterator[str]:
    """What in the numbers themselves suggests a mistake."""
    scores = [image.score for image in scored if image.score is not None]
    clamped = [score.compared.clamped for score in scores]
    much = sum(share > CLAMPED_MUCH for share in clamped)
    if clamped and np.mean(clamped) > CLAMPED_MUCH:
        unit = "; are the maps in metres? (scale: in predictions.yaml)" if np.mean(clamped) > 0.5 else ""
        yield f"{100 * np.mean(clamped):.1f} % of the pixels were clamped to floor or range (mean over images){unit}"
    elif much:
        yield f"in {much} of {len(scores)} images more than 1 % of the pixels were clamped to floor or range"
    turned = sum(score.fit.scale < 0 for score in scores)
    if turned:
        yield (
            f"the fit has a negative scale in {turned} of {len(scores)} images: is {' and '.join(kinds)} really what "
            "the maps are? The direction may be reversed"
        )
    flat = sum(score.fit.degenerate for score in scores)
    if flat and solver == "median":
        yield f"the median of {flat} of {len(scores)} maps is not positive, so no scale brings it to the truth's"
    elif flat:
        yield f"{flat} of {len(scores)} maps are constant where depth was measured; a constant was fitted"
    if 0 < len(scores) < FEW_IMAGES:
        yield f"the intervals are from {len(scores)} image{'s'[: len(scores) > 1]} only, and say little"
    if len(kinds) > 1:
        yield f"the model returned maps of {len(kinds)} kinds: {', '.join(kinds)}"
