"""What a model's maps say at the points of every pair, one image after the other; a failure stays a reading."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from da2k.datasets.da2k import Benchmark
from da2k.depth import DepthKind, DepthMap, covers
from da2k.errors import BadInput, MissingPrediction
from da2k.evaluation.inference import BatchSize, reason, run_model
from da2k.evaluation.journal import Journal
from da2k.images import Photo
from da2k.models import Model


@dataclass(frozen=True, eq=False)
class ImageReading:
    """The map's values at the points of one image's pairs, or why there are none.

    Attributes:
        image: the image's path in the benchmark.
        kind: what the values mean; None where the image failed.
        closer, farther: float64 [N], at the point that is closer in truth and at the other one.
        failure: why there are no values, or None.
        missing: True if the failure is that no prediction exists.
        resumed: True if the values were read by an earlier, interrupted run.
    """

    image: str
    kind: DepthKind | None
    closer: NDArray[np.float64]
    farther: NDArray[np.float64]
    failure: str | None = None
    missing: bool = False
    resumed: bool = False


def read_pairs(
    model: Model,
    benchmark: Benchmark,
    photos: Mapping[str, Photo | BadInput],
    journal: Journal,
    batch_size: BatchSize = 1,
    say: Callable[[str], None] | None = None,
) -> Iterator[ImageReading]:
    """Read every image's pairs from the model's maps; with batches, images of equal size come after one another.

    Images that the journal holds, with the same input, are not run again. An image that fails, for whatever
    reason, yields a reading that says so.
    """

    def open_photo(image: str) -> Photo:
        opened = photos[image]
        if isinstance(opened, BadInput):
            raise opened
        # A photo of its own: the pixels go when the model is done with them.
        return Photo(opened.name, opened.size, opened.path)

    done = {image: journal.digest(image) for image in benchmark.images}
    order = list(benchmark.images)
    if batch_size != 1:
        order.sort(key=lambda image: getattr(photos[image], "size", (0, 0)))
    for answer in run_model(model, order, open_photo, done, batch_size, say):
        pairs = benchmark.by_image[answer.name]
        if answer.resumed:
            kind, values = journal.values(answer.name)
            yield _reading(answer.name, DepthKind(kind), values, resumed=True)
            continue
        if answer.depth is None:
            yield _failed(answer.name, len(pairs), answer.error)
            continue
        try:
            points = [pair.closer_point for pair in pairs] + [pair.farther_point for pair in pairs]
            values = values_at(answer.depth, points, answer.size, stretched=model.record.aspect == "stretched")
        except BadInput as e:
            yield _failed(answer.name, len(pairs), e)
            continue
        journal.add(answer.name, answer.digest, answer.depth.kind, values)
        yield _reading(answer.name, answer.depth.kind, values)


def values_at(
    depth: DepthMap, points: ArrayLike, image_size: tuple[int, int], *, stretched: bool = False
) -> NDArray[np.float64]:
    """What a model's map says at pixels of the image it was made for.

    Args:
        depth: the map, at any size.
        points: [N, 2] integers, (row, col) in the image.
        image_size: (height, width) of the image.
        stretched: whether the model squeezes every image into one shape, so that the aspect tells nothing.

    Returns:
        float64 [N], in the map's own units; NaN or ±inf where the map has them.

    Raises:
        BadInput: the map has another aspect than the image, or a point is outside the image.
    """
    if not stretched and not covers(depth.size, image_size):
        raise BadInput(
            f"the map is {depth.size[0]} x {depth.size[1]} for an image of {image_size[0]} x {image_size[1]} (rows x "
            "columns): another aspect ratio, so transposed or cropped? If each image was squeezed into one shape, "
            "declare aspect: stretched in predictions.yaml, or aspect=stretched for a Python model"
        )
    return depth.read_at(points, image_size)


def _reading(image: str, kind: DepthKind, values: NDArray[np.float64], *, resumed: bool = False) -> ImageReading:
    closer, farther = np.split(values, 2)
    return ImageReading(image, kind, closer, farther, resumed=resumed)


def _failed(image: str, pairs: int, error: Exception | None) -> ImageReading:
    nothing = np.full(pairs, np.nan)
    return ImageReading(image, None, nothing, nothing, reason(error), isinstance(error, MissingPrediction))
