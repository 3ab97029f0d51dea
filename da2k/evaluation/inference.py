"""Running a model over images: loaded ahead, in batches, and never stopped by one bad image."""

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from traceback import extract_tb
from typing import Literal

from da2k.depth import DepthMap
from da2k.errors import BadInput, BadModel, Da2kError
from da2k.evaluation.feed import read_ahead
from da2k.images import Photo
from da2k.models import Model

BatchSize = int | Literal["auto"]
"""Images given to a model at once; "auto" begins with AUTO_BATCH."""

AUTO_BATCH = 16


@dataclass(frozen=True, eq=False)
class Answer:
    """What became of one image.

    Attributes:
        name: the image.
        size: (height, width) of the image; (0, 0) if it could not be opened.
        digest: SHA-256 of the model's input for it: the photograph's, or that of a stored map.
        depth: the model's map; None if it failed or if an earlier run had finished it.
        error: why there is no map, or None.
    """

    name: str
    size: tuple[int, int] = (0, 0)
    digest: str = ""
    depth: DepthMap | None = None
    error: Exception | None = None

    @property
    def resumed(self) -> bool:
        """Whether an earlier run had finished this image with the same input."""
        return self.depth is None and self.error is None


def run_model(
    model: Model,
    names: Iterable[str],
    open_photo: Callable[[str], Photo],
    done: Mapping[str, str | None],
    batch_size: BatchSize = 1,
    say: Callable[[str], None] | None = None,
    ahead: int | None = None,
) -> Iterator[Answer]:
    """One answer an image, in order.

    A batch that does not fit into memory is halved, as often as needed, and later batches are no larger than
    what did fit. A batch that fails otherwise is tried image by image.

    Args:
        model: the model. If it has `prepare(photo, done)`, that is called ahead, in a thread, in place of
            decoding the photograph; it returns the digest of what the model will use.
        names: the images.
        open_photo: gives the photo of a name, or raises.
        done: for each image the digest it was finished with before, or None.
        batch_size: images given to the model at once, at most.
        say: told when the batch size changes.
        ahead: images that may lie decoded beyond a batch; by default 2, and 4 in all at least.
    """
    prepare: Callable[[Photo, str | None], str] = getattr(model, "prepare", Photo.load)
    size = AUTO_BATCH if batch_size == "auto" else batch_size

    def load(name: str) -> tuple[Photo, str]:
        photo = open_photo(name)
        return photo, prepare(photo, done[name])

    feed = read_ahead(names, load, depth=max(4, size + 2) if ahead is None else min(max(4, size + 2), size - 1 + ahead))
    while batch := list(islice(feed, size)):
        size = yield from _answers(model, batch, done, size, say)
        batch.clear()  # or its photos would be held while the next ones are waited for


def _answers(
    model: Model,
    batch: Sequence[tuple[str, tuple[Photo, str] | Exception]],
    done: Mapping[str, str | None],
    size: int,
    say: Callable[[str], None] | None,
) -> Generator[Answer, None, int]:
    """The answers of a batch, and how many images at once fitted into memory, at most `size`."""
    fresh = [loaded[0] for name, loaded in batch if not isinstance(loaded, Exception) and loaded[1] != done[name]]
    outcomes, fitting = predict_each(model, fresh, size)
    if fitting < size and say:
        say(f"out of memory with {min(size, len(fresh))} images at once; went on with {fitting}")
    maps = iter(outcomes)
    for name, loaded in batch:
        if isinstance(loaded, Exception):
            yield Answer(name, error=loaded)
            continue
        photo, digest = loaded
        outcome = None if digest == done[name] else next(maps)
        if isinstance(outcome, Exception):
            yield Answer(name, photo.size, digest, error=outcome)
        else:
            yield Answer(name, photo.size, digest, outcome)
    return fitting


def predict_each(model: Model, photos: Sequence[Photo], at_once: int) -> tuple[list[DepthMap | Exception], int]:
    """One map or one exception an image, and how many images at once fit into memory, at most `at_once`."""
    answers: list[DepthMap | Exception] = []
    reads_pixels = not hasattr(model, "prepare")
    while len(answers) < len(photos):
        batch = photos[len(answers) : len(answers) + at_once]
        # A batch that fails is tried again in parts, so it works on copies.
        outcome = _predict(model, [photo.copy() for photo in batch] if len(batch) > 1 and reads_pixels else batch)
        if isinstance(outcome, list):
            answers += outcome
        elif len(batch) == 1:
            answers.append(outcome)
        elif is_out_of_memory(outcome):
            at_once = (len(batch) + 1) // 2
        else:
            answers += [answer for photo in batch for answer in predict_each(model, [photo], 1)[0]]
    return answers, at_once


def is_out_of_memory(error: Exception) -> bool:
    """Whether the error says that memory, of the machine or of its GPU, ran out."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def detached(error: Exception) -> Exception:
    """The error without its frames, which would keep a network's tensors alive, in memory that may have run out."""
    error.__context__ = error.__cause__ = None
    return error.with_traceback(None)


def reason(error: Exception | None) -> str:
    """Why an image failed, on one line; the type is named where the message is not ours."""
    text = str(error) if isinstance(error, BadInput) else ": ".join(filter(None, (type(error).__name__, str(error))))
    text += "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    if error is not None and is_out_of_memory(error):
        text = f"out of memory with this image alone ({text}); use a smaller input or another --device"
    return " ".join(text.split())


def _predict(model: Model, photos: Sequence[Photo]) -> list[DepthMap] | Exception:
    try:
        maps = list(model.predict(photos))
        if len(maps) != len(photos):
            raise BadInput(f"the model returned {len(maps)} maps for {len(photos)} images")
        for depth in maps:
            if not isinstance(depth, DepthMap):
                raise BadInput(f"the model returned {type(depth).__name__}, not a DepthMap")
        return maps
    except BadModel:
        raise  # the model cannot be used at all: every image would fail alike
    except Exception as e:
        where = _place(e)
        error = detached(e)
        if where:
            error.add_note(where)
    _release_memory()
    return error


def _place(error: Exception) -> str:
    """Where an error that is not ours arose, as file and line."""
    frames = [] if isinstance(error, Da2kError) else extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""


def _release_memory() -> None:
    """Give cached GPU memory back, where torch is in use."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
