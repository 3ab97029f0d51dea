"""Running a model over images: loaded ahead, in batches, and never stopped by one bad image."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from da2k.depth import DepthMap
from da2k.errors import BadInput
from da2k.evaluation.feed import read_ahead
from da2k.images import Photo
from da2k.models import Model


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
    batch_size: int = 1,
) -> Iterator[Answer]:
    """One answer an image, in order.

    Args:
        model: the model. If it has `prepare(photo, done)`, that is called ahead, in a thread, in place of
            decoding the photograph; it returns the digest of what the model will use.
        names: the images.
        open_photo: gives the photo of a name, or raises.
        done: for each image the digest it was finished with before, or None.
        batch_size: images given to the model at once.
    """
    prepare: Callable[[Photo, str | None], str] = getattr(model, "prepare", Photo.load)

    def load(name: str) -> tuple[Photo, str]:
        photo = open_photo(name)
        return photo, prepare(photo, done[name])

    feed = read_ahead(names, load, depth=max(4, 2 * batch_size))
    while batch := list(islice(feed, batch_size)):
        fresh = [loaded[0] for name, loaded in batch if not isinstance(loaded, Exception) and loaded[1] != done[name]]
        maps = iter(predict_each(model, fresh))
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


def predict_each(model: Model, photos: Sequence[Photo]) -> list[DepthMap | Exception]:
    """One map or one exception an image; if a batch fails, its images are tried one by one."""
    if not photos:
        return []
    try:
        maps = list(model.predict(photos))
        if len(maps) != len(photos):
            raise BadInput(f"the model returned {len(maps)} maps for {len(photos)} images")
        for depth in maps:
            if not isinstance(depth, DepthMap):
                raise BadInput(f"the model returned {type(depth).__name__}, not a DepthMap")
        return list(maps)
    except Exception as e:
        if len(photos) == 1:
            return [e]
        return [answer for photo in photos for answer in predict_each(model, [photo])]


def reason(error: Exception | None) -> str:
    """Why an image failed, on one line; the type is named where the message is not ours."""
    text = str(error) if isinstance(error, BadInput) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
