"""A release, ranked and laid out for its pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from da2k.leaderboard.board import Release
from da2k.leaderboard.paired import Answers
from da2k.leaderboard.ranking import Pairwise, floors, pairwise, rank
from da2k.leaderboard.site.alike import same_answers
from da2k.leaderboard.site.views import Axis, Line, axis_of, floor_lines, ranked_lines
from da2k.leaderboard.text import slug


@dataclass(frozen=True, eq=False)
class Standing:
    """A release with all that its pages say.

    Attributes:
        release: the release.
        place: its folder in the site, "" or ending with a slash.
        axis: of its bars and colours.
        models: best first.
        floors: what needs no depth.
        compared: every two models.
        names: of the models by key; no two are the same.
        pages: page name of each scenario.
    """

    release: Release
    place: str
    axis: Axis
    models: tuple[Line, ...]
    floors: tuple[Line, ...]
    compared: Pairwise
    names: Mapping[str, str]
    pages: Mapping[str, str]

    @property
    def root(self) -> str:
        """From its folder to the site's."""
        return "../" * self.place.count("/")


def stand(release: Release, answers: Answers, place: str) -> Standing:
    """Rank a release and lay out its lines."""
    axis = axis_of([release])
    alike = same_answers(release)
    models = _told_apart(_marked(ranked_lines(rank(release, answers), release.scenarios, axis), alike))
    return Standing(
        release=release,
        place=place,
        axis=axis,
        models=models,
        floors=_told_apart(_marked(floor_lines(floors(release), release, axis), alike)),
        compared=pairwise(release, answers),
        names={str(line.page): line.name for line in models},
        pages=_page_names(release.scenarios),
    )


def _marked(lines: Sequence[Line], alike: Mapping[str, tuple[str, ...]]) -> list[Line]:
    """The lines, with the names of others that answered every pair as they did."""
    return [replace(line, alike=alike.get(str(line.page), ())) for line in lines]


def _told_apart(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines, with the revision in the names of models that have the same."""
    names = [line.name for line in lines]
    return tuple(
        replace(line, name=f"{line.name} ({line.placed.path.parent.name})")
        if line.placed and names.count(line.name) > 1
        else line
        for line in lines
    )


def _page_names(scenarios: Mapping[str, int]) -> dict[str, str]:
    """A file name for each scenario; two that would have the same get numbers."""
    taken: set[str] = set()
    names = {}
    for scenario in scenarios:
        base = slug(scenario)
        name = next(n for n in (base, *(f"{base}-{i}" for i in range(2, len(scenarios) + 2))) if n not in taken)
        taken.add(name)
        names[scenario] = name
    return names
