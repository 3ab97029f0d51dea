"""Key points: the pixels of a photograph that pairs are drawn from."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from da2k.construction.settings import digest
from da2k.construction.stages import Progress, StageReport, work_through
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput, BadModel, MissingExtra
from da2k.images import Photo

STAGE = "keypoints"

_CELL_PIXELS = 32
"""Along each side of a cell, in the small picture in which the grid looks for calm places; fewer in a small photo."""
_FEW_PIXELS = 8
"""With fewer, a cell has no room to look around in, and its middle is taken."""


@dataclass(frozen=True, eq=False)
class KeyPoints:
    """The key points of one photograph, no pixel twice, by row and column.

    Attributes:
        points: int32 [N, 2], (row, col) in the photograph.
        area: float64 [N], the share of the picture that the point's mask covers, in (0, 1].
        predicted_iou: float64 [N], what SAM thinks of the mask; larger is better, about 0 to 1.
        stability: float64 [N], the mask's IoU between a strict and a lax threshold, 0 to 1.

    The last three are NaN where points come without masks.
    """

    points: NDArray[np.int32]
    area: NDArray[np.float64]
    predicted_iou: NDArray[np.float64]
    stability: NDArray[np.float64]


class Sampler(Protocol):
    """Anything that finds the key points of a photograph.

    Attributes:
        identity: a digest of all that determines the points besides the photograph.
    """

    identity: str

    def sample(self, photo: Photo) -> KeyPoints:
        """The key points of this photograph."""


def grid_points(size: tuple[int, int], cells: int) -> KeyPoints:
    """The middle of each cell of a grid; it needs no pixels.

    Args:
        size: (height, width) of the photograph in pixels.
        cells: along its longer side; the shorter one has as many as make cells nearly square. A side has at most one
            cell for three pixels (a shorter side has one), so that middles are off the photograph's edges.
    """
    rows, cols = (
        ((2 * np.arange(count) + 1) * side) // (2 * count)
        for side, count in zip(size, _cell_counts(size, cells), strict=True)
    )
    return _without_masks(np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1).reshape(-1, 2))


class GridSampler:
    """One point a cell, at the calmest place of the cell's middle half: off the contours in the picture.

    Depth jumps at contours, so the depth of a point on one is settled by a pixel more or less. A place is calm if the
    values around it differ little: in a window of 5 x 5 pixels, of the photograph shrunk to at most 32 x 32 pixels a
    cell, in the colour channel that differs most. Of equally calm places the one nearest to the cell's centre is taken.

    Args:
        cells: along the photograph's longer side.
    """

    def __init__(self, cells: int) -> None:
        self.cells = cells
        self.identity = digest("grid", 1, cells)

    def sample(self, photo: Photo) -> KeyPoints:
        """The key points of this photograph, one a cell.

        Raises:
            BadInput: the photograph cannot be decoded.
        """
        pixels, counts = photo.pixels, _cell_counts(photo.size, self.cells)
        cell = min(_CELL_PIXELS, *(side // count for side, count in zip(photo.size, counts, strict=True)))
        if cell < _FEW_PIXELS:
            return grid_points(photo.size, self.cells)
        height, width = (count * cell for count in counts)
        small = PillowImage.fromarray(pixels).resize((width, height), PillowImage.Resampling.BOX)
        places = _calmest(_local_range(np.asarray(small)), cell)
        return _without_masks((2 * places + 1) * photo.size // (2 * np.array([height, width])))


def keypoint_keys(workspace: Workspace, sampler: Sampler | None = None) -> dict[str, str]:
    """For each image of the automatic scenarios, the digest of all that they depend on; no network is loaded.

    Args:
        workspace: whose images and settings are meant.
        sampler: in place of the one that the settings name.

    Raises:
        BadInput: the settings name a file of weights that is not here.
    """
    identity = _identity(workspace) if sampler is None else sampler.identity
    automatic = [image for image in workspace.images() if workspace.settings.is_automatic(image.scenario)]
    return {image.image: digest(image.sha256, identity) for image in automatic}


def place_keypoints(
    workspace: Workspace,
    sampler: Sampler | None = None,
    *,
    retry: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> StageReport:
    """Find the key points of every image of the automatic scenarios; what is up to date stays.

    Args:
        workspace: open for writing.
        sampler: in place of the one that the settings name.
        retry: try images again that failed before.
        device: where SAM runs, "auto", "cpu", "cuda" or "cuda:n".
        progress: told (images done, images in all).

    Raises:
        BadInput: the weights are not here.
        BadModel: the weights or the device cannot be used.
        MissingExtra: segment-anything or torch is needed and not installed.
    """

    def compute(images: Sequence[str]) -> Iterator[tuple[str, KeyPoints | Exception]]:
        active = _sampler(workspace, device) if sampler is None else sampler
        return ((image, _sample(active, workspace.photo(image))) for image in images)

    return work_through(
        workspace,
        STAGE,
        keypoint_keys(workspace, sampler),
        compute,
        lambda image, found: _write(workspace, image, found),
        lambda image: _forget(workspace, image),
        retry=retry,
        progress=progress,
    )


def read_keypoints(workspace: Workspace, image: str) -> KeyPoints:
    """The stored key points of an image.

    Raises:
        BadInput: it has none.
    """
    rows = workspace.db.run("SELECT points, scores FROM keypoints WHERE image = ?", image)
    if not rows:
        raise BadInput(f"{image}: no key points yet; run: da2k build keypoints {workspace.folder}")
    points, scores = rows[0]
    area, predicted_iou, stability = np.frombuffer(scores, "<f8").astype(np.float64).reshape(3, -1)
    located = np.frombuffer(points, "<i4").astype(np.int32).reshape(-1, 2)
    return KeyPoints(located, area, predicted_iou, stability)


def keypoint_digests(workspace: Workspace) -> dict[str, str]:
    """For every image that has key points stored, the digest of where they are."""
    rows = workspace.db.run("SELECT image, points FROM keypoints ORDER BY image")
    return {image: hashlib.sha256(points).hexdigest() for image, points in rows}


def _identity(workspace: Workspace) -> str:
    settings = workspace.settings.keypoints
    if settings.method == "grid":
        return GridSampler(settings.cells).identity
    from da2k.construction.sam import sam_identity
    from da2k.construction.sam_weights import weights_file

    file, published = weights_file(settings.sam)
    # What was made from published weights stays up to date when the weights are removed to save space.
    weights = published if published is not None and not file.is_file() else workspace.file_digest(file)
    return sam_identity(settings.sam, weights)


def _sampler(workspace: Workspace, device: str) -> Sampler:
    settings = workspace.settings.keypoints
    if settings.method == "grid":
        return GridSampler(settings.cells)
    from da2k.construction.sam import SamSampler
    from da2k.construction.sam_weights import load_sam, require_weights, weights_file

    file, _ = weights_file(settings.sam)
    weights = require_weights(settings.sam, workspace.file_digest)
    return SamSampler(load_sam(settings.sam.model, file, device), settings.sam, weights=weights)


def _sample(sampler: Sampler, photo: Photo) -> KeyPoints | Exception:
    try:
        return sampler.sample(photo)
    except (BadModel, MissingExtra):
        raise  # every image would fail alike
    except Exception as e:
        # The frames of the traceback would keep the network's tensors alive, in memory that may just have run out.
        error = e.with_traceback(None)
        error.__context__ = error.__cause__ = None
        return error


def _write(workspace: Workspace, image: str, found: KeyPoints) -> None:
    scores = np.stack([found.area, found.predicted_iou, found.stability])
    points, values = found.points.astype("<i4").tobytes(), scores.astype("<f8").tobytes()
    workspace.db.run("INSERT OR REPLACE INTO keypoints VALUES (?, ?, ?)", image, points, values)


def _forget(workspace: Workspace, image: str) -> None:
    workspace.db.run("DELETE FROM keypoints WHERE image = ?", image)


def _cell_counts(size: tuple[int, int], cells: int) -> tuple[int, int]:
    """Cells along height and width."""
    longer = max(size)
    height, width = (max(1, min((2 * cells * side + longer) // (2 * longer), side // 3)) for side in size)
    return height, width


def _without_masks(points: NDArray[np.integer]) -> KeyPoints:
    unknown = np.full(len(points), np.nan)
    return KeyPoints(points.astype(np.int32), unknown, unknown, unknown)


def _local_range(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How much values differ within two pixels, in the channel where they differ most: [H, W], 0 to 255."""
    from scipy.ndimage import maximum_filter, minimum_filter

    window = (5, 5, 1)
    ranges = maximum_filter(picture, window) - minimum_filter(picture, window)
    widest: NDArray[np.int64] = ranges.max(axis=-1).astype(np.int64)
    return widest


def _calmest(cost: NDArray[np.int64], cell: int) -> NDArray[np.int64]:
    """Of each cell's middle half the place of least cost, near the centre among equals: (row, col), int64 [N, 2]."""
    rows, cols = (side // cell for side in cost.shape)
    margin = -(-cell // 4)
    offset = np.arange(margin, cell - margin)
    middle = cost.reshape(rows, cell, cols, cell)[:, offset][..., offset].swapaxes(1, 2)
    from_centre = (2 * offset - cell + 1) ** 2
    distance = from_centre[:, None] + from_centre
    rank = middle * (distance.max() + 1) + distance
    best = rank.reshape(rows * cols, -1).argmin(axis=1)
    corners = np.stack(np.divmod(np.arange(rows * cols), cols), axis=-1) * cell
    places: NDArray[np.int64] = corners + np.stack(np.divmod(best, len(offset)), axis=-1) + margin
    return places
