"""Every frame through the model and against its measured depth; a failure stays a row."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from da2k.datasets.frames import Frame, FrameSet
from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadInput, BadModel, MissingPrediction
from da2k.evaluation.dense.inputs import open_input, read_truth
from da2k.evaluation.dense.scoring import ImageScore, score_map
from da2k.evaluation.inference import Answer, BatchSize, detached, predict_each, reason, run_model
from da2k.evaluation.journal import Journal
from da2k.images import Photo
from da2k.metrics.alignment import Fit
from da2k.metrics.crops import kb_box
from da2k.metrics.dense import Compared
from da2k.models import Model
from da2k.protocols.dense import DatasetRules, DenseProtocol

_DECODED_AHEAD = 160_000_000
"""Bytes of decoded images that wait for the model: two of ETH3D, whose frames take most of the memory otherwise."""


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
        workers: threads that read measured depth, align and compare, while the model runs in this one; of finished
            maps they read these too.
        say: told when the batch size changes.
    """
    by_name = {frame.name: frame for frame in frames.frames}
    done = {name: _done(journal.digest(name), frame) for name, frame in by_name.items()}

    def open_photo(name: str) -> Photo:
        return open_input(by_name[name], rules)

    def score(get_answer: Callable[[], Answer]) -> tuple[Answer, ImageScore | None]:
        answer = get_answer()
        if answer.depth is None:
            return answer, None
        stretched = model.record.aspect == "stretched"
        try:
            return answer, _score(answer.depth, by_name[answer.name], protocol, rules, stretched)
        except Exception as e:
            return replace(answer, depth=None, error=detached(e)), None

    answers: Iterator[Callable[[], Answer]]
    if hasattr(model, "prepare"):
        answers = (partial(_stored, model, name, open_photo, done[name]) for name in by_name)
    else:
        run = run_model(model, by_name, open_photo, done, batch_size, say, ahead=_ahead(frames))
        answers = (partial(_given, answer) for answer in run)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="score")
    waiting: deque[Future[tuple[Answer, ImageScore | None]]] = deque()
    try:
        for get_answer in answers:
            waiting.append(pool.submit(score, get_answer))
            if len(waiting) > workers:  # one more than is worked on, so that no worker waits and few maps are held
                yield _finished(*waiting.popleft().result(), by_name, protocol, journal)
        while waiting:
            yield _finished(*waiting.popleft().result(), by_name, protocol, journal)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _given(answer: Answer) -> Answer:
    return answer


def _stored(model: Any, name: str, open_photo: Callable[[str], Photo], done: str | None) -> Answer:
    """What a model of finished maps has for an image; nothing waits for a network, so a worker does all of it."""
    try:
        photo = open_photo(name)
        digest = model.prepare(photo, done)
    except BadModel:
        raise  # as where a network says so: every image would fail alike
    except Exception as e:
        return Answer(name, error=detached(e))
    if digest == done:
        return Answer(name, photo.size, digest)
    found = predict_each(model, [photo], 1)[0][0]
    if isinstance(found, Exception):
        return Answer(name, photo.size, digest, error=found)
    return Answer(name, photo.size, digest, found)


def _ahead(frames: FrameSet) -> int | None:
    """How many images may lie decoded ahead of the model, by the size of the first that opens; None if none does."""
    for frame in frames.frames:
        try:
            height, width = frame.open_photo().size
        except Exception:  # costs its own image only, in its turn
            continue
        return max(1, _DECODED_AHEAD // (3 * height * width))
    return None


def _score(depth: DepthMap, frame: Frame, protocol: DenseProtocol, rules: DatasetRules, stretched: bool) -> ImageScore:
    truth = read_truth(frame, rules)
    if rules.input_crop != "none" and depth.size != truth.size:
        _refuse_uncropped(depth, frame, protocol)
    return score_map(depth, truth, protocol, rules, stretched=stretched)


def _refuse_uncropped(depth: DepthMap, frame: Frame, protocol: DenseProtocol) -> None:
    """A map of the whole frame would be squeezed into the crop, and its aspect is too near to the crop's to tell."""
    whole = frame.open_photo().size
    if depth.size == whole:
        raise BadInput(
            f"the map has the size of the whole frame, {whole[0]} x {whole[1]}, and protocol {protocol.name} crops the "
            f"image to {kb_box(whole).size[0]} x {kb_box(whole).size[1]} before the model sees it; make the maps with "
            f"da2k predict --protocol {protocol.name}, or choose a protocol without input crop"
        )


def _done(recorded: str | None, frame: Frame) -> str | None:
    """The digest of the image that a frame was finished with, if its measured depth is still the same file."""
    digest, _, stamp = (recorded or "").partition(" ")
    return digest if stamp == frame.stamp else None


def _finished(
    answer: Answer,
    score: ImageScore | None,
    frames: Mapping[str, Frame],
    protocol: DenseProtocol,
    journal: Journal,
) -> ScoredImage:
    if answer.error is not None:
        missing = isinstance(answer.error, MissingPrediction)
        return ScoredImage(answer.name, failure=reason(answer.error), missing=missing)
    if answer.depth is None or score is None:
        kind, values = journal.values(answer.name)
        return ScoredImage(answer.name, DepthKind(kind), _unpacked(values, protocol), resumed=True)
    digest = f"{answer.digest} {frames[answer.name].stamp}"
    journal.add(answer.name, digest, answer.depth.kind, _packed(score, protocol))
    return ScoredImage(answer.name, answer.depth.kind, score)


def _packed(score: ImageScore, protocol: DenseProtocol) -> NDArray[np.float64]:
    """An image's numbers as the journal keeps them."""
    fit, compared = score.fit, score.compared
    own = [score.pixels, fit.scale, fit.shift, fit.degenerate, compared.clamped, compared.nonpositive]
    return np.array([*own, *(compared.values[name] for name in protocol.metrics)], np.float64)


def _unpacked(values: NDArray[np.float64], protocol: DenseProtocol) -> ImageScore:
    pixels, scale, shift, degenerate, clamped, nonpositive, *metrics = values.tolist()
    named = dict(zip(protocol.metrics, metrics, strict=True))
    return ImageScore(int(pixels), Fit(scale, shift, bool(degenerate)), Compared(named, clamped, nonpositive))
