"""Every frame through the model and against its measured depth; a failure stays a row."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from da2k.datasets.frames import Frame, FrameSet
from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadInput, MissingPrediction
from da2k.evaluation.dense.inputs import open_input, read_truth
from da2k.evaluation.dense.scoring import ImageScore, score_map
from da2k.evaluation.inference import Answer, BatchSize, reason, run_model
from da2k.evaluation.journal import Journal
from da2k.metrics.alignment import Fit
from da2k.metrics.crops import kb_box
from da2k.metrics.dense import Compared
from da2k.models import Model
from da2k.protocols.dense import DatasetRules, DenseProtocol


@dataclass(frozen=True)
class ScoredImage:
    """What became of one frame.

    Attributes:
        image: the frame's name.
        kind: what the map means; None where the image failed.
        score: its numbers; None where it failed.
        failure: why there are none, or None.
        missing: whether the failure is that no prediction exists.
        resumed: whether an earlier, interrupted run had scored it.
    """

    image: str
    kind: DepthKind | None = None
    score: ImageScore | None = None
    failure: str | None = None
    missing: bool = False
    resumed: bool = False


def score_frames(
    model: Model,
    frames: FrameSet,
    protocol: DenseProtocol,
    rules: DatasetRules,
    journal: Journal,
    *,
    batch_size: BatchSize = 1,
    workers: int = 1,
    say: Callable[[str], None] | None = None,
) -> Iterator[ScoredImage]:
    """Score every frame, in order; those that the journal holds, with the same input, are not run again.

    Args:
        model: the model, with the protocol's augmentation.
        frames: the frames.
        protocol, rules: the choices.
        journal: what is finished; scores are added to it.
        batch_size: images given to the model at once.
        workers: threads that read measured depth, align and compare, while the model runs in this one.
        say: told when the batch size changes.
    """
    by_name = {frame.name: frame for frame in frames.frames}
    done = {name: journal.digest(name) for name in by_name}
    answers = run_model(model, by_name, lambda name: open_input(by_name[name], rules), done, batch_size, say)
    stretched = model.record.aspect == "stretched"

    def score(answer: Answer) -> ImageScore:
        assert answer.depth is not None
        return _score(answer.depth, by_name[answer.name], protocol, rules, stretched)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="score")
    waiting: deque[tuple[Answer, Future[ImageScore] | None]] = deque()

    def take() -> ScoredImage:
        answer, scoring = waiting.popleft()
        return _finished(answer, scoring, protocol, journal)

    try:
        for answer in answers:
            waiting.append((answer, None if answer.depth is None else pool.submit(score, answer)))
            if len(waiting) > workers:  # one more than is worked on, so that no worker waits and few maps are held
                yield take()
        while waiting:
            yield take()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _score(depth: DepthMap, frame: Frame, protocol: DenseProtocol, rules: DatasetRules, stretched: bool) -> ImageScore:
    truth = read_truth(frame, rules)
    if rules.input_crop != "none" and not stretched and depth.size != truth.size:
        _refuse_uncropped(depth, frame, protocol)
    return score_map(depth, truth, protocol, rules, stretched=stretched)


def _refuse_uncropped(depth: DepthMap, frame: Frame, protocol: DenseProtocol) -> None:
    """A map of the whole frame would be squeezed into the crop, and its aspect is too near to the crop's to tell."""
    whole = frame.open_photo().size
    if depth.size == whole:
        raise BadInput(
            f"the map has the size of the whole frame, {whole[0]} x {whole[1]}, and protocol {protocol.name} crops the "
            f"image to {kb_box(whole).size[0]} x {kb_box(whole).size[1]} before the model sees it"
        )


def _finished(
    answer: Answer, scoring: Future[ImageScore] | None, protocol: DenseProtocol, journal: Journal
) -> ScoredImage:
    if answer.resumed:
        kind, values = journal.values(answer.name)
        return ScoredImage(answer.name, DepthKind(kind), _unpacked(values, protocol), resumed=True)
    if scoring is None or answer.depth is None:
        return ScoredImage(
            answer.name, failure=reason(answer.error), missing=isinstance(answer.error, MissingPrediction)
        )
    error = scoring.exception()
    if error is None:
        score = scoring.result()
        journal.add(answer.name, answer.digest, answer.depth.kind, _packed(score, protocol))
        return ScoredImage(answer.name, answer.depth.kind, score)
    if isinstance(error, Exception):
        return ScoredImage(answer.name, failure=reason(error))
    raise error


def _packed(score: ImageScore, protocol: DenseProtocol) -> NDArray[np.float64]:
    """An image's numbers as the journal keeps them."""
    fit, compared = score.fit, score.compared
    own = [score.pixels, fit.scale, fit.shift, fit.degenerate, compared.clamped, compared.nonpositive]
    return np.array([*own, *(compared.values[name] for name in protocol.metrics)], np.float64)


def _unpacked(values: NDArray[np.float64], protocol: DenseProtocol) -> ImageScore:
    pixels, scale, shift, degenerate, clamped, nonpositive, *metrics = values.tolist()
    named = dict(zip(protocol.metrics, metrics, strict=True))
    return ImageScore(int(pixels), Fit(scale, shift, bool(degenerate)), Compared(named, clamped, nonpositive))
