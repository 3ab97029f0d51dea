"""Which tasks there should be on the server, and what each of them should say; nothing here asks the server."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from da2k.annotation.campaign import Campaign
from da2k.annotation.counting import count
from da2k.annotation.gold import chosen_gold, gold_pairs
from da2k.annotation.listing import Annotation, held_annotations, held_names, person_name
from da2k.annotation.tasks import Kind, PairTask, PhotoTask, is_swapped, kind_asked, shuffled_key
from da2k.construction.decisions import Answer, Decision, Says, State, decide
from da2k.construction.queue import DrawnPair, read_answers, read_pairs
from da2k.construction.release.provenance import public_names
from da2k.construction.settings import Mode, Settings
from da2k.construction.workspace import Workspace
from da2k.pairs import scenario_of

FIRST = "The first answer: {choice} is closer. Do you agree?"
"""What the people who check an answer see in review mode."""

_OPEN_STATES = (State.OPEN, State.UNCHECKED, State.DISSENT)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One task there should be.

    Attributes:
        task: what is asked.
        meta: what stands in the task beside its data, out of annotators' sight.
        needed: how many people are to have answered before somebody looks at it again.
        answered: those who have, wherever.
        first: what the first answer says, where it is to be shown.
        dissent: whether people differ, so that one more is asked.
        given: person → choice, of answers that go into the task when it is sent.
    """

    task: PairTask | PhotoTask
    meta: Mapping[str, Any]
    needed: int = 1
    answered: frozenset[str] = frozenset()
    first: Says | None = None
    dissent: bool = False
    given: Mapping[str, str] = field(default_factory=dict)

    def annotations(self, annotators: Sequence[str]) -> int:
        """How many annotations its task on the server is to have.

        Those there stay, whether or not they count, and as many more are wanted as answers are missing.

        Args:
            annotators: whose are known of the task; who made two stands there twice.
        """
        there = len(annotators) + len(self.given.keys() - set(annotators))
        return max(1, there + self.needed - len(self.answered))

    def sentence(self, swapped: bool) -> str:
        """What shows the first answer, by the letters of a task; empty where none is shown.

        Args:
            swapped: whether the letter A stands at point2 there; an earlier seed may have had it otherwise.
        """
        if self.first is None or not isinstance(self.task, PairTask):
            return ""
        return FIRST.format(choice=replace(self.task, swapped=swapped).choice(self.first))


@dataclass(frozen=True)
class Plan:
    """The tasks of one kind.

    Attributes:
        wanted: those that people still have to answer, in the order in which they are sent.
        known: external ids of all that may stand on the server; any other is of a pair that is not queued any more.
        decided: external ids of those that need no answer any more.
        overlap: people who annotate a task where nothing else is said.
        annotators: whose annotations are known of each task of the project, by the task's number there.
    """

    wanted: tuple[Wanted, ...]
    known: frozenset[str]
    decided: frozenset[str] = frozenset()
    overlap: int = 1
    annotators: Mapping[int, Sequence[str]] = field(default_factory=dict)


def plan_tasks(workspace: Workspace, campaign: Campaign) -> Plan:
    """The tasks of a campaign as of the last pull; the workspace may be read-only."""
    return _pairs(workspace, campaign) if campaign.kind == "pairs" else _photos(workspace, campaign)


def needed_people(decision: Decision, mode: Mode, checks: int) -> int:
    """How many people are to have answered a pair before somebody looks at it again.

    In review mode the first answer is looked at alone, to be shown to the others.
    """
    if decision.state is State.DISSENT:
        return checks + 2
    return 1 if mode == "review" and decision.state is State.OPEN else checks + 1


def first_answer(answers: Sequence[Answer]) -> Says | None:
    """What the first of these answers says that names a point; None without one."""
    named = [answer for answer in answers if answer.says in ("point1", "point2")]
    return min(named, key=lambda answer: answer.given or "").says if named else None


def _pairs(workspace: Workspace, campaign: Campaign) -> Plan:
    settings, photos = workspace.settings, {image.image: image.sha256 for image in workspace.images()}
    mode, checks = settings.annotation.mode, settings.checks.checks
    drawn = {pair.id: pair for pair in read_pairs(workspace) if pair.image in photos}
    queued = {key: _task(settings, key, photos[pair.image]) for key, pair in drawn.items() if pair.queued}
    answers = read_answers(workspace)
    decisions = _decisions(settings, answers, queued)
    asked = [key for key in queued if decisions[key].state in _OPEN_STATES]
    gold = {each.pair: _task(settings, each.pair, each.photo) for each in gold_pairs(workspace)}
    mixed_in = [each.pair for each in chosen_gold(workspace, len({*asked, *_sent(workspace, queued)}))]
    gold_decisions = _decisions(settings, answers, mixed_in)
    unanswered = [key for key in mixed_in if gold_decisions[key].state in (State.OPEN, State.UNCHECKED)]
    tasks, decisions = {**gold, **queued}, {**gold_decisions, **decisions}
    by_hand = {key for (key,) in workspace.db.run("SELECT pair FROM chosen")}
    on_the_server = set(workspace.db.run("SELECT pair, person FROM answers WHERE origin = 'label-studio'"))
    wanted = []
    for key in {**dict.fromkeys(asked), **dict.fromkeys(unanswered)}:
        task, said = tasks[key], answers.get(key, [])
        given = {
            answer.person: task.choice(answer.says)
            for answer in said
            if key in by_hand and (key, answer.person) in on_the_server
        }
        wanted.append(
            Wanted(
                task,
                _meta(task, drawn.get(key), settings),
                needed_people(decisions[key], mode, checks),
                frozenset(answer.person for answer in said),
                first_answer(said) if mode == "review" else None,
                decisions[key].state is State.DISSENT,
                given,
            )
        )
    known = frozenset(task.external_id for task in tasks.values())
    decided = frozenset(task.external_id for key, task in queued.items() if decisions[key].state not in _OPEN_STATES)
    overlap = 1 if mode == "review" else 1 + checks
    return Plan(_in_order(wanted, settings), known, decided, overlap, _annotators(workspace, campaign))


def _photos(workspace: Workspace, campaign: Campaign) -> Plan:
    """A task for each pair wanted of a photograph, less those chosen already; the first of each photograph first.

    A scenario's limit counts the pairs that there are and the tasks that may still give one; those stay.
    """
    settings = workspace.settings
    done, sent = _photos_done(workspace), _remembered(workspace, "photos")
    queued = workspace.db.run(
        "SELECT image, id IN (SELECT pair FROM chosen) FROM pairs WHERE outcome = 'manual' AND queued"
    )
    by_python = Counter(image for image, chosen in queued if not chosen)
    pairs = Counter(scenario_of(image) for image, _ in queued)
    known: set[str] = set()
    tasks: list[PhotoTask] = []
    for name, scenario in settings.scenarios.items():
        if scenario.selection != "manual":
            continue
        quota = settings.selection.quota if scenario.quota is None else scenario.quota
        of_scenario = [
            PhotoTask(photo.image, photo.sha256, number)
            for photo in workspace.images()
            if photo.scenario == name
            for number in range(1, quota - by_python[photo.image] + 1)
        ]
        of_scenario.sort(key=lambda task: (task.number, shuffled_key(settings.seed, task.external_id)))
        known.update(task.external_id for task in of_scenario)
        open_ = [task for task in of_scenario if task.external_id not in done]
        asked = [task for task in open_ if task.external_id in sent]
        fresh = [task for task in open_ if task.external_id not in sent]
        room = len(fresh) if scenario.pairs is None else max(0, scenario.pairs - pairs[name] - len(asked))
        tasks += [*asked, *fresh[:room]]
    wanted = [
        Wanted(task, {"da2k": 1, "image": task.image, "photo": task.photo, "number": task.number}) for task in tasks
    ]
    return Plan(_in_order(wanted, settings), frozenset(known), annotators=_annotators(workspace, campaign))


def _photos_done(workspace: Workspace) -> set[str]:
    """External ids of the photo tasks in which somebody chose a pair, or found none, in a way that counts."""
    found: dict[str, list[Annotation]] = {}
    for each in held_annotations(workspace):
        if not each.cancelled and kind_asked(each.external_id) == "photos":
            found.setdefault(each.external_id, []).append(each)
    names, images = held_names(workspace), {image.image: image for image in workspace.images()}
    counted = {name: count(annotations, names, images) for name, annotations in found.items()}
    return {name for name, each in counted.items() if each.chosen or each.unclear}


def _task(settings: Settings, pair: str, photo: str) -> PairTask:
    return PairTask(pair, photo, is_swapped(settings.seed, pair, photo))


def _decisions(
    settings: Settings, answers: Mapping[str, Sequence[Answer]], pairs: Iterable[str]
) -> dict[str, Decision]:
    rule = settings.checks
    return {key: decide(answers.get(key, ()), rule.checks, rule.dissent) for key in pairs}


def _meta(task: PairTask, drawn: DrawnPair | None, settings: Settings) -> Mapping[str, Any]:
    """Nothing of what is known of the answer; a pair that the workspace did not draw has no votes."""
    letters = {0: "none", 1: "B" if task.swapped else "A", 2: "A" if task.swapped else "B"}
    votes = zip(public_names(settings.experts), drawn.votes if drawn else (), strict=False)
    return {
        "da2k": 1,
        "pair": task.pair,
        "photo": task.photo,
        "swapped": task.swapped,
        "votes": {expert: letters[vote] for expert, vote in votes},
    }


def _in_order(wanted: Iterable[Wanted], settings: Settings) -> tuple[Wanted, ...]:
    return tuple(sorted(wanted, key=lambda each: shuffled_key(settings.seed, each.task.external_id)))


def _sent(workspace: Workspace, tasks: Mapping[str, PairTask]) -> list[str]:
    """Those of the pairs that the server has held a task of."""
    names = _remembered(workspace, "pairs")
    return [key for key, task in tasks.items() if task.external_id in names]


def _remembered(workspace: Workspace, kind: Kind) -> set[str]:
    """External ids of the tasks that the project held at the last push."""
    return {name for (name,) in workspace.db.run("SELECT external_id FROM tasks WHERE kind = ?", kind)}


def _annotators(workspace: Workspace, campaign: Campaign) -> dict[int, list[str]]:
    """Whose annotations each task of the project holds, skips left out, by the task's number there."""
    names = held_names(workspace)
    found: dict[int, list[str]] = {}
    for each in held_annotations(workspace):
        if (each.url, each.project) == (campaign.url, campaign.project) and not each.cancelled:
            found.setdefault(each.task, []).append(person_name(names, each))
    return found
