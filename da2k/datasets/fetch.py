"""Getting a dataset of the manifest onto this machine."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from da2k.datasets.archives import extract_zip
from da2k.datasets.benchmarks import absent_images
from da2k.datasets.disk import no_empty_folders
from da2k.datasets.download import ChangedFile, download
from da2k.datasets.holdings import holds_something, instructions, is_here, place_of, remedy, steps_by_hand, stored_at
from da2k.datasets.listed_frames import find_faults
from da2k.datasets.manifest import Dataset, File, dataset_folder, find_dataset, part_of
from da2k.datasets.pins import expected, pins_file, read_pin, write_pin
from da2k.datasets.tar_archives import extract_tar
from da2k.datasets.unpacking import BadArchive
from da2k.datasets.verify import lacks_of
from da2k.errors import BadInput, Unreachable
from da2k.files import home, sha256_file

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, the bytes done, and all bytes where that is known."""


def fetch(
    name: str,
    *,
    manifest: Path | None = None,
    replace: bool = False,
    accept_changed: bool = False,
    lists_only: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Download, unpack and check a dataset; nothing is done if it is here and complete.

    Of a dataset with lists of frames, the lists come first, and then what can be had without people; `say` gets what
    is left to them. Without a network it gets what they can put there by hand.

    Archives are kept, in the folder `downloads` of da2k's data, so that `verify` can compare the files with
    them and so that unpacking again needs no network. A file without a known checksum is pinned when the
    dataset is complete.

    Args:
        name: the dataset's id, a part of it such as `diode-indoor`, or a folder name it is known under.
        manifest: another manifest than da2k's own.
        replace: put a new copy in place of what is here, complete or not.
        accept_changed: download anew and accept a file that differs from its pin; implies `replace`.
        lists_only: fetch no more than the lists of frames, for data that lies elsewhere.
        progress: called as the work advances.
        say: called with one line about each step.

    Returns:
        The dataset's folder.

    Raises:
        BadInput: the dataset is unknown or cannot be fetched by a program, an incomplete copy is in the way, a
            file is not the one expected, or the disk is full.
        Unreachable: there is no connection, or it kept breaking off; the same call carries on.
    """
    dataset = find_dataset(name, manifest)
    if part_of(name):
        _say(say, f"{name} is a part of {dataset.id}")
    if lists_only and not dataset.lists:
        raise BadInput(f"{dataset.id}: has no list of frames; fetch it without --lists")
    try:
        with no_empty_folders(dataset_folder(dataset.id), home() / "downloads" / dataset.id):
            return _fetch(dataset, manifest, replace or accept_changed, accept_changed, lists_only, progress, say)
    except Unreachable:
        for line in steps_by_hand(dataset, lists_only):
            _say(say, line)
        raise


def _fetch(
    dataset: Dataset,
    manifest: Path | None,
    replace: bool,
    accept_changed: bool,
    lists_only: bool,
    progress: Progress | None,
    say: Callable[[str], None] | None,
) -> Path:
    folder = dataset_folder(dataset.id)
    if dataset.lists:
        _fetch_lists(dataset, progress, say)
        if not lists_only:
            _fetch_frames(dataset, manifest, replace, accept_changed, progress, say)
        return folder
    if is_here(dataset) and not replace:
        lacks = lacks_of(dataset, absent_images)
        if lacks:
            raise BadInput(f"{folder}: an incomplete copy is in the way ({lacks[0]}); {remedy(dataset)}")
        _pin(dataset)
        _say(say, f"{dataset.id} is here and complete; nothing to do")
        return folder
    if not dataset.files:
        raise BadInput(f"{dataset.id}: cannot be fetched by a program; {dataset.instructions}")
    _say(say, f"{dataset.title}: licence {dataset.licence}. {dataset.licence_evidence}")
    _fetch_files(dataset, replace, accept_changed, progress, say)
    lacks = lacks_of(dataset, absent_images)
    if lacks:
        _forget_unpinned(dataset)
        raise BadInput(
            f"{folder}: fetched, but not what the data manifest describes: {'; '.join(lacks)}; the server's file "
            f"may have changed: score this copy with --partial, or later {remedy(dataset)}"
        )
    _pin(dataset, renew=accept_changed)
    return folder


def _fetch_lists(dataset: Dataset, progress: Progress | None, say: Callable[[str], None] | None) -> None:
    for each in dataset.lists:
        path = dataset_folder(dataset.id) / each.name
        if path.is_file() and sha256_file(path) == each.sha256:
            continue
        _say(say, f"from {each.url} to {path}")
        show = partial(progress, f"fetching {each.name}") if progress else None
        try:
            download(each.url, path, each.sha256, size=each.bytes, progress=show)
        except ChangedFile as e:
            raise BadInput(f"{e} by the data manifest; another list is another benchmark") from None


def _fetch_frames(
    dataset: Dataset,
    manifest: Path | None,
    replace: bool,
    accept_changed: bool,
    progress: Progress | None,
    say: Callable[[str], None] | None,
) -> None:
    """The files of a dataset whose lists are here; what people have to do is said, and is no error."""
    folder = dataset_folder(dataset.id)
    if not replace and not find_faults(dataset, folder, manifest).all:
        _pin(dataset)
        _say(say, f"{dataset.id} is here and complete; nothing to do")
        return
    _say(say, f"{dataset.title}: licence {dataset.licence}. {dataset.licence_evidence}")
    _fetch_files(dataset, replace, accept_changed, progress, say)
    faults = find_faults(dataset, folder, manifest)
    if faults.all and dataset.instructions is None:
        _forget_unpinned(dataset)
        raise BadInput(
            f"{folder}: fetched, but not what the data manifest describes: {faults.all[0]}; the server's file may have "
            f"changed: score this copy with --partial, or later {remedy(dataset)}"
        )
    _pin(dataset, renew=accept_changed)
    if faults.all:
        lacks = f"not complete yet ({faults.all[0]})" if is_here(dataset) else "only its list is here"
        _say(say, f"{dataset.id}: {lacks}. What a program cannot do is left to you:")
        _say(say, instructions(dataset))


def _fetch_files(
    dataset: Dataset,
    replace: bool,
    accept_changed: bool,
    progress: Progress | None,
    say: Callable[[str], None] | None,
) -> None:
    for file in dataset.files:
        place = place_of(dataset, file)
        if replace or not holds_something(place):
            stored = _download(dataset, file, replace, accept_changed, progress, say)
            if file.unpack:
                _unpack(dataset, file, stored, place, replace, progress)


def _download(
    dataset: Dataset,
    file: File,
    replace: bool,
    accept_changed: bool,
    progress: Progress | None,
    say: Callable[[str], None] | None,
) -> Path:
    """The file as it was on the server, from an earlier fetch if that is sound."""
    stored = stored_at(dataset, file)
    pin = None if accept_changed else read_pin(dataset, file)
    sha256, size = expected(file, pin)
    usable = stored.is_file() and not accept_changed
    if usable and (not replace if sha256 is None else sha256_file(stored) == sha256):
        _say(say, f"using {stored}, fetched earlier")
        return stored
    _say(say, f"from {file.url} to {stored}")
    show = partial(progress, f"fetching {file.name}") if progress else None
    try:
        download(file.url, stored, sha256, size=size, progress=show)
    except ChangedFile as e:
        if pin is None:
            raise BadInput(f"{e} by the data manifest; try again, and report it if that does not help") from None
        raise BadInput(
            f"{e}, as pinned on {pin.date[:10]} in {pins_file()}; if the change is meant, accept it with: "
            f"da2k data fetch {dataset.id} --accept-changed"
        ) from None
    return stored


def _unpack(dataset: Dataset, file: File, stored: Path, place: Path, replace: bool, progress: Progress | None) -> None:
    show = partial(progress, f"unpacking {file.name}") if progress else None
    try:
        if file.is_tar:
            extract_tar(stored, place, top_folder=file.top_folder, replace=replace, progress=show)
        else:
            extract_zip(stored, place, replace=replace, progress=show)
    except BadArchive as e:
        _forget_unpinned(dataset)
        raise BadInput(f"{e}; it came from {file.url}") from None


def _pin(dataset: Dataset, renew: bool = False) -> None:
    """Pin the files that have neither a known checksum nor a pin."""
    for file in dataset.files:
        stored = stored_at(dataset, file)
        if file.sha256 is None and stored.is_file() and (renew or read_pin(dataset, file) is None):
            write_pin(dataset, file, sha256_file(stored), stored.stat().st_size)


def _forget_unpinned(dataset: Dataset) -> None:
    """Remove archives that turned out wrong and that no checksum vouches for, so that they are fetched anew."""
    for file in dataset.files:
        if file.unpack and expected(file, read_pin(dataset, file))[0] is None:
            stored_at(dataset, file).unlink(missing_ok=True)


def _say(say: Callable[[str], None] | None, line: str) -> None:
    if say is not None:
        say(line)
