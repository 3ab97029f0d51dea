"""Getting a dataset of the manifest onto this machine, and checking what is here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from da2k.datasets.archives import BadArchive, damaged_files, extract_zip
from da2k.datasets.benchmarks import absent_images, miscounts
from da2k.datasets.da2k import Benchmark, read_benchmark
from da2k.datasets.download import ChangedFile, download
from da2k.datasets.manifest import Dataset, File, dataset_folder, find_dataset, load_manifest
from da2k.datasets.pins import Pin, pins_file, read_pin, write_pin
from da2k.errors import BadInput
from da2k.files import home, sha256_file

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, the bytes done, and all bytes where that is known."""


@dataclass(frozen=True)
class Holding:
    """One dataset of the manifest, where it lies, and whether it lies there (not whether it is whole)."""

    dataset: Dataset
    folder: Path
    here: bool


def holdings(manifest: Path | None = None) -> list[Holding]:
    """Every dataset of the manifest, and whether it is here."""
    return [Holding(d, dataset_folder(d.id), _is_here(d)) for d in load_manifest(manifest).values()]


def fetch(
    name: str,
    *,
    manifest: Path | None = None,
    replace: bool = False,
    accept_changed: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Download, unpack and check a dataset; nothing is done if it is here and complete.

    Archives are kept, in the folder `downloads` of da2k's data, so that `verify` can compare the files with
    them and so that unpacking again needs no network. A file without a known checksum is pinned when the
    dataset is complete.

    Args:
        name: the dataset's id, or a folder name it is known under.
        manifest: another manifest than da2k's own.
        replace: put a new copy in place of what is here, complete or not.
        accept_changed: download anew and accept a file that differs from its pin; implies `replace`.
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
    folder = dataset_folder(dataset.id)
    replace = replace or accept_changed
    if _is_here(dataset) and not replace:
        lacks = _lacks(dataset, absent_images)
        if lacks:
            raise BadInput(f"{folder}: an incomplete copy is in the way ({lacks[0]}); {_remedy(dataset)}")
        _pin(dataset)
        _say(say, f"{dataset.id} is here and complete; nothing to do")
        return folder
    if not dataset.files:
        raise BadInput(f"{dataset.id}: cannot be fetched by a program; {dataset.instructions}")
    _say(say, f"{dataset.title}: licence {dataset.licence}. {dataset.licence_evidence}")
    for file in dataset.files:
        place = _place(dataset, file)
        if replace or not _holds_something(place):
            stored = _download(dataset, file, replace, accept_changed, progress, say)
            if file.unpack:
                _unpack(dataset, file, stored, place, replace, progress)
    lacks = _lacks(dataset, absent_images)
    if lacks:
        _forget_unpinned(dataset)
        raise BadInput(
            f"{folder}: fetched, but not what the data manifest describes: {'; '.join(lacks)}; the server's file "
            f"may have changed: score this copy with --partial, or later {_remedy(dataset)}"
        )
    _pin(dataset, renew=accept_changed)
    return folder


def verify(name: str, *, manifest: Path | None = None) -> list[str]:
    """Check the dataset on this machine: checksums, counts, and every file.

    Files are compared with the archive they came from, by size and CRC-32. Where the archive was removed, only
    the headers of the images are read.

    Returns:
        One line for each problem, with what to do about it; empty if there is none.

    Raises:
        BadInput: the dataset is unknown, or the pins file is damaged.
    """
    dataset = find_dataset(name, manifest)
    if not _is_here(dataset):
        how = f"run: da2k data fetch {dataset.id}" if dataset.files else dataset.instructions
        return [f"{dataset_folder(dataset.id)}: not here; {how}"]
    problems: list[str] = []
    compared = False
    for file in dataset.files:
        stored, place = _stored(dataset, file), _place(dataset, file)
        if not stored.is_file():
            continue
        (expected, _), found = _expected(file, read_pin(dataset, file)), sha256_file(stored)
        if expected is not None and found != expected:
            problems.append(f"{stored}: its SHA-256 is {found}, and {expected} is expected")
        elif file.unpack:
            compared = True
            problems += _differences_from_archive(stored, place)
    problems += _lacks(dataset, None if compared else _unreadable)
    return [f"{problem}; {_remedy(dataset)}" for problem in problems]


def verify_all(name: str | None = None, *, manifest: Path | None = None) -> dict[str, list[str]]:
    """The problems, by id, of the named dataset, or of each that is here; see `verify`."""
    chosen = [find_dataset(name, manifest).id] if name else [h.dataset.id for h in holdings(manifest) if h.here]
    return {each: verify(each, manifest=manifest) for each in chosen}


def _download(
    dataset: Dataset,
    file: File,
    replace: bool,
    accept_changed: bool,
    progress: Progress | None,
    say: Callable[[str], None] | None,
) -> Path:
    """The file as it was on the server, from an earlier fetch if that is sound."""
    stored = _stored(dataset, file)
    pin = None if accept_changed else read_pin(dataset, file)
    sha256, size = _expected(file, pin)
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
        extract_zip(stored, place, replace=replace, progress=show)
    except BadArchive as e:
        _forget_unpinned(dataset)
        raise BadInput(f"{e}; it came from {file.url}") from None


def _differences_from_archive(archive: Path, folder: Path) -> list[str]:
    try:
        return [f"{folder / path}: {fault}" for path, fault in damaged_files(archive, folder)]
    except BadArchive as e:
        return [str(e)]


def _lacks(dataset: Dataset, look: Callable[[Benchmark], list[str]] | None = None) -> list[str]:
    """What keeps the copy here from being the whole benchmark; `look` adds what it finds at the images."""
    if dataset.expected is None:
        return []
    try:
        benchmark = read_benchmark(dataset_folder(dataset.id))
    except BadInput as e:
        return [str(e)]
    return miscounts(benchmark, dataset) + (look(benchmark) if look else [])


def _unreadable(benchmark: Benchmark) -> list[str]:
    faults: list[str] = []
    for image in benchmark.images:
        try:
            benchmark.photo(image)
        except BadInput as e:
            faults.append(str(e))
    return faults


def _pin(dataset: Dataset, renew: bool = False) -> None:
    """Pin the files that have neither a known checksum nor a pin."""
    for file in dataset.files:
        stored = _stored(dataset, file)
        if file.sha256 is None and stored.is_file() and (renew or read_pin(dataset, file) is None):
            write_pin(dataset, file, sha256_file(stored), stored.stat().st_size)


def _forget_unpinned(dataset: Dataset) -> None:
    """Remove archives that turned out wrong and that no checksum vouches for, so that they are fetched anew."""
    for file in dataset.files:
        if file.unpack and _expected(file, read_pin(dataset, file))[0] is None:
            _stored(dataset, file).unlink(missing_ok=True)


def _expected(file: File, pin: Pin | None) -> tuple[str | None, int | None]:
    """SHA-256 and size that the file must have, as far as they are known."""
    if file.sha256 is None and pin is not None:
        return pin.sha256, pin.bytes
    return file.sha256, file.bytes


def _stored(dataset: Dataset, file: File) -> Path:
    """Where the file lies as it came: archives in `downloads`, others at their place."""
    return home() / "downloads" / dataset.id / file.name if file.unpack else _place(dataset, file)


def _place(dataset: Dataset, file: File) -> Path:
    """Where the data of a file lies: an only archive fills the dataset's folder, several have one each."""
    folder = dataset_folder(dataset.id)
    if not file.unpack:
        return folder / file.name
    return folder if len(dataset.files) == 1 else folder / Path(file.name).stem


def _is_here(dataset: Dataset) -> bool:
    places = [_place(dataset, file) for file in dataset.files] or [dataset_folder(dataset.id)]
    return all(_holds_something(place) for place in places)


def _holds_something(place: Path) -> bool:
    return place.is_file() or (place.is_dir() and any(place.iterdir()))


def _remedy(dataset: Dataset) -> str:
    return f"run: da2k data fetch {dataset.id} --replace" if dataset.files else str(dataset.instructions)


def _say(say: Callable[[str], None] | None, line: str) -> None:
    if say is not None:
        say(line)
