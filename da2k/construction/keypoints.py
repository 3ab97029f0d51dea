"""The stage that finds the key points of photographs: the pixels that pairs are drawn from."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from da2k.construction.grid import GridSampler
from da2k.construction.points import KeyPoints, Sampler
from da2k.construction.settings import KeyPointSettings, digest
from da2k.construction.stages import Progress, StageReport, work_through
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput, BadModel, MissingExtra
from da2k.evaluation.inference import detached
from da2k.images import Photo

STAGE = "keypoints"


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
        taken = {image.image: image.sha256 for image in workspace.images()}
        return ((image, _sample(active, workspace.photo(image), taken[image])) for image in images)

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


def check_keypoints(workspace: Workspace, settings: KeyPointSettings) -> None:
    """Check that what these settings need is here, such as weights.

    Raises:
        BadInput: the weights are not here.
        BadModel: they are not those that their authors published.
    """
    if settings.method == "sam":
        from da2k.construction.sam_weights import require_weights

        require_weights(settings.sam, workspace.file_digest)


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


def _sample(sampler: Sampler, photo: Photo, sha256: str) -> KeyPoints | Exception:
    try:
        if photo.load() != sha256:
            raise BadInput(f"{photo.path}: changed while it was read; put the old file back, or run: da2k build init")
        return sampler.sample(photo)
    except (BadModel, MissingExtra):
        raise  # every image would fail alike
    except Exception as e:
        return detached(e)


def _write(workspace: Workspace, image: str, found: KeyPoints) -> None:
    scores = np.stack([found.area, found.predicted_iou, found.stability])
    points, values = found.points.astype("<i4").tobytes(), scores.astype("<f8").tobytes()
    workspace.db.run("INSERT OR REPLACE INTO keypoints VALUES (?, ?, ?)", image, points, values)


def _forget(workspace: Workspace, image: str) -> None:
    workspace.db.run("DELETE FROM keypoints WHERE image = ?", image)
