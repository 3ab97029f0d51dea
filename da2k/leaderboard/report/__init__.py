"""One model's report: a page of one file that shows where its numbers come from and what it has wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from da2k.errors import BadInput
from da2k.files import write_text
from da2k.leaderboard.report.baselines import Progress
from da2k.leaderboard.report.depth_page import write_depth_page
from da2k.leaderboard.report.pairs_page import write_pairs_page
from da2k.results import DenseResult, read_any_result

PHOTOS = 60
"""Pairs that are drawn, unless another number is given."""
PAGE_LIMIT = 10_000_000
"""A page has fewer bytes."""

_MARK = b'<meta name="generator" content="da2k report">'
"""Stands in the head of every report, behind the style that all pages share."""
_HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Report:
    """A report that was written.

    Attributes:
        path: the page.
        size: bytes.
        notes: what is not on it, and why.
    """

    path: Path
    size: int
    notes: tuple[str, ...]


def write_report(
    result: Path,
    out: Path,
    *,
    benchmark: str | Path | None = None,
    root: Path | None = None,
    own_list: Path | None = None,
    protocol: str | None = None,
    photos: int = PHOTOS,
    progress: Progress | None = None,
) -> Report:
    """Write the report of a result.

    The same files give the same bytes.

    Args:
        result: a result file, on pairs or on measured depth, with its rows beside it.
        out: the page. It may replace an earlier report, known by the mark in its head, and nothing else.
        benchmark: of a result on pairs: its benchmark, by name or folder. Its wrong pairs are then drawn on the
            photographs, and it is compared with the baselines.
        root: where the named benchmark lies; of a result on measured depth, the folder of the frames: if the model is
            a predictions folder, its best and worst frames are then drawn.
        own_list: of measured depth: the list, if it was not the protocol's.
        protocol: of measured depth: the protocol's YAML file, if it does not come with da2k.
        photos: pairs drawn at most; fewer if the page would get too large, and then it says so.
        progress: told (images done, images in all) while the baselines run.

    Raises:
        BadInput: the result is damaged or does not follow from its rows, what is given does not belong to it, or
            `out` cannot be written.
    """
    _require_free(out)
    found = read_any_result(result)
    if isinstance(found, DenseResult):
        _require_unused(result, "measured depth", {"--benchmark": benchmark})
        html, notes = write_depth_page(found, result, root, own_list, protocol)
    else:
        unused = {"--list": own_list, "--protocol": protocol, "--root": root if benchmark is None else None}
        _require_unused(result, "pairs", unused)
        html, notes = write_pairs_page(found, result, benchmark, root, photos, progress)
    size = len(html.encode())
    if size >= PAGE_LIMIT:
        raise BadInput(
            f"{out}: the page would have {size:,} bytes, and {PAGE_LIMIT:,} are allowed; draw fewer --photos"
        )
    write_text(out, html)
    return Report(out, size, tuple(notes))


def _require_free(out: Path) -> None:
    if out.is_dir():
        raise BadInput(f"{out}: is a folder; --out names the page, such as report.html")
    try:
        with out.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        return
    except OSError as e:
        raise BadInput(f"{out}: {e.strerror or e}") from None
    if _MARK not in head.partition(b"</head>")[0]:
        raise BadInput(f"{out}: is there already and is no report of da2k; choose another --out")


def _require_unused(result: Path, sort: str, options: Mapping[str, object]) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise BadInput(
            f"{result}: is a result on {sort}; leave {' and '.join(given)} out"
            + (", or give --benchmark too" if given == ["--root"] else "")
        )
