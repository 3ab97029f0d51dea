"""Checking the datasets that are on this machine."""

from collections.abc import Callable
from pathlib import Path

from da2k.datasets.archives import damaged_files
from da2k.datasets.benchmarks import miscounts
from da2k.datasets.da2k import Benchmark, read_benchmark
from da2k.datasets.holdings import holding, holdings, place_of, remedy, stored_at
from da2k.datasets.listed_frames import Faults, find_faults
from da2k.datasets.manifest import Dataset, File, dataset_folder, find_dataset, part_of
from da2k.datasets.pins import expected, read_pin
from da2k.datasets.tar_archives import damaged_tar_files
from da2k.datasets.unpacking import BadArchive
from da2k.errors import BadInput
from da2k.files import sha256_file


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
    held = holding(dataset)
    if not held.here:
        return [f"{held.folder}: {held.state}"]
    problems: list[str] = []
    compared = False
    for file in dataset.files:
        stored, place = stored_at(dataset, file), place_of(dataset, file)
        if not stored.is_file():
            continue
        (wanted, _), found = expected(file, read_pin(dataset, file)), sha256_file(stored)
        if wanted is not None and found != wanted:
            problems.append(f"{stored}: its SHA-256 is {found}, and {wanted} is expected")
        elif file.unpack:
            compared = True
            problems += _differences_from_archive(stored, place, file)
    if dataset.lists:
        problems += _told(find_faults(dataset, dataset_folder(dataset.id), manifest), say)
    problems += lacks_of(dataset, None if compared else _unreadable)
    return [f"{problem}; {remedy(dataset)}" for problem in problems]


def verify_all(
    name: str | None = None,
    root: Path | None = None,
    *,
    manifest: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, list[str]]:
    """The problems, by id, of the named dataset, or of each that is here; see `verify`."""
    if name and part_of(name) and say:
        say(f"{name} is a part of {part_of(name)}, which is checked as a whole")
    chosen = [find_dataset(name, manifest).id] if name else [h.dataset.id for h in holdings(manifest) if h.here]
    return {each: verify(each, root, manifest=manifest, say=say) for each in chosen}


def _verify_elsewhere(
    dataset: Dataset, root: Path, manifest: Path | None, say: Callable[[str], None] | None
) -> list[str]:
    if dataset.lists:
        return _told(find_faults(dataset, root, manifest), say)
    if dataset.expected is None:
        raise BadInput(f"{dataset.id}: is checked only where da2k data fetch puts it; leave out --root")
    return lacks_of(dataset, _unreadable, root)


def _told(faults: Faults, say: Callable[[str], None] | None) -> list[str]:
    """The problems; what is merely not here is said."""
    if not faults.problems and say:
        for line in faults.absent:
            say(line)
    return list(faults.problems)


def _differences_from_archive(archive: Path, folder: Path, file: File) -> list[str]:
    try:
        faults = damaged_tar_files(archive, folder, file.top_folder) if file.is_tar else damaged_files(archive, folder)
        return [f"{folder / path}: {fault}" for path, fault in faults]
    except BadArchive as e:
        return [str(e)]


def lacks_of(
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
