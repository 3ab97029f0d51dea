"""What goes into a release, and what keeps a release from being made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

from da2k.construction.audit import Audit, estimate_errors
from da2k.construction.decisions import Answer, Decision, State
from da2k.construction.experts import expert_ways
from da2k.construction.funnel import out_of_date
from da2k.construction.keypoints import STAGE as KEYPOINTS
from da2k.construction.queue import DrawnPair, left_out, read_answers, read_decisions, read_pairs
from da2k.construction.readings import stage_of
from da2k.construction.release.agreement import Agreement, measure_agreement, mode_of, of_people
from da2k.construction.release.provenance import DecidedPair, decided_by, pseudonyms, public_names
from da2k.construction.settings import Settings
from da2k.construction.workspace import Workspace
from da2k.datasets.da2k import Benchmark
from da2k.errors import BadInput
from da2k.pairs import scenario_order
from da2k.results import ModelRecord

UNDECIDED = (State.OPEN, State.UNCHECKED, State.DISSENT)
_LACKS = {
    State.OPEN: "have no answer",
    State.UNCHECKED: "lack checks",
    State.DISSENT: "need one more answer, since people differ",
}


@dataclass(frozen=True, slots=True)
class ScenarioCount:
    """What a release holds of one scenario; `disputed + manual + unanimous == pairs`.

    Attributes:
        images: photographs with a released pair.
        pairs: released pairs.
        disputed, manual, unanimous: of those, how they were found.
    """

    images: int
    pairs: int
    disputed: int
    manual: int
    unanimous: int


@dataclass(frozen=True, eq=False)
class Contents:
    """What a release says.

    Attributes:
        settings: of the workspace.
        draft: whether queued pairs may lack their checks.
        experts: the experts' public names, in the order of the votes.
        models: the models that the experts' readings came from, in the same order; None where none was run.
        released: the pairs in it: scenarios in the paper's order, then by image, then by points.
        left_out: pairs that were decided and are not in it, each with its reason; in the same order.
        undecided: queued pairs by what they lack; empty if it is no draft.
        photos: image → SHA-256 of its file, for the images of the released pairs.
        audit: how often the experts are wrong together.
        agreement: how far people agree on the pairs they decided; None if nobody was asked about any.
        agreements: the same by scenario, in the paper's order, of scenarios of which people were asked.
        automatic: photographs of automatic scenarios that were taken in.
        unread: of those, the ones without votes, counted by what failed on them.
    """

    settings: Settings
    draft: bool
    experts: tuple[str, ...]
    models: tuple[ModelRecord | None, ...]
    released: tuple[DecidedPair, ...]
    left_out: tuple[DecidedPair, ...]
    undecided: Mapping[State, int]
    photos: Mapping[str, str]
    audit: Audit
    agreement: Agreement | None
    agreements: Mapping[str, Agreement]
    automatic: int
    unread: Mapping[str, int]

    @property
    def version(self) -> str:
        """The version of the settings; "-draft" is appended to it in a draft (a pre-release of semver.org)."""
        return f"{self.settings.release.version}{'-draft' if self.draft else ''}"

    @property
    def lacking(self) -> int:
        """Queued pairs that are not decided, which only a draft leaves out."""
        return sum(self.undecided.values())

    @cached_property
    def labels(self) -> str:
        """The digest of the labels, as results of `da2k evaluate` name it."""
        return Benchmark("", Path(), tuple(each.pair for each in self.released)).digest

    @cached_property
    def scenarios(self) -> Mapping[str, ScenarioCount]:
        """Counts of each scenario with a released pair, in the paper's order."""
        found: dict[str, list[DrawnPair]] = {}
        for each in self.released:
            found.setdefault(each.drawn.scenario, []).append(each.drawn)
        return {name: _count(found[name]) for name in sorted(found, key=scenario_order)}

    @property
    def reasons(self) -> Mapping[str, int]:
        """Why queued pairs are not in it, and how many; in the order of the words."""
        counts = Counter({str(state): count for state, count in self.undecided.items()})
        counts.update(each.reason for each in self.left_out if each.reason)
        return dict(sorted(counts.items()))


def gather(workspace: Workspace, *, draft: bool = False) -> Contents:
    """What a release of a workspace would hold now.

    Pairs are released when people, or a known depth, have decided them; unanimous ones only if they were audited and
    the settings say so.

    Args:
        workspace: open; nothing is written.
        draft: leave out queued pairs that lack their checks, instead of refusing.

    Raises:
        Da2kError: something is out of date or that cannot be told, a photograph has changed, queued pairs lack answers
            and it is no draft, or there is nothing to release.
    """
    with workspace.db.snapshot():
        return _gather(workspace, draft)


def _gather(workspace: Workspace, draft: bool) -> Contents:
    settings = workspace.settings
    pairs = read_pairs(workspace, queued_only=True)
    _require_up_to_date(workspace, pairs)
    decisions, answers = read_decisions(workspace), read_answers(workspace)
    undecided = Counter(decisions[pair.id].state for pair in pairs if decisions[pair.id].state in UNDECIDED)
    if undecided and not draft:
        raise BadInput(_lacking(undecided, len(pairs), workspace))
    decided = [pair for pair in pairs if decisions[pair.id].state not in UNDECIDED]
    names = pseudonyms((answer for pair in decided for answer in answers.get(pair.id, [])), settings.seed)
    all_pairs = [_decided(pair, decisions[pair.id], answers.get(pair.id, []), names, settings) for pair in decided]
    released = tuple(each for each in all_pairs if each.reason is None)
    if not released:
        why = "no pair is decided yet" if not decided else f"none of the {len(decided)} decided pairs can be released"
        raise BadInput(f"{workspace.folder}: {why}; see where the pairs are with: da2k build status {workspace.folder}")
    said, mode = _said(decided, answers), mode_of(workspace)
    digests = {photo.image: photo.sha256 for photo in workspace.images()}
    return Contents(
        settings=settings,
        draft=draft,
        experts=public_names(settings.experts),
        models=_models(workspace),
        released=released,
        left_out=tuple(each for each in all_pairs if each.reason is not None),
        undecided={state: undecided[state] for state in UNDECIDED if undecided[state]},
        photos={each.drawn.image: digests[each.drawn.image] for each in released},
        audit=estimate_errors(pairs, decisions),
        agreement=measure_agreement(chain.from_iterable(said.values()), mode) if said else None,
        agreements={name: measure_agreement(each, mode) for name, each in said.items()},
        automatic=sum(settings.is_automatic(photo.scenario) for photo in workspace.images()),
        unread=_unread(workspace),
    )


def _said(pairs: Sequence[DrawnPair], answers: Mapping[str, Sequence[Answer]]) -> dict[str, list[list[Answer]]]:
    """People's answers to each pair that anybody answered, by scenario."""
    found: dict[str, list[list[Answer]]] = {}
    for pair in pairs:
        if given := of_people(answers.get(pair.id, [])):
            found.setdefault(pair.scenario, []).append(given)
    return found


def _require_up_to_date(workspace: Workspace, pairs: Sequence[DrawnPair]) -> None:
    stale = out_of_date(workspace)
    voters = len(workspace.settings.experts)
    if any(pair.votes and len(pair.votes) != voters for pair in pairs):
        stale.append(f"pairs were not voted on by the {voters} experts of da2k.yaml")
    if stale:
        raise BadInput(f"{workspace.folder}: out of date: {'; '.join(stale)}; run: da2k build run {workspace.folder}")
    changed = list(workspace.changed_photos().values())
    if changed:
        more = f" ({len(changed) - 1} more like it)" if len(changed) > 1 else ""
        raise BadInput(f"{changed[0]}{more}")


def _models(workspace: Workspace) -> tuple[ModelRecord | None, ...]:
    stored = dict(workspace.db.run("SELECT expert, record FROM experts"))
    records = (stored.get(expert.name) for expert in workspace.settings.experts)
    return tuple(None if record is None else ModelRecord.model_validate_json(record) for record in records)


def _unread(workspace: Workspace) -> dict[str, int]:
    """How many images have no votes, by what failed on them."""
    what = {stage_of(way): "an expert" for way in expert_ways(workspace.settings)} | {KEYPOINTS: "finding key points"}
    failed = workspace.db.run("SELECT stage, image FROM work WHERE failure IS NOT NULL")
    counts = Counter(why for why, _ in {(what[stage], image) for stage, image in failed if stage in what})
    return dict(sorted(counts.items()))


def _lacking(undecided: Mapping[State, int], queued: int, workspace: Workspace) -> str:
    what = ", ".join(f"{undecided[state]} {_LACKS[state]}" for state in UNDECIDED if undecided[state])
    return (
        f"{workspace.folder}: {sum(undecided.values())} of {queued} queued pairs are not decided: {what}; "
        f"have people answer them, or release the others with --draft"
    )


def _decided(
    pair: DrawnPair, decision: Decision, answers: Sequence[Answer], names: Mapping[str, str], settings: Settings
) -> DecidedPair:
    return DecidedPair(pair, decision, decided_by(answers, names), left_out(pair, decision, settings))


def _count(drawn: Sequence[DrawnPair]) -> ScenarioCount:
    outcomes = Counter(pair.outcome for pair in drawn)
    images = len({pair.image for pair in drawn})
    return ScenarioCount(images, len(drawn), outcomes["disputed"], outcomes["manual"], outcomes["unanimous"])
