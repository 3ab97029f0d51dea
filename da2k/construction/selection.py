"""The stage that draws pairs, lets the experts vote, and queues what people have to decide; from stored readings."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from da2k.construction.drawing import METHOD, ReadImage, chance, draw_pairs
from da2k.construction.experts import Way, expert_ways
from da2k.construction.keypoints import STAGE as KEYPOINTS
from da2k.construction.keypoints import read_keypoints
from da2k.construction.points import Sampler
from da2k.construction.queue import DrawnPair, write_pairs
from da2k.construction.readings import Reading, Readings, image_readings, stage_of
from da2k.construction.settings import Settings, digest
from da2k.construction.stages import Progress, StageReport, work_through
from da2k.construction.voting import Floats
from da2k.construction.workspace import TakenImage, Workspace
from da2k.depth import DepthKind
from da2k.pairs import Point

STAGE = "selection"


def select_pairs(
    workspace: Workspace, *, sampler: Sampler | None = None, progress: Progress | None = None
) -> StageReport:
    """Draw the pairs of every image whose readings are all there and up to date; what is up to date stays.

    Pairs of an image whose readings are not up to date are removed, so that nobody is asked about them; answers to
    them stay, and count again when the pairs do. Manual pairs are never touched.

    Args:
        workspace: open for writing.
        sampler: that of the key points, in place of the one that the settings name.
        progress: told (images done, images in all).
    """
    settings, ways = workspace.settings, expert_ways(workspace.settings)
    readings = image_readings(workspace, sampler)
    taken = {image.image: image for image in workspace.images()}
    keys = selection_keys(workspace, readings)
    manual = {key for (key,) in workspace.db.run("SELECT id FROM pairs WHERE outcome = 'manual'")}
    drawn_now: set[str] = set()

    def compute(images: Sequence[str]) -> Iterator[tuple[str, list[DrawnPair]]]:
        for image in images:
            drawn_now.add(image)
            photo, points = taken[image], read_keypoints(workspace, image).points
            experts = _experts(ways, readings.by_image[image])
            read = ReadImage(image, photo.sha256, photo.size, points, experts)
            yield image, draw_pairs(read, settings.selection, _quota(settings, photo.scenario), settings.seed)

    def write(image: str, drawn: list[DrawnPair]) -> None:
        if settings.scenarios[taken[image].scenario].pairs is not None:
            drawn = [replace(pair, queued=pair.audited) for pair in drawn]  # until all images are known
        write_pairs(workspace, (pair for pair in drawn if pair.id not in manual))

    def forget(image: str) -> None:
        workspace.db.run("DELETE FROM pairs WHERE image = ? AND outcome != 'manual'", image)

    report = work_through(workspace, STAGE, keys, compute, write, forget, progress=progress)
    moved = _queue_within_limits(workspace, taken)
    notes = _notes(workspace, taken.values(), keys.keys(), sum(image not in drawn_now for image in moved))
    return replace(report, notes=tuple(notes))


def selection_keys(workspace: Workspace, readings: Readings) -> dict[str, str]:
    """For each image whose readings are all up to date, the digest of all that its pairs depend on.

    Limits of scenarios are not in it: they decide about the queue only.

    Args:
        workspace: may be read-only.
        readings: `image_readings` of the workspace.
    """
    settings = workspace.settings
    photos = {photo.image: photo for photo in workspace.images()}
    chosen = settings.selection.model_dump(exclude={"quota"})
    ways = [(way.expert, way.name) for way in expert_ways(settings)]
    keys = {}
    for image, content in readings.ready.items():
        photo = photos[image]
        quota = _quota(settings, photo.scenario)
        keys[image] = digest(METHOD, settings.seed, quota, chosen, ways, photo.sha256, content)
    return keys


def _quota(settings: Settings, scenario: str) -> int:
    own = settings.scenarios[scenario].quota
    return settings.selection.quota if own is None else own


def _experts(ways: Sequence[Way], read: Mapping[str, Reading]) -> list[list[tuple[DepthKind, Floats]]]:
    """The readings of each expert, itself before its other ways."""
    experts: dict[str, list[tuple[DepthKind, Floats]]] = {}
    for way in ways:
        experts.setdefault(way.expert, []).append((read[way.name].kind, read[way.name].values))
    return list(experts.values())


def _queue_within_limits(workspace: Workspace, taken: Mapping[str, TakenImage]) -> list[str]:
    """Queue the disputed pairs of each scenario up to its limit.

    Returns:
        The image of every pair whose place in the queue changed.
    """
    moved = misplaced_pairs(workspace, taken)
    if moved:
        with workspace.db.transaction():
            workspace.db.run_many("UPDATE pairs SET queued = NOT queued WHERE id = ?", ((key,) for key, _ in moved))
    return [image for _, image in moved]


def misplaced_pairs(workspace: Workspace, taken: Mapping[str, TakenImage]) -> list[tuple[str, str]]:
    """Disputed pairs, each with its image, that the limits of the scenarios want in the queue and are not, or are.

    A queue takes image after image, in an order that the seed gives, up to its scenario's limit.
    """
    scenarios, seed = workspace.settings.scenarios, workspace.settings.seed
    disputed = workspace.db.run(
        "SELECT id, image, row1, col1, row2, col2, queued FROM pairs WHERE outcome = 'disputed'"
    )
    scenario = {image: photo.scenario for image, photo in taken.items()}
    ranks = {image: (digest("order of images", seed, photo.sha256), image) for image, photo in taken.items()}

    def rank(row: tuple[str, str, int, int, int, int, int]) -> tuple[tuple[str, str], float]:
        _, image, row1, col1, row2, col2, _ = row
        return ranks[image], chance(seed, taken[image].sha256, Point(row1, col1), Point(row2, col2))

    of_scenario = defaultdict(list)
    for row in disputed:
        of_scenario[scenario[row[1]]].append(row)
    within: set[str] = set()
    for name, rows in of_scenario.items():
        limit = scenarios[name].pairs
        chosen = rows if limit is None else sorted(rows, key=rank)[:limit]
        within.update(row[0] for row in chosen)
    return [(key, image) for key, image, *_, queued in disputed if (key in within) != bool(queued)]


def _failed(workspace: Workspace) -> set[str]:
    """The images on which the key points or a reading failed."""
    stages = {KEYPOINTS, *(stage_of(way) for way in expert_ways(workspace.settings))}
    rows = workspace.db.run("SELECT stage, image FROM work WHERE failure IS NOT NULL")
    return {image for stage, image in rows if stage in stages}


def _notes(workspace: Workspace, photos: Iterable[TakenImage], ready: Iterable[str], moved: int) -> Iterator[str]:
    """What the user should know, the same at every run."""
    settings, ready = workspace.settings, set(ready)
    automatic = [photo for photo in photos if settings.is_automatic(photo.scenario)]
    waiting, again = {photo.image for photo in automatic} - ready, f"da2k build run {workspace.folder}"
    failed = waiting & _failed(workspace)
    if waiting - failed:
        yield f"{len(waiting - failed)} images lack readings that are up to date, so they have no pairs; run: {again}"
    if failed:
        why = "since their key points or readings failed"
        yield f"{len(failed)} images have no pairs, {why}; to try them again, run: {again} --retry"
    drawn = {image for (image,) in workspace.db.run("SELECT DISTINCT image FROM pairs WHERE outcome != 'manual'")}
    wanted = {photo.image for photo in automatic if photo.image in ready and _quota(settings, photo.scenario)}
    if empty := sorted(wanted - drawn):
        yield (
            f"no pair can be drawn from {len(empty)} images, whose key points are fewer than two, too near to each "
            f"other, or without a finite value of every expert: {', '.join(empty[:3])}{' …' if empty[3:] else ''}"
        )
    if moved:
        yield f"{moved} pairs drawn earlier have joined or left the queue, by the limits of their scenarios"
