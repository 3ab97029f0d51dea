"""How far the people are, how fast, and how well they agree; as of the last pull, without asking a server."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from da2k.annotation.campaign import Campaign, read_campaign
from da2k.annotation.counting import Problem, count
from da2k.annotation.gold import gold_pairs
from da2k.annotation.listing import Annotation, held_annotations, held_names, person_name
from da2k.annotation.people import PersonStatus, people_status
from da2k.annotation.tasks import KINDS, Kind, PairTask, image_asked
from da2k.construction.decisions import Answer, Decision, State
from da2k.construction.queue import DrawnPair, image_of, read_answers, read_decisions, read_pairs
from da2k.construction.release.agreement import Agreement, measure_agreement, mode_of, of_people
from da2k.construction.settings import Mode
from da2k.construction.workspace import Workspace
from da2k.pairs import scenario_of, scenario_order


@dataclass(frozen=True, slots=True)
class ScenarioStatus:
    """How far one scenario is, or all together; `open + unchecked + dissent + kept + sum(dropped) == queued`.

    Attributes:
        queued: pairs that go to people.
        sent: of those, pairs that a task was sent of.
        open: queued pairs that nobody has answered.
        unchecked: answered, but not by enough people.
        dissent: people differ, and one more has to answer.
        kept: decided and checked.
        dropped: reason → pairs that are no good.
        skipped: times that a person skipped a task and has not answered it since.
        photo_tasks: photographs sent to have a pair chosen by hand, one for each pair wanted.
        photo_tasks_done: of those, tasks that somebody has handed in.
        agreement: how far people agree on the queued pairs; gold pairs are not in it unless they are queued.
    """

    queued: int
    sent: int
    open: int
    unchecked: int
    dissent: int
    kept: int
    dropped: Mapping[str, int]
    skipped: int
    photo_tasks: int
    photo_tasks_done: int
    agreement: Agreement


@dataclass(frozen=True)
class Status:
    """How far the people are.

    Attributes:
        mode: how they are asked; in review mode answers after the first are not blind.
        campaigns: the projects that were begun, by what their tasks ask.
        scenarios: by name, in the paper's order; only those with something for people to do.
        total: all together.
        people: by name; everybody who answered or skipped anything.
        gold: gold pairs held, whether they are sent or not.
        problems: what should be looked at, a sentence each.
    """

    mode: Mode
    campaigns: Mapping[Kind, Campaign]
    scenarios: Mapping[str, ScenarioStatus]
    total: ScenarioStatus
    people: Sequence[PersonStatus]
    gold: int
    problems: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """All of it in values that JSON can hold; without the names that da2k gave the projects for itself."""
        found = asdict(self)
        for campaign in found["campaigns"].values():
            del campaign["tag"]
        return found


@dataclass(frozen=True, eq=False)
class _Held:
    """What the workspace holds, read at one time.

    Attributes:
        mode, pairs, answers, decisions: as they are; `pairs` are the queued ones.
        gold: pair → the closer point.
        stale_gold: gold pairs of photographs that were changed since.
        sent: pairs that a task was sent of, with the photograph as it is now.
        stale: tasks of pairs that are neither queued nor gold, or of photographs that were changed since.
        photo_tasks: for each task to choose a pair by hand, its scenario and whether it was handed in.
        skips: for each task skipped, its scenario and the person.
        uncounted: annotations that do not count as they stand.
        campaigns: that were begun.
    """

    mode: Mode
    pairs: Sequence[DrawnPair]
    answers: Mapping[str, Sequence[Answer]]
    decisions: Mapping[str, Decision]
    gold: Mapping[str, str]
    stale_gold: int
    sent: set[str]
    stale: int
    photo_tasks: Sequence[tuple[str, bool]]
    skips: Sequence[tuple[str, str]]
    uncounted: Sequence[Problem]
    campaigns: Mapping[Kind, Campaign]


def annotation_status(workspace: Workspace) -> Status:
    """How far the people are; the workspace may be read-only, and no server is asked."""
    with workspace.db.snapshot():
        held = _read(workspace)
    names = {pair.scenario for pair in held.pairs} | {name for name, _ in chain(held.photo_tasks, held.skips)}
    return Status(
        mode=held.mode,
        campaigns=held.campaigns,
        scenarios={name: _scenario(held, name) for name in sorted(names, key=scenario_order)},
        total=_scenario(held, None),
        people=people_status(
            held.answers,
            queued={pair.id for pair in held.pairs},
            gold=held.gold,
            skips=Counter(person for _, person in held.skips),
            mode=held.mode,
        ),
        gold=len(held.gold),
        problems=tuple(_problems(held, workspace)),
    )


def _read(workspace: Workspace) -> _Held:
    pairs = read_pairs(workspace, queued_only=True)
    gold = {each.pair: each.closer for each in gold_pairs(workspace)}
    photos = {image.image: image.sha256 for image in workspace.images()}
    tasks = {external_id for (external_id,) in workspace.db.run("SELECT external_id FROM tasks WHERE kind = 'pairs'")}
    asked = {key: PairTask(key, photos.get(image_of(key), ""), False).external_id for key in _ids(pairs) | {*gold}}
    annotations, names = held_annotations(workspace), held_names(workspace)
    done = {each.external_id for each in annotations if not each.cancelled}
    photo_tasks = [task for (task,) in workspace.db.run("SELECT external_id FROM tasks WHERE kind = 'photos'")]
    return _Held(
        mode=mode_of(workspace),
        pairs=pairs,
        answers={key: given for key, each in read_answers(workspace).items() if (given := of_people(each))},
        decisions=read_decisions(workspace),
        gold=gold,
        stale_gold=workspace.db.run("SELECT count(*) FROM gold")[0][0] - len(gold),
        sent={key for key, task in asked.items() if task in tasks},
        stale=len(tasks - set(asked.values())),
        photo_tasks=[(name, task in done) for task in photo_tasks if (name := _scenario_of(task))],
        skips=_skips(annotations, names),
        uncounted=count(annotations, names, {image.image: image for image in workspace.images()}).problems,
        campaigns={kind: campaign for kind in KINDS if (campaign := read_campaign(workspace, kind)).begun},
    )


def _ids(pairs: Sequence[DrawnPair]) -> set[str]:
    return {pair.id for pair in pairs}


def _scenario_of(task: str) -> str | None:
    """The scenario that a task is about; None for one that is not da2k's."""
    image = image_asked(task)
    return scenario_of(image) if image else None


def _skips(annotations: Iterable[Annotation], names: Mapping[tuple[str, str], str]) -> list[tuple[str, str]]:
    """The scenario and the person of each task that somebody skipped and has not answered since."""
    found: dict[tuple[str, int, int, str], list[Annotation]] = {}
    for each in annotations:
        found.setdefault((each.url, each.project, each.task, each.person), []).append(each)
    only_skipped = (of_one[0] for of_one in found.values() if all(each.cancelled for each in of_one))
    tasks = [(_scenario_of(each.external_id), person_name(names, each)) for each in only_skipped]
    return [(scenario, person) for scenario, person in tasks if scenario]


def _scenario(held: _Held, name: str | None) -> ScenarioStatus:
    """The status of a scenario; None stands for all together."""
    pairs = [pair for pair in held.pairs if name in (None, pair.scenario)]
    decisions = [held.decisions[pair.id] for pair in pairs]
    states = Counter(decision.state for decision in decisions)
    handed_in = [done for scenario, done in held.photo_tasks if name in (None, scenario)]
    return ScenarioStatus(
        queued=len(pairs),
        sent=sum(pair.id in held.sent for pair in pairs),
        open=states[State.OPEN],
        unchecked=states[State.UNCHECKED],
        dissent=states[State.DISSENT],
        kept=states[State.KEPT],
        dropped=dict(sorted(Counter(decision.reason for decision in decisions if decision.reason).items())),
        skipped=sum(name in (None, scenario) for scenario, _ in held.skips),
        photo_tasks=len(handed_in),
        photo_tasks_done=sum(handed_in),
        agreement=measure_agreement((held.answers.get(pair.id, ()) for pair in pairs), held.mode),
    )


def _problems(held: _Held, workspace: Workspace) -> Iterator[str]:
    """What should be looked at."""
    if held.campaigns and held.mode != workspace.settings.annotation.mode:
        wanted = workspace.settings.annotation.mode
        yield f"da2k.yaml says annotation.mode {wanted}, and tasks were sent in mode {held.mode}, which counts"
    for kind, campaign in held.campaigns.items():
        if campaign.pulled is None:
            yield f"nothing was pulled yet from the project of {kind}; run: da2k annotate pull {workspace.folder}"
    sorts: dict[str, list[Problem]] = {}
    for problem in held.uncounted:
        sorts.setdefault(problem.what, []).append(problem)
    for what, those in sorted(sorts.items()):
        more = f", and {len(those) - 1} more" if len(those) > 1 else ""
        yield f"not counted as it stands, {what}: {those[0].where}{more}"
    if held.stale:
        yield f"{held.stale} tasks were sent of pairs that nobody needs to answer any more"
    counting = _ids(held.pairs) | {*held.gold}
    aside = sum(len(each) for key, each in held.answers.items() if key not in counting)
    if aside:
        yield f"{aside} answers are to pairs that are neither queued nor gold, and count for nothing"
    if held.stale_gold:
        yield f"{held.stale_gold} gold pairs are of photographs that were changed since, and count for nothing"
