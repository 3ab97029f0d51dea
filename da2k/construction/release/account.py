"""What a release tells about itself, in plain sentences: the dataset card and Croissant say the same."""

from collections import Counter
from collections.abc import Iterator, Sequence

from da2k.construction.decisions import State
from da2k.construction.release.contents import Contents
from da2k.construction.release.provenance import EXACT
from da2k.construction.settings import KeyPointSettings, Settings

PAPER = "https://arxiv.org/abs/2406.09414"


def how_chosen(contents: Contents) -> list[str]:
    """How the pairs came about, before any person saw them."""
    settings = contents.settings
    automatic = [name for name in contents.scenarios if name in settings.scenarios and settings.is_automatic(name)]
    manual = [name for name, count in contents.scenarios.items() if count.manual]
    sentences = ["Built with da2k in the way of DA-2K (Depth Anything V2, section 6.2)."]
    if automatic:
        rule, chosen = settings.selection, settings.keypoints
        which = "at least one expert" if rule.ratio_rule == "any" else "every expert that votes"
        sentences += [
            f"In {_listed(automatic)}, two key points of a photograph are drawn at random, and {len(contents.experts)} "
            f"expert models vote which is closer: {_listed(contents.experts)}.",
            f"The key points are {_key_points(chosen)}.",
            "A pair goes to people if the votes differ and the predicted depth ratio (farther / closer) exceeds "
            f"{rule.ratio:g} in the map of {which}.",
            "An expert has no vote where both values are equal"
            + (
                ", or where its order changes when it is run in another way (data type, batch)."
                if any(expert.again for expert in settings.experts)
                else "."
            ),
            f"From each photograph pairs are drawn until {_quotas(settings, automatic)} are disputed, {rule.attempts} "
            "at most; the "
            f"points are at least {rule.min_distance:g} of the longer side apart"
            + (", and a key point is in one disputed pair only" if rule.one_pair_a_mask else "")
            + f". Seed: {settings.seed}.",
        ]
    if manual:
        sentences.append(f"In {_listed(manual)}, people chose the pairs that are called manual.")
    return sentences


def how_decided(contents: Contents) -> list[str]:
    """What it takes for a pair to be decided, and what people said."""
    decided = [*contents.released, *contents.left_out]
    known = sum(each.decided_by == (EXACT,) for each in decided)
    asked = [each for each in decided if each.decided_by != (EXACT,)]
    sentences = []
    if known:
        sentences.append(f"Nobody was asked about {_pairs(known)}: the depth of those photographs is known exactly.")
    if asked:
        people = {name for each in asked for name in each.decided_by}
        kept = [each for each in asked if each.truth]
        alike = sum(each.decision.agree == each.decision.answers for each in kept)
        sentences += [
            _rule(contents),
            f"{_counted(len(people), 'person', 'people')} gave {sum(each.decision.answers for each in asked)} answers "
            f"to {_pairs(len(asked))}, of which {len(kept)} were kept.",
        ]
        if contents.settings.checks.checks:
            sentences.append(
                f"On {alike} of the {len(kept)} kept ones all said the same; a majority decided {len(kept) - alike}."
            )
    reasons = Counter(each.reason for each in contents.left_out if each.decision.state is State.DROPPED)
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items(), key=str))
    if reasons:
        sentences.append(f"{_pairs(sum(reasons.values())).capitalize()} were dropped: {dropped}.")
    return sentences


def how_often_wrong_together(contents: Contents) -> str:
    """What the audit of unanimous pairs says."""
    audit = contents.audit
    if not audit.audited:
        return "No unanimous pair was audited, so it is not known how often all experts are wrong together."
    if audit.rate is None or audit.interval is None:
        return (
            f"Of {audit.audited} audited unanimous pairs none is decided, so it is not known how often all experts are "
            "wrong together."
        )
    low, high = audit.interval
    rest = [
        f"{count} more {'was' if count == 1 else 'were'} {what}"
        for count, what in ((audit.dropped, "dropped by people"), (audit.waiting, "audited and not checked yet"))
        if count
    ]
    return (
        f"On {audit.wrong} of {audit.decided} audited unanimous pairs all experts were wrong together: "
        f"{100 * audit.rate:.1f} % ({100 * audit.level:g} % Wilson interval {100 * low:.1f} to {100 * high:.1f} %, "
        "which takes pairs for independent)"
        + "".join(f"; {told}" for told in rest)
        + ". This is the rate among the unanimous pairs that were drawn."
    )


def caveats(contents: Contents) -> list[str]:
    """What a reader has to know before believing a number."""
    return list(_caveats(contents))


def without_votes(contents: Contents) -> list[str]:
    """That photographs could not be voted on, if so."""
    return [
        f"{count} of {contents.automatic} photographs of automatic scenarios {'has' if count == 1 else 'have'} no "
        f"votes, since {what} failed on {'it' if count == 1 else 'them'}."
        for what, count in contents.unread.items()
    ]


def missing_settings(contents: Contents) -> list[str]:
    """Settings without which Croissant 1.1 lacks a property that it requires."""
    release = contents.settings.release
    needed = ("description", "licence", "creators", "url", "date")
    return [f"release.{name}" for name in needed if not getattr(release, name)]


def _caveats(contents: Contents) -> Iterator[str]:
    counts = list(contents.scenarios.values())
    disputed, manual, unanimous = (
        sum(getattr(count, name) for count in counts) for name in ("disputed", "manual", "unanimous")
    )
    if contents.draft:
        lacking = f", without {_pairs(contents.lacking)} that people have not decided yet" if contents.lacking else ""
        yield f"This is a DRAFT{lacking}. Publish no numbers on it."
    yield from without_votes(contents)
    if disputed:
        yield (
            f"{_pairs(disputed).capitalize()} are in it because these models disagree on them: "
            f"{_listed(contents.experts)}. A ranking that contains one of them, or a model made from one, is biased."
        )
        yield "Disputed pairs are hard by construction: accuracy here is not accuracy on pairs drawn at random."
    if unanimous:
        yield (
            f"{_pairs(unanimous).capitalize()} are easy by construction: all experts agree on them, and they are in it "
            "because they were audited."
        )
    elif disputed:
        yield "Pairs on which all experts agree are not in it, whether the experts are right or wrong."
    if manual:
        yield f"{_pairs(manual).capitalize()} were chosen by people; they have no votes and no difficulty."
    yield "Pairs of one photograph are not independent; an interval that takes them for so may be too narrow."
    yield "The licence is that of the labels. The photographs keep their own."


def _rule(contents: Contents) -> str:
    checks = contents.settings.checks
    if not checks.checks:
        return "One person decides a pair, unchecked. It is dropped if that person cannot tell."
    dissent = {
        "fourth": "one more is asked, and a strict majority decides",
        "majority": "a strict majority decides",
        "drop": "the pair is dropped",
    }[checks.dissent]
    return (
        f"A pair is kept when {1 + checks.checks} people say the same; if they differ, {dissent}. "
        "It is dropped as soon as one of them cannot tell, or calls it a bad sample."
    )


def _quotas(settings: Settings, scenarios: Sequence[str]) -> str:
    own = [settings.scenarios[name].quota for name in scenarios]
    quotas = sorted({settings.selection.quota if quota is None else quota for quota in own})
    return str(quotas[0]) if len(quotas) == 1 else f"{quotas[0]} to {quotas[-1]} (by scenario)"


def _key_points(chosen: KeyPointSettings) -> str:
    if chosen.method == "grid":
        return f"those of a grid, one a cell, {chosen.cells} cells along the longer side"
    sam = chosen.sam
    return f"the points that prompted the masks of segment-anything ({sam.model}, {sam.points_per_side} points a side)"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _pairs(count: int) -> str:
    return _counted(count, "pair", "pairs")


def _counted(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"
