"""The last stage: a folder that can be published and scored on, from what people have decided."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from da2k.construction.release.account import missing_settings, without_votes
from da2k.construction.release.card import write_card
from da2k.construction.release.checksums import SUMS, holds, strays, write_sums
from da2k.construction.release.contents import Contents, ScenarioCount, gather
from da2k.construction.release.counts_figure import draw_counts
from da2k.construction.release.croissant import ACTIVITY, write_croissant
from da2k.construction.release.provenance import left_out_table, released_table
from da2k.construction.release.staging import install, recover, staged
from da2k.construction.workspace import IMAGES, Workspace
from da2k.datasets.da2k import ANNOTATIONS, write_annotations
from da2k.errors import BadInput
from da2k.files import sha256_file, sync

CROISSANT = "croissant.json"


@dataclass(frozen=True)
class ReleaseReport:
    """What a release holds.

    Attributes:
        folder: where it is.
        digest: SHA-256 of its `SHA256SUMS`, which names every byte of it.
        labels: the digest of its labels, as results of `da2k evaluate` name it.
        images, pairs: in it.
        scenarios: counts by scenario, in the paper's order.
        left_out: why queued pairs are not in it, and how many.
        draft: whether queued pairs may lack their checks.
        unchanged: the same release was there already, and nothing was written.
        notes: anything else the user should know.
    """

    folder: Path
    digest: str
    labels: str
    images: int
    pairs: int
    scenarios: Mapping[str, ScenarioCount]
    left_out: Mapping[str, int]
    draft: bool = False
    unchanged: bool = False
    notes: tuple[str, ...] = ()


def make_release(
    workspace: Workspace,
    out: Path,
    *,
    draft: bool = False,
    replace: bool = False,
    link: bool = False,
) -> ReleaseReport:
    """Write the pairs that people have decided as a benchmark in the official format, with all that belongs to it.

    The same decisions, settings and photographs give the same bytes. The folder appears whole or not at all; if
    the same release is there already, nothing is done.

    Args:
        workspace: open; nothing is written to it.
        out: the folder of the release.
        draft: leave out queued pairs that lack their checks, instead of refusing; the release says so.
        replace: put it in the place of another release, which goes. Nothing but a release is ever replaced.
        link: hard-link the photographs instead of copying them, where the file system can; changing one then changes
            the other.

    Raises:
        BadInput: there is nothing to release or something keeps it from being made (see `gather`), `out` is taken,
            or it cannot be written.
    """
    target = out.resolve()
    try:
        _require_outside_images(target, workspace, out)
        recover(target)
        contents = gather(workspace, draft=draft)
        with staged(target) as folder:
            _require_free(target)
            sums = _write_texts(contents, folder)
            if holds(target, sums):
                _require_no_strays(target)
                return _report(contents, out, sums, unchanged=True)
            if target.is_dir() and any(target.iterdir()):
                _require_replaceable(target, replace)
            photos = contents.photos.items()
            unlinked = [_place_photo(workspace, image, sha256, folder, link) for image, sha256 in photos]
            install(target)
    except OSError as e:
        raise BadInput(f"{out}: cannot be written ({e.strerror or e}); what was there is as it was") from None
    return _report(contents, out, sums, unlinked=unlinked)


def _write_texts(contents: Contents, folder: Path) -> bytes:
    """Write all files but the photographs; the bytes of `SHA256SUMS`."""
    write_annotations(folder / ANNOTATIONS, tuple(each.pair for each in contents.released))
    files = {
        ANNOTATIONS: (folder / ANNOTATIONS).read_bytes(),
        "provenance.parquet": released_table(contents.released, contents.experts),
        "left-out.parquet": left_out_table(contents.left_out, contents.experts),
    }
    files |= {
        "counts.png": draw_counts(contents.scenarios, f"{contents.settings.release.name} {contents.version}"),
        "README.md": write_card(contents).encode(),
        CROISSANT: write_croissant(contents, files).encode(),
    }
    sums = write_sums({**{name: hashlib.sha256(data).hexdigest() for name, data in files.items()}, **contents.photos})
    for name, data in {**files, SUMS: sums}.items():
        (folder / name).write_bytes(data)
        sync(folder / name)
    return sums


def _place_photo(workspace: Workspace, image: str, sha256: str, folder: Path, link: bool) -> str | None:
    """Link or copy a photograph; why it was copied if it should have been linked.

    Raises:
        BadInput: its bytes are not those that were taken in, or two images differ in small and capital letters only
            and the file system cannot tell them apart.
    """
    source, target = (workspace.folder / image).resolve(), folder / image
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise BadInput(f"{image}: this file system takes its name for that of another image; rename one of them")
    why = None
    try:
        if link:
            os.link(source, target)
    except OSError as e:
        why = e.strerror or str(e)
    found = sha256_file(target) if link and why is None else _copy(source, target)
    if found != sha256:
        raise BadInput(
            f"{workspace.folder / image}: not the file that was taken in any more; put it back, or run: "
            f"da2k build init {workspace.folder}"
        )
    return why


def _copy(source: Path, target: Path) -> str:
    """Copy a file onto the disk; the SHA-256 of what was read."""
    sha256 = hashlib.sha256()
    try:
        read = source.open("rb")
    except OSError as e:
        raise BadInput(f"{source}: {e.strerror or e}") from None
    with read, target.open("xb") as written:
        while block := read.read(1 << 20):
            sha256.update(block)
            written.write(block)
        written.flush()
        os.fsync(written.fileno())
    return sha256.hexdigest()


def _require_outside_images(target: Path, workspace: Workspace, out: Path) -> None:
    """Refuse a folder inside the workspace's photographs, where the release's would be taken in as more of them."""
    images = workspace.folder / IMAGES
    if any(folder.exists() and images.exists() and folder.samefile(images) for folder in (target, *target.parents)):
        raise BadInput(f"{out}: lies in {images}, among the photographs of the workspace; choose another folder")


def _require_free(out: Path) -> None:
    """Refuse a name under which something else than a release of ours is."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not out.is_dir():
        raise BadInput(f"{out}: is a file; a release is a folder")
    if not _is_ours(out):
        raise BadInput(f"{out}: is not empty and no release of da2k; choose another folder")


def _require_replaceable(out: Path, replace: bool) -> None:
    """Refuse to replace a release unasked, or one in which there is something else."""
    if not replace:
        raise BadInput(f"{out}: holds another release; choose another folder, or replace it with --replace")
    _require_no_strays(out)


def _require_no_strays(out: Path) -> None:
    if found := strays(out):
        more = f" ({len(found) - 1} more like it)" if len(found) > 1 else ""
        raise BadInput(f"{out}: {found[0]} is not of the release that is there; move it away{more}")


def _is_ours(out: Path) -> bool:
    try:
        generated = json.loads((out / CROISSANT).read_bytes())["prov:wasGeneratedBy"]
        return (out / SUMS).is_file() and generated["prov:label"] == ACTIVITY
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _report(
    contents: Contents, out: Path, sums: bytes, *, unchanged: bool = False, unlinked: Sequence[str | None] = ()
) -> ReleaseReport:
    copied = [why for why in unlinked if why]
    notes = []
    if unchanged:
        notes.append("the same release is there already; nothing was written")
    if copied:
        notes.append(f"{len(copied)} photographs were copied, since they cannot be linked ({copied[0]})")
    notes += without_votes(contents)
    if missing := missing_settings(contents):
        notes.append(f"Croissant 1.1 requires what da2k.yaml leaves open: {', '.join(missing)}")
    return ReleaseReport(
        folder=out,
        digest=hashlib.sha256(sums).hexdigest(),
        labels=contents.labels,
        images=len(contents.photos),
        pairs=len(contents.released),
        scenarios=contents.scenarios,
        left_out=contents.reasons,
        draft=contents.draft,
        unchanged=unchanged,
        notes=tuple(notes),
    )
