"""What every expert says at every key point: each expert runs once an image, and all else is looked up."""

import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

import da2k
from da2k.construction.experts import Way, check_ways, expert_ways, identity_of, told_for_experts
from da2k.construction.keypoints import STAGE as KEYPOINTS
from da2k.construction.keypoints import keypoint_digests, keypoint_keys, read_keypoints
from da2k.construction.points import Sampler
from da2k.construction.settings import digest
from da2k.construction.stages import Progress, StageReport, work_through
from da2k.construction.workspace import Workspace
from da2k.depth import DepthKind
from da2k.errors import BadInput, did_you_mean
from da2k.evaluation.inference import BatchSize, run_model
from da2k.evaluation.provenance import installed_packages
from da2k.evaluation.readings import values_at
from da2k.images import Photo
from da2k.models import Model
from da2k.models.registry import load_model


@dataclass(frozen=True, eq=False)
class Reading:
    """What one way of an expert says about one image.

    Attributes:
        kind: what the values mean, and with it which end is near.
        values: float64 [N], at the image's key points in their stored order; as the expert's map has them, NaN and
            ±inf included.
    """

    kind: DepthKind
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Readings:
    """All readings that are up to date.

    Attributes:
        by_image: image → name of the way → reading. A way that failed on an image is not there.
        ready: the images that every way has read, each with a digest of its key points and readings.
    """

    by_image: Mapping[str, Mapping[str, Reading]]
    ready: Mapping[str, str]


def stage_of(way: Way) -> str:
    """The name of a way's stage."""
    return f"readings: {way.name}"


def reading_keys(workspace: Workspace, way: Way, sampler: Sampler | None = None) -> dict[str, str]:
    """For each image whose key points are up to date, the digest of all that its reading depends on.

    Args:
        workspace: whose images and stored key points are meant.
        way: of an expert.
        sampler: that of the key points, in place of the one that the settings name.

    Raises:
        Da2kError: see `identity_of`, and `keypoint_keys`.
    """
    return _keys(_inputs(workspace, sampler)[0], identity_of(workspace, way))


def take_readings(
    workspace: Workspace,
    *,
    device: str = "auto",
    batch_size: BatchSize = 1,
    retry: bool = False,
    only: Sequence[str] = (),
    sampler: Sampler | None = None,
    progress: Callable[[str], Progress] | None = None,
    say: Callable[[StageReport], None] | None = None,
) -> list[StageReport]:
    """Read every expert's map at the key points of every image; what is up to date stays.

    A model is loaded only if it has something to read, and before the first one is loaded all of those are checked as
    far as that is cheap. Images whose key points are not up to date keep the readings they have.

    Args:
        workspace: open for writing.
        device: where models run that can choose.
        batch_size: images given to a model at once, where the settings do not say; "auto" is 16, or fewer if memory
            runs out. In batches, images of equal size come after one another.
        retry: try images again that failed before.
        only: names of experts, or of single ways; all if empty.
        sampler: that of the key points, in place of the one that the settings name.
        progress: given the name of a way's stage, it returns what is told (images done, images in all).
        say: told what a way did as soon as it is done.

    Returns:
        One report a way, in the order of `expert_ways`.

    Raises:
        BadInput: `only` names no expert of the settings.
        BadModel: a model cannot be named or loaded; what was read before it stays.
        MissingExtra: a model needs a package that is not installed.
    """
    ways = _chosen(expert_ways(workspace.settings), only)
    inputs, stale = _inputs(workspace, sampler)
    jobs = [_job(workspace, way, inputs, stale) for way in ways]
    check_ways(job.way for job in jobs if job.is_behind(retry))
    reports: list[StageReport] = []
    for job in jobs:
        show = progress(job.stage) if progress else None
        report = _take(workspace, job, device, job.way.batch_size or batch_size, retry, show)
        if stale and not reports:
            lack = f"{len(stale)} images have no key points that are up to date; run: da2k build keypoints"
            report = replace(report, notes=(*report.notes, lack))
        reports.append(report)
        if say:
            say(report)
    return reports


def check_experts(workspace: Workspace, *, sampler: Sampler | None = None) -> None:
    """Where key points are due, check the experts that will read them, as far as that is cheap; no model is loaded.

    Where none are due, `take_readings` is in time to find what is wrong.

    Args:
        workspace: whose images and settings are meant.
        sampler: that of the key points, in place of the one that the settings name.

    Raises:
        Da2kError: an expert's name, an option or a file is wrong, or a package is not installed.
    """
    wanted = keypoint_keys(workspace, sampler)
    made = dict(workspace.db.run("SELECT image, key FROM work WHERE stage = ?", KEYPOINTS))
    due = {image for image, key in wanted.items() if made.get(image) != key}
    if due and due - workspace.changed_photos().keys():
        check_ways(expert_ways(workspace.settings))


def image_readings(workspace: Workspace, sampler: Sampler | None = None) -> Readings:
    """All stored readings that are up to date, of all images at once.

    Args:
        workspace: may be read-only.
        sampler: that of the key points, in place of the one that the settings name.
    """
    inputs, _ = _inputs(workspace, sampler)
    ways = expert_ways(workspace.settings)
    found: dict[str, dict[str, Reading]] = {image: {} for image in inputs}
    content = {image: hashlib.sha256(of.encode()) for image, of in inputs.items()}
    for way in ways:
        keys = _keys(inputs, identity_of(workspace, way))
        stored = _stored(workspace, way)
        for image, kind, data in workspace.db.run(
            "SELECT image, kind, data FROM readings WHERE expert = ? ORDER BY image", way.name
        ):
            if image in keys and stored.get(image) == (keys[image], None):
                found[image][way.name] = Reading(DepthKind(kind), np.frombuffer(data, "<f8"))
                content[image].update(f"{way.name} {kind} ".encode() + data)
    ready = {image: content[image].hexdigest() for image, read in found.items() if len(read) == len(ways)}
    return Readings(found, ready)


@dataclass(frozen=True)
class _Job:
    """What there is to do for one way.

    Attributes:
        way: of an expert.
        identity: names the way's model.
        keys: for each image with key points, what its reading has to be made from.
        stored: for each image that the way was run on, what its reading was made from, and why it failed or None.
        held: what the readings of images whose key points are not up to date were made from.
    """

    way: Way
    identity: str
    keys: Mapping[str, str]
    stored: Mapping[str, tuple[str, str | None]]
    held: Mapping[str, str]

    @property
    def stage(self) -> str:
        return stage_of(self.way)

    def is_behind(self, retry: bool) -> bool:
        """Whether there may be something to read."""
        failed = retry and any(failure is not None for _, failure in self.stored.values())
        return failed or any(self.stored.get(image, ("",))[0] != key for image, key in self.keys.items())


def _job(workspace: Workspace, way: Way, inputs: Mapping[str, str], stale: Set[str]) -> _Job:
    identity = identity_of(workspace, way)
    stored = _stored(workspace, way)
    held = {image: key for image, (key, failure) in stored.items() if image in stale and failure is None}
    return _Job(way, identity, _keys(inputs, identity), stored, held)


def _take(
    workspace: Workspace, job: _Job, device: str, batch_size: BatchSize, retry: bool, progress: Progress | None
) -> StageReport:
    """Bring the readings of one way up to date."""
    way, notes = job.way, list[str]()
    load = cache(lambda: _load(way, device))

    def compute(images: Sequence[str]) -> Iterator[tuple[str, Reading | Exception]]:
        _require_the_same(workspace, job, load())
        yield from _read(workspace, load(), images, batch_size, notes.append)
        notes.extend(getattr(load(), "warnings", ()))

    def write(image: str, reading: Reading) -> None:
        data = reading.values.astype("<f8").tobytes()
        workspace.db.run("INSERT INTO readings VALUES (?, ?, ?, ?)", image, way.name, reading.kind.value, data)
        # With each reading: a run that ends before its first one must not claim those of another model.
        workspace.db.run("INSERT OR REPLACE INTO experts VALUES (?, ?, ?, ?)", *_account(job, load()))

    def forget(image: str) -> None:
        workspace.db.run("DELETE FROM readings WHERE image = ? AND expert = ?", image, way.name)

    def work(keys: Mapping[str, str]) -> StageReport:
        return work_through(workspace, job.stage, keys, compute, write, forget, retry=retry, progress=progress)

    try:
        report = work({**job.keys, **job.held})
    except _AnotherModel:
        _forget_way(workspace, way)
        notes.append("the model is not the one that the stored readings came from, so all images were read again")
        report = work(job.keys)
    return replace(report, notes=tuple(notes))


def _load(way: Way, device: str) -> Model:
    with told_for_experts(way):
        return load_model(way.model, way.options, device)


def _read(
    workspace: Workspace, model: Model, images: Sequence[str], batch_size: BatchSize, say: Callable[[str], None]
) -> Iterator[tuple[str, Reading | Exception]]:
    """Run the model over images and read its maps at their key points."""
    taken = {image.image: image for image in workspace.images()}
    order = sorted(images, key=lambda image: taken[image].size) if batch_size != 1 else images

    def open_photo(image: str) -> Photo:  # called in threads, which cannot ask the database
        return Photo(image, taken[image].size, workspace.folder / image)

    stretched, reads_pixels = model.record.aspect == "stretched", not hasattr(model, "prepare")
    for answer in run_model(model, order, open_photo, dict.fromkeys(order), batch_size, say):
        if answer.depth is None:
            assert answer.error is not None
            yield answer.name, answer.error
            continue
        if reads_pixels and answer.digest != taken[answer.name].sha256:
            path = workspace.folder / answer.name
            yield answer.name, BadInput(f"{path}: changed while it was read; run: da2k build init {workspace.folder}")
            continue
        try:
            points = read_keypoints(workspace, answer.name).points
            values = values_at(answer.depth, points, answer.size, stretched=stretched)
            yield answer.name, Reading(answer.depth.kind, values)
        except BadInput as e:
            yield answer.name, e


class _AnotherModel(Exception):
    """The loaded model is not the one that the stored readings came from, though nothing on this machine says so."""


def _require_the_same(workspace: Workspace, job: _Job, model: Model) -> None:
    """Make sure that what is loaded is what the stored readings of its identity came from.

    Raises:
        _AnotherModel: readings of the same identity are stored, and came from another model.
    """
    record = model.record.model_dump_json()
    for before in workspace.db.run("SELECT identity, record FROM experts WHERE expert = ?", job.way.name):
        if before[0] == job.identity and before[1] != record:
            raise _AnotherModel


def _account(job: _Job, model: Model) -> tuple[str, str, str, str]:
    """The row of `experts`: which model reads, and on what."""
    record = model.record.model_dump_json()
    run = {
        "da2k_version": da2k.__version__,
        "python": platform.python_version(),
        "packages": dict(installed_packages()),
        "device": str(getattr(model, "device", "cpu")),
        "dtype": str(getattr(model, "dtype", "float32")),
        "seed": getattr(model, "seed", None),
    }
    return job.way.name, job.identity, record, json.dumps(run, sort_keys=True)


def _forget_way(workspace: Workspace, way: Way) -> None:
    with workspace.db.transaction():
        workspace.db.run("DELETE FROM readings WHERE expert = ?", way.name)
        workspace.db.run("DELETE FROM work WHERE stage = ?", stage_of(way))
        workspace.db.run("DELETE FROM experts WHERE expert = ?", way.name)


def _inputs(workspace: Workspace, sampler: Sampler | None) -> tuple[dict[str, str], set[str]]:
    """For each image with key points, the digest of the photograph and of those points; and the images that lack them.

    Key points that are not up to date count as lacking, but an image on which they failed does not.
    """
    wanted, placed = keypoint_keys(workspace, sampler), keypoint_digests(workspace)
    current = {
        image: failure
        for image, key, failure in workspace.db.run("SELECT image, key, failure FROM work WHERE stage = ?", KEYPOINTS)
        if wanted.get(image) == key
    }
    photos = {image.image: image.sha256 for image in workspace.images()}
    inputs = {
        image: digest(photos[image], placed[image])
        for image, failure in current.items()
        if failure is None and image in placed
    }
    return inputs, wanted.keys() - current.keys()


def _keys(inputs: Mapping[str, str], identity: str) -> dict[str, str]:
    return {image: hashlib.sha256(f"{of} {identity}".encode()).hexdigest() for image, of in inputs.items()}


def _stored(workspace: Workspace, way: Way) -> dict[str, tuple[str, str | None]]:
    """For each image that a way was run on, what its reading was made from, and why it failed or None."""
    rows = workspace.db.run("SELECT image, key, failure FROM work WHERE stage = ?", stage_of(way))
    return {image: (key, failure) for image, key, failure in rows}


def _chosen(ways: Sequence[Way], only: Sequence[str]) -> list[Way]:
    for name in only:
        if not any(name in (way.name, way.expert) for way in ways):
            known = did_you_mean(name, (way.name for way in ways))
            raise BadInput(f'"{name}" is no expert of these settings; {known}')
    return [way for way in ways if not only or way.name in only or way.expert in only]
