"""Rows of different models that cannot both be what they say: they answered every pair alike."""

from collections.abc import Iterator, Mapping

from da2k.leaderboard.board import Placed, Release


def same_answers(release: Release) -> Mapping[str, tuple[str, ...]]:
    """The names of the other models with the same outcome on every pair, by a row's key; rows without any are left out.

    Revisions of one model may well answer alike and do not count. Equal per-pair files are a case of this.
    """
    found = {}
    for group in _groups(release):
        for each in group:
            name = each.row.result.model.name
            others = {other.row.result.model.name for other in group} - {name}
            if others:
                found[each.key] = tuple(sorted(others))
    return found


def warnings_of(release: Release) -> Iterator[str]:
    """A line for each set of different models with the same answers."""
    for group in _groups(release):
        names = sorted({each.row.result.model.name for each in group})
        if len(names) > 1:
            pairs = f"{len(group[0].outcomes):,}"
            yield f"{release.title}: {', '.join(names)} have the same outcome on each of {pairs} pairs; is one a copy?"


def _groups(release: Release) -> list[list[Placed]]:
    groups: dict[tuple[str, bytes], list[Placed]] = {}
    for each in release.rows:
        groups.setdefault((each.pairs_digest, each.outcomes.tobytes()), []).append(each)
    return list(groups.values())
