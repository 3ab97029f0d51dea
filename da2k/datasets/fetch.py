"""Getting a dataset of the manifest onto this machine, and checking what is here."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from da2k.datasets.archives import damaged_files, extract_zip
from da2k.datasets.benchmarks import absent_images, miscounts
from da2k.datasets.da2k import Benchmark, read_benchmark
from da2k.datasets.download import ChangedFile, download
from da2k.datasets.listed_frames import Faults, find_faults
from da2k.datasets.manifest import Dataset, File, dataset_folder, find_dataset, load_manifest
from da2k.datasets.pins import Pin, pins_file, read_pin, write_pin
from da2k.datasets.tar_archives import damaged_tar_files, extract_tar
from da2k.datasets.unpacking import BadArchive
from da2k.errors import BadInput
from da2k.files import home, sha256_file

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, the bytes done, and all bytes where that is known."""


@dataclass(frozen=True)
class Holding:
    """One dataset of the manifest, where it lies, and whether it lies there (not whether it is whole).

    Attributes:
        lists: whether its lists of frames are there; False for a dataset that has none.
    """

    dataset: Dataset
    folder: Path
    here: bool
    lists: bool = False


def holdings(manifest: Path | None = None) -> list[Holding]:
    """Every dataset of the manifest, and whether it is here."""
    return [
        Holding(d, dataset_folder(d.id), _is_here(d), bool(d.lists) and _has_lists(d))
        for d in load_manifest(manifest).values()
    ]


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
    is left to them.

    Archives are kept, in the folder `downloads` of da2k's data, so that `verify` can compare the files with
    them and so that unpacking again needs no network. A file without a known checksum is pinned when the
    dataset is complete.

    Args:
        name: the dataset's id, or a folder name it is known under.
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
    folder = dataset_folder(dataset.id)
    replace = replace or accept_changed
    if lists_only and not dataset.lists:
        raise BadInput(f"{dataset.id}: has no list of frames; fetch it without --lists")
    if dataset.lists:
        _fetch_lists(dataset, progress, say)
        if not lists_only:
            _fetch_frames(dataset, manifest, replace, accept_changed, progress, say)
        return folder
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
    _fetch_files(dataset, replace, accept_changed, progress, say)
    lacks = _lacks(dataset, absent_images)
    if lacks:
        _forget_unpinned(dataset)
        raise BadInput(
            f"{folder}: fetched, but not what the data manifest describes: {'; '.join(lacks)}; the server's file "
            f"may have changed: score this copy with --partial, or later {_remedy(dataset)}"
        )
    _pin(dataset, renew=accept_changed)
    return folder


def verify(
    name: str,
    root: Path | None = None,
    *,
    manifest: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> list[str]:
    """Check the dataset on this machine: checksums, counts, and every file.

    Files are compared with the archive they came from. Where the archive was removed, only the headers of the
    images are read; of frames with measured depth, the list is compared with the files and a few are decoded.

    Args:
        root: where it lies, if not where `fetch` puts it; then nothing is known of archives.
        say: called with one line about each way of reading frames that is not here, while another one is.

    Returns:
        One line for each problem, with what to do about it; empty if there is none.

    Raises:
        BadInput: the dataset is unknown, or the pins file is damaged.
    """
    dataset = find_dataset(name, manifest)
    if root is not None:
        return _verify_elsewhere(dataset, root, manifest, say)
    if not _is_here(dataset):
        how = f"run: da2k data fetch {dataset.id}" if dataset.files or dataset.lists else dataset.instructions
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
            problems += _differences_from_archive(stored, place, file)
    if dataset.lists:
        problems += _told(find_faults(dataset, dataset_folder(dataset.id), manifest), say)
    problems += _lacks(dataset, None if compared else _unreadable)
    return [f"{problem}; {_remedy(dataset)}" for problem in problems]


def verify_all(
    name: str | None = None,
    root: Path | None = None,
    *,
    manifest: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, list[str]]:
    """The problems, by id, of the named dataset, or of each that is here; see `verify`."""
    chosen = [find_dataset(name, manifest).id] if name else [h.dataset.id for h in holdings(manifest) if h.here]
    return {each: verify(each, root, manifest=manifest, say=say) for each in chosen}


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
            f"changed: score this copy with --partial, or later {_remedy(dataset)}"
        )
    _pin(dataset, renew=accept_changed)
    if faults.all:
        lacks = f"not complete yet ({faults.all[0]})" if _is_here(dataset) else "only its list of frames is here"
        _say(say, f"{dataset.id}: {lacks}. What a program cannot do is left to you:")
        _say(say, str(dataset.instructions).replace("{folder}", str(folder)).strip())


def _fetch_files(
    dataset: Dataset,
    replace: bool,
    accept_changed: bool,
    progress: Progress | None,
    say: Callable[[str], None] | None,
) -> None:
    for file in dataset.files:
        place = _place(dataset, file)
        if replace or not _holds_something(place):
            stored = _download(dataset, file, replace, accept_changed, progress, say)
            if file.unpack:
                _unpack(dataset, file, stored, place, replace, progress)


def _verify_elsewhere(
    dataset: Dataset, root: Path, manifest: Path | None, say: Callable[[str], None] | None
) -> list[str]:
    if dataset.lists:
        return _told(find_faults(dataset, root, manifest), say)
    if dataset.expected is None:
        raise BadInput(f"{dataset.id}: is checked only where da2k data fetch puts it; leave out --root")
    return _lacks(dataset, _unreadable, root)


def _told(faults: Faults, say: Callable[[str], None] | None) -> list[str]:
    """The problems; what is merely not here is said."""
    if not faults.problems:
        for line in faults.absent:
            _say(say, line)
    return list(faults.problems)


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
        if file.is_tar:
            extract_tar(stored, place, top_folder=file.top_folder, replace=replace, progress=show)
        else:
            extract_zip(stored, place, replace=replace, progress=show)
    except BadArchive as e:
        _forget_unpinned(dataset)
        raise BadInput(f"{e}; it came from {file.url}") from None


def _differences_from_archive(archive: Path, folder: Path, file: File) -> list[str]:
    try:
        faults = damaged_tar_files(archive, folder, file.top_folder) if file.is_tar else damaged_files(archive, folder)
        return [f"{folder / path}: {fault}" for path, fault in faults]
    except BadArchive as e:
        return [str(e)]


def _lacks(
    dataset: Dataset, look: Callable[[Benchmark], list[str]] | None = None, root: Path | None = None
) -> list[str]:
    """What keeps the copy here from being the whole benchmark; `look` adds what it finds at the images."""
    if dataset.expected is None:
        return []
    try:
        benchmark = read_benchmark(root or dataset_folder(dataset.id))
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
    """Where the data of a file lies: an archive that is all of a dataset fills its folder, others have one each."""
    folder = dataset_folder(dataset.id)
    if not file.unpack:
        return folder / file.name
    return folder if len(dataset.files) == 1 and not dataset.lists else folder / file.stem


def _is_here(dataset: Dataset) -> bool:
    """Whether there is something; of a dataset with lists, something besides them, which people may have put there."""
    if dataset.lists:
        folder, lists = dataset_folder(dataset.id), {each.name for each in dataset.lists}
        return folder.is_dir() and any(p.name not in lists and p.name[0] != "." for p in folder.iterdir())
    places = [_place(dataset, file) for file in dataset.files] or [dataset_folder(dataset.id)]
    return all(_holds_something(place) for place in places)


def _has_lists(dataset: Dataset) -> bool:
    return all((dataset_folder(dataset.id) / each.name).is_file() for each in dataset.lists)


def _holds_something(place: Path) -> bool:
    return place.is_file() or (place.is_dir() and any(place.iterdir()))


def _remedy(dataset: Dataset) -> str:
    if dataset.lists and dataset.instructions:
        return f"run: da2k data fetch {dataset.id}, which says what is left to do"
    return f"run: da2k data fetch {dataset.id} --replace" if dataset.files else str(dataset.instructions)


def _say(say: Callable[[str], None] | None, line: str) -> None:
    if say is not None:
        say(line)
