"""Where each dataset of the manifest lies on this machine, and whether it is there."""

from dataclasses import dataclass
from pathlib import Path

from da2k.datasets.manifest import Dataset, File, dataset_folder, load_manifest
from da2k.datasets.pins import expected, read_pin
from da2k.files import home, sha256_file


@dataclass(frozen=True)
class Holding:
    """One dataset of the manifest, where it lies, and whether it lies there (not whether it is whole).

    Attributes:
        here: whether there is something; of a dataset with lists, something besides them.
        lists: whether its lists of frames are there; False for a dataset that has none.
    """

    dataset: Dataset
    folder: Path
    here: bool
    lists: bool = False

    @property
    def state(self) -> str:
        """`here`, or in one line what is lacking and the command that brings it, or says how to."""
        if self.here:
            return "here"
        dataset = self.dataset
        if not dataset.files and not dataset.lists:
            return f"not here; {instructions(dataset)}"
        tells = ", which says what is left to do" if self.lists and dataset.instructions else ""
        return f"{'only its list is here' if self.lists else 'not here'}; run: da2k data fetch {dataset.id}{tells}"


def holding(dataset: Dataset) -> Holding:
    """Whether this dataset is here."""
    folder = dataset_folder(dataset.id)
    lists = [folder / each.name for each in dataset.lists]
    return Holding(dataset, folder, is_here(dataset), bool(lists) and all(path.is_file() for path in lists))


def holdings(manifest: Path | None = None) -> list[Holding]:
    """Every dataset of the manifest, and whether it is here."""
    return [holding(dataset) for dataset in load_manifest(manifest).values()]


def is_here(dataset: Dataset) -> bool:
    """Whether there is something; of a dataset with lists, something besides them, which people may have put there."""
    if dataset.lists:
        folder, lists = dataset_folder(dataset.id), {each.name for each in dataset.lists}
        return folder.is_dir() and any(p.name not in lists and p.name[0] != "." for p in folder.iterdir())
    places = [place_of(dataset, file) for file in dataset.files] or [dataset_folder(dataset.id)]
    return all(holds_something(place) for place in places)


def stored_at(dataset: Dataset, file: File) -> Path:
    """Where the file lies as it came: archives in `downloads`, others at their place."""
    return home() / "downloads" / dataset.id / file.name if file.unpack else place_of(dataset, file)


def place_of(dataset: Dataset, file: File) -> Path:
    """Where the data of a file lies: an archive that is all of a dataset fills its folder, others have one each."""
    folder = dataset_folder(dataset.id)
    if not file.unpack:
        return folder / file.name
    return folder if len(dataset.files) == 1 and not dataset.lists else folder / file.stem


def holds_something(place: Path) -> bool:
    """Whether it is a file, or a folder that is not empty."""
    return place.is_file() or (place.is_dir() and any(place.iterdir()))


def steps_by_hand(dataset: Dataset, lists_only: bool = False) -> list[str]:
    """What people can do where a program cannot: which address goes to which path, and what is to be done then."""
    folder = dataset_folder(dataset.id)
    lines = [f"{dataset.id}: all of it can be put there by hand; then run: da2k data fetch {dataset.id}"]
    for each in dataset.lists:
        path = folder / each.name
        if not path.is_file() or sha256_file(path) != each.sha256:
            lines.append(f"the list, SHA-256 {each.sha256}:\n  {each.url}\n  to {path}")
    if lists_only:
        return lines
    for file in dataset.files:
        path = stored_at(dataset, file)
        if not path.is_file() and not holds_something(place_of(dataset, file)):
            sha256, _ = expected(file, read_pin(dataset, file))
            known = f"SHA-256 {sha256}" if sha256 else "whose SHA-256 nobody published"
            lines.append(f"{file.name}, {known}:\n  {file.url}\n  to {path}")
    if dataset.instructions:
        lines.append(instructions(dataset))
    return lines


def instructions(dataset: Dataset) -> str:
    """What the manifest leaves to people, with the dataset's folder in it."""
    return str(dataset.instructions).replace("{folder}", str(dataset_folder(dataset.id))).strip()


def remedy(dataset: Dataset) -> str:
    """What mends a copy that is incomplete or damaged."""
    if dataset.lists and dataset.instructions:
        return f"run: da2k data fetch {dataset.id}, which says what is left to do"
    return f"run: da2k data fetch {dataset.id} --replace" if dataset.files else str(dataset.instructions)
