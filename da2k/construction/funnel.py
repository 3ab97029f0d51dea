"""How far a benchmark is: from photographs to released pairs, what failed, and what is out of date."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from da2k.construction.adjust import require_scenarios
from da2k.construction.audit import Audit, estimate_errors
from da2k.construction.decisions import Decision, State
from da2k.construction.experts import expert_ways
from da2k.construction.keypoints import STAGE as KEYPOINTS
from da2k.construction.keypoints import keypoint_keys
from da2k.construction.queue import DrawnPair, left_out, read_decisions, read_pairs
from da2k.construction.readings import image_readings, reading_keys, stage_of
from da2k.construction.selection import STAGE as SELECTION
from da2k.construction.selection import misplaced_pairs, selection_keys
from da2k.construction.settings import Settings
from da2k.construction.workspace import TakenImage, Workspace
from da2k.errors import Da2kError
from da2k.pairs import scenario_of, scenario_order

_POINT_BYTES = 8
"""A key point is stored as two 32-bit integers."""


@dataclass(frozen=True, slots=True)
class ScenarioFunnel:
    """The numbers of one scenario, or of all together.

    `unanimous + disputed + too_close + manual == pairs >= queued >= decided >= checked >= released`.

    Attributes:
        images: photographs taken in.
        to_read: of those, photographs whose pairs come from the experts' votes.
        points: their key points.
        read: photographs that every expert has read.
        pairs: drawn, or chosen by people.
        unanimous, disputed, too_close, manual: by the experts' vote; manual, chosen by people.
        audited: unanimous pairs that go to people too.
        queued: pairs that go to people.
        decided: queued pairs that somebody has answered.
        checked: queued pairs that need no further answer.
        released: pairs that a release made now would hold.
        dropped: checked pairs that a release leaves out, by reason.
    """

    images: int = 0
    to_read: int = 0
    points: int = 0
    read: int = 0
    pairs: int = 0
    unanimous: int = 0
    disputed: int = 0
    too_close: int = 0
    manual: int = 0
    audited: int = 0
    queued: int = 0
    decided: int = 0
    checked: int = 0
    released: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Queued pairs that need answers or checks."""
        return self.queued - self.checked

    def __add__(self, other: Self) -> Self:
        numbers = {
            each.name: getattr(self, each.name) + getattr(other, each.name)
            for each in fields(self)
            if each.name != "dropped"
        }
        dropped = Counter(self.dropped) + Counter(other.dropped)
        return type(self)(**numbers, dropped=dict(sorted(dropped.items())))


@dataclass(frozen=True, slots=True)
class Due:
    """What the next run has to do in a stage.

    Attributes:
        new: images never done.
        again: images to be done again, since what they were made from has changed.
    """

    new: int
    again: int


@dataclass(frozen=True, slots=True)
class Failed:
    """An image on which a stage failed."""

    stage: str
    image: str
    why: str


@dataclass(frozen=True)
class Funnel:
    """How far a benchmark is.

    Attributes:
        scenarios: by name, in the paper's order.
        total: their sum.
        audit: how often the experts are wrong together.
        failures: by stage and image.
        changed: photographs whose file is gone or is not what was taken in, and what to do.
        due: by stage, what the next run has to do; stages that are up to date are not there.
        unknown: why it cannot be told what the next run has to do, or None.
    """

    scenarios: Mapping[str, ScenarioFunnel]
    total: ScenarioFunnel
    audit: Audit
    failures: tuple[Failed, ...] = ()
    changed: Mapping[str, str] = field(default_factory=dict)
    due: Mapping[str, Due] = field(default_factory=dict)
    unknown: str | None = None

    def as_json(self) -> dict[str, Any]:
        """All of it in values that JSON can hold."""
        return asdict(self)


def funnel(workspace: Workspace) -> Funnel:
    """How far the benchmark is; the workspace may be read-only, and another process at work in it."""
    with workspace.db.snapshot():
        images = workspace.images()
        pairs, decisions = read_pairs(workspace), read_decisions(workspace)
        work = _work(workspace)
        due: Mapping[str, Due] = {}
        ready: Collection[str] = ()
        unknown = None
        try:
            due, ready = _due(workspace, images, work)
        except Da2kError as e:
            unknown = str(e)
        scenarios = _scenarios(workspace, images, ready, pairs, decisions)
    return Funnel(
        scenarios=scenarios,
        total=sum(scenarios.values(), ScenarioFunnel()),
        audit=estimate_errors(pairs, decisions),
        failures=tuple(
            Failed(stage, image, why)
            for stage, rows in work.items()
            for image, (_, why) in sorted(rows.items())
            if why is not None
        ),
        changed=workspace.changed_photos(),
        due=due,
        unknown=unknown,
    )


def out_of_date(workspace: Workspace) -> list[str]:
    """What the stages would have to do before a release, a line each; nothing, if they are up to date.

    Raises:
        Da2kError: that cannot be told, since an expert or its weights cannot be found.
    """
    with workspace.db.snapshot():
        due, _ = _due(workspace, workspace.images(), _work(workspace))
    return [f"{each.new + each.again} images, from {stage} on" for stage, each in list(due.items())[:1]]


def _scenarios(
    workspace: Workspace,
    images: list[TakenImage],
    ready: Collection[str],
    pairs: list[DrawnPair],
    decisions: Mapping[str, Decision],
) -> dict[str, ScenarioFunnel]:
    settings = workspace.settings
    counts: dict[str, Counter[str]] = {name: Counter() for name in settings.scenarios}
    dropped: dict[str, Counter[str]] = {}
    for image in images:
        counts.setdefault(image.scenario, Counter()).update(images=1, read=int(image.image in ready))
        if image.scenario in settings.scenarios and settings.is_automatic(image.scenario):
            counts[image.scenario]["to_read"] += 1
    for image, size in workspace.db.run("SELECT image, length(points) FROM keypoints"):
        counts.setdefault(scenario_of(image), Counter()).update(points=size // _POINT_BYTES)
    for pair in pairs:
        count = counts.setdefault(pair.scenario, Counter())
        count.update(["pairs", pair.outcome])
        if pair.audited:
            count["audited"] += 1
        if pair.queued:
            count.update(_progress(pair, decisions[pair.id], settings))
            reason = left_out(pair, decisions[pair.id], settings)
            if reason:
                dropped.setdefault(pair.scenario, Counter())[reason] += 1
    return {
        name: ScenarioFunnel(**counts[name], dropped=dict(sorted(dropped.get(name, Counter()).items())))
        for name in sorted(counts, key=scenario_order)
    }


def _progress(pair: DrawnPair, decision: Decision, settings: Settings) -> Iterator[str]:
    """The steps that a queued pair has taken."""
    yield "queued"
    if decision.state is not State.OPEN:
        yield "decided"
    if decision.state in (State.KEPT, State.DROPPED):
        yield "checked"
        if left_out(pair, decision, settings) is None:
            yield "released"


def _work(workspace: Workspace) -> dict[str, dict[str, tuple[str, str | None]]]:
    """For each stage of the settings, each image's key and failure."""
    stages = [KEYPOINTS, *(stage_of(way) for way in expert_ways(workspace.settings)), SELECTION]
    work: dict[str, dict[str, tuple[str, str | None]]] = {stage: {} for stage in stages}
    for stage, image, key, failure in workspace.db.run("SELECT stage, image, key, failure FROM work"):
        if stage in work:
            work[stage][image] = key, failure
    return work


def _due(
    workspace: Workspace, images: list[TakenImage], work: Mapping[str, Mapping[str, tuple[str, str | None]]]
) -> tuple[dict[str, Due], Collection[str]]:
    """What the next run has to do, and the images that every expert has read.

    What is due in a stage is due in all that follow.
    """
    require_scenarios(workspace)
    if not any(workspace.settings.is_automatic(image.scenario) for image in images) and not any(work.values()):
        return {}, ()
    readings = image_readings(workspace)
    placed = _images_due(keypoint_keys(workspace), work[KEYPOINTS])
    due = {KEYPOINTS: placed}
    for way in expert_ways(workspace.settings):
        due[stage_of(way)] = placed | _images_due(reading_keys(workspace, way), work[stage_of(way)])
    misplaced = {image for _, image in misplaced_pairs(workspace, {image.image: image for image in images})}
    drawn = _images_due(selection_keys(workspace, readings), work[SELECTION])
    due[SELECTION] = set().union(*due.values()) | drawn | misplaced
    return {
        stage: Due(len(of - work[stage].keys()), len(of & work[stage].keys())) for stage, of in due.items() if of
    }, readings.ready


def _images_due(keys: Mapping[str, str], stored: Mapping[str, tuple[str, str | None]]) -> set[str]:
    """Images whose stored work is not what it would be now; what is stored of others is to be removed."""
    return {image for image in keys.keys() | stored.keys() if stored.get(image, (None,))[0] != keys.get(image)}
