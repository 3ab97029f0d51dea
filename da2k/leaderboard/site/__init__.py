"""The leaderboard as a static site: opens from disk, asks nobody, works without JavaScript."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from da2k.errors import BadInput
from da2k.files import write_text
from da2k.leaderboard.board import Release, read_board
from da2k.leaderboard.paired import answers_of
from da2k.leaderboard.published import Published, load_published
from da2k.leaderboard.site.alike import warnings_of
from da2k.leaderboard.site.index_page import index_page
from da2k.leaderboard.site.model_page import model_pages
from da2k.leaderboard.site.published_page import published_page
from da2k.leaderboard.site.row_files import copy_rows
from da2k.leaderboard.site.scenario_page import scenario_pages
from da2k.leaderboard.site.standing import Standing, stand
from da2k.leaderboard.tables import write_tables
from da2k.leaderboard.text import shown, slug

MARK = "ABOUT.md"
_FIRST = "# Made by `da2k leaderboard build`"
ABOUT = f"""{_FIRST}

The next build with the same `--out` replaces this whole folder; keep nothing of your own here.

- `index.html`: open it in a browser; nothing else is needed
"""
_ABOUT_DATA = "- `data/`: the table for other programs, and under `rows/` each row with its per-pair rows\n"


@dataclass(frozen=True)
class SiteReport:
    """What was built.

    Attributes:
        pages: number of HTML pages.
        rows: number of rows shown.
        warnings: what a maintainer should know, one line each.
    """

    pages: int
    rows: int
    warnings: tuple[str, ...]


def build_site(
    board: Path, out: Path, progress: Callable[[int, int], None] | None = None, first: str | None = None
) -> SiteReport:
    """Make the site of a board; the same board gives the same bytes.

    Args:
        board: holds `results/` and `published.yaml`.
        out: folder of the site. What an earlier build left there is replaced, in one move when all is made.
        progress: called with (releases done, releases in all).
        first: revision, or begin of the digest, of the release on the first page; None for the one with most rows.

    Raises:
        BadInput: a row does not follow from its per-pair rows, `published.yaml` is not as it has to be, or `out` holds
            something else than a site, or holds the board; or `first` names no release, or several.
    """
    out = out.resolve()
    _require_ours(out, board.resolve())
    releases, published = _ordered(read_board(board), first), load_published(board)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".da2k.", suffix=".tmp", dir=out.parent))
    except OSError as e:
        raise BadInput(f"{out}: cannot be written ({e.strerror})") from None
    try:
        pages = _build(releases, published, made, progress)
        made.chmod(0o755)
        _move(made, out)
    except OSError as e:
        raise BadInput(f"{out}: cannot be written ({e.strerror or e})") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    rows = sum(len(release.rows) for release in releases)
    return SiteReport(pages, rows, tuple(_warnings(releases, published)))


def _build(
    releases: list[Release], published: Published, folder: Path, progress: Callable[[int, int], None] | None
) -> int:
    standings = []
    for i, release in enumerate(releases):
        answers = answers_of(release)
        place = "" if i == 0 else f"releases/{_address(release)}/"
        standing = stand(release, answers, place)
        standings.append(standing)
        write_tables(release, published, folder / place / "data", answers)
        if progress:
            progress(i + 1, len(releases))
    pages = dict(_pages(standings, published, folder))
    for name, text in pages.items():
        write_text(folder / name, text)
    copy_rows(releases, folder)
    write_text(folder / MARK, ABOUT + (_ABOUT_DATA if releases else ""))
    return len(pages)


def _pages(standings: list[Standing], published: Published, folder: Path) -> Iterator[tuple[str, str]]:
    """Every page's path in the site, and its text."""
    for standing in standings:
        data = folder / standing.place / "data"
        yield f"{standing.place}index.html", index_page(standing, standings, published, _downloads(data))
        yield from scenario_pages(standing, published)
    if not standings:
        yield "index.html", index_page(None, [], published, {})
    yield from model_pages(standings)
    if published.dense:
        yield "published.html", published_page(published)


def _downloads(data: Path) -> Mapping[str, str]:
    """The tables beside a release's index, by address, and what to call them."""
    names = {".csv": "CSV", ".json": "JSON", ".md": "Markdown", ".tex": "LaTeX"}
    return {
        f"data/{file.name}": f"{file.stem}, {names[file.suffix]}"
        for file in sorted(data.iterdir())
        if file.suffix in names
    }


def _ordered(releases: list[Release], first: str | None) -> list[Release]:
    """The releases, the one that `first` names before the others; of one release by two protocols, both."""
    if first is None:
        return releases
    wanted = [release for release in releases if release.revision == first]
    wanted = wanted or [release for release in releases if first and release.digest.startswith(first)]
    held = "; ".join(f"{release.title}, digest {release.digest[:12]}" for release in releases) or "none"
    if not wanted:
        raise BadInput(f"release {shown(first)}: is not on the board; it holds: {held}")
    if len({release.digest for release in wanted}) > 1:
        raise BadInput(f"release {shown(first)}: names several; name one by its digest: {held}")
    return [*wanted, *(release for release in releases if release not in wanted)]


def _address(release: Release) -> str:
    """A folder name that no two releases share."""
    digests = f"{release.digest[:8]}-{release.protocol_digest[:8]}"
    return f"{slug(release.name)}-{slug(release.revision or 'unnamed')}-{digests}"


def _warnings(releases: list[Release], published: Published) -> Iterator[str]:
    if not releases:
        yield "the board has no rows; add one with da2k leaderboard add"
    if len(releases) > 1:
        titles = "; ".join(release.title for release in releases[1:])
        yield f"only {releases[0].title} is on the first page; other releases have pages of their own: {titles}"
    for release in releases:
        yield from warnings_of(release)
    unchecked = sum(not placed.row.rescored for release in releases for placed in release.rows)
    if unchecked:
        yield f"{unchecked} of the rows were handed in as results; their predictions were not scored here"
    if not published.rows and not published.dense:
        yield "the board has no published numbers"


def _require_ours(out: Path, board: Path) -> None:
    if board.is_relative_to(out):
        raise BadInput(f"{out}: holds the board; choose another --out")
    if not out.exists():
        return
    if not out.is_dir():
        raise BadInput(f"{out}: is no folder; choose another --out")
    try:
        if any(out.iterdir()) and not (out / MARK).read_text(encoding="utf-8", errors="replace").startswith(_FIRST):
            raise BadInput(f"{out}: is there already and is not from da2k leaderboard build; choose another --out")
    except OSError:
        raise BadInput(
            f"{out}: is there already and is not from da2k leaderboard build; choose another --out"
        ) from None


def _move(made: Path, out: Path) -> None:
    """Put the new site in the place of the old one, which stays where it is if that fails."""
    if not out.exists():
        made.rename(out)
        return
    old = Path(tempfile.mkdtemp(prefix=".da2k.", suffix=".old", dir=out.parent))
    out.rename(old / "site")
    try:
        made.rename(out)
    except OSError:
        (old / "site").rename(out)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
