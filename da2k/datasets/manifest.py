"""The data manifest: every dataset, where it comes from, under which terms, and what a whole copy holds."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from da2k.errors import BadInput, did_you_mean
from da2k.files import home, load_yaml
from da2k.protocols.dense import BENCHMARKS, Reader
from da2k.results import Count, Digest


def _web_address(text: str) -> str:
    if not text.startswith(("https://", "http://")) or not text.isascii() or any(c <= " " for c in text):
        raise ValueError("must be an address that begins with https:// or http://, percent-encoded, without spaces")
    return text


def _file_name(text: str) -> str:
    if text in ("", ".", "..") or any(c in "/\\:\0" for c in text):
        raise ValueError("must be a plain file name without folders")
    return text


WebAddress = Annotated[str, AfterValidator(_web_address)]
FileName = Annotated[str, AfterValidator(_file_name)]
Identifier = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_.-]*$")]
Licence = Annotated[str, Field(pattern=r"^[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*$")]


EntryT = TypeVar("EntryT", bound=BaseModel)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Entry):
    """One file of a dataset, as it lies on a server.

    Attributes:
        sha256, bytes: None where nobody published them; the first fetch then pins what it saw.
        approximate_bytes: for listings only.
        unpack: the file is a .zip or .tar.gz archive whose content is the data.
        top_folder: the folder in a .tar.gz that holds all of it; its name is left out.
    """

    url: WebAddress
    name: FileName
    sha256: Digest | None = None
    bytes: Count | None = None
    approximate_bytes: Count | None = None
    unpack: bool = False
    top_folder: FileName | None = None

    @model_validator(mode="after")
    def _unpackable(self) -> Self:
        if self.unpack and not self.name.lower().endswith((".zip", ".tar.gz")):
            raise ValueError(f'unpack is for .zip and .tar.gz files, and the name is "{self.name}"')
        if self.top_folder and not (self.unpack and self.is_tar):
            raise ValueError("top_folder is for .tar.gz files that are unpacked")
        return self

    @property
    def is_tar(self) -> bool:
        """Whether it is a .tar.gz archive."""
        return self.name.lower().endswith(".tar.gz")

    @property
    def stem(self) -> str:
        """The name without the ending of its kind."""
        return self.name[: -len(".tar.gz")] if self.is_tar else Path(self.name).stem


class FrameList(_Entry):
    """The list of the frames that count, one a row: image, measured depth, and what more the dataset needs.

    Attributes:
        sha256, bytes: of the file; a list of another content is another benchmark.
        rows: lines of the list.
        frames: rows that name measured depth; None where all do.
        readers: how frames of this list are read (see `da2k.protocols.dense.Reader`); any one of them may be here.
    """

    url: WebAddress
    name: FileName
    sha256: Digest
    rows: Count
    bytes: Count | None = None
    frames: Count | None = None
    readers: tuple[Reader, ...] = ()

    @model_validator(mode="after")
    def _no_more_than_rows(self) -> Self:
        if self.scored > self.rows:
            raise ValueError(f"frames = {self.frames} is more than rows = {self.rows}")
        return self

    @property
    def scored(self) -> int:
        """How many frames have measured depth."""
        return self.rows if self.frames is None else self.frames


class Expected(_Entry):
    """What a whole copy of an ordering benchmark holds: annotated images, pairs, and the pairs of each scenario."""

    images: Count
    pairs: Count
    scenarios: dict[str, Count] = {}

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        total = sum(self.scenarios.values())
        if self.scenarios and total != self.pairs:
            raise ValueError(f"the scenarios add up to {total} pairs, not to pairs = {self.pairs}")
        return self

    def differences(self, images: int, scenarios: Mapping[str, int]) -> list[str]:
        """What a copy with so many annotated images, and so many pairs in each scenario, has too few or too many of.

        >>> Expected(images=2, pairs=5, scenarios={"indoor": 3, "aerial": 2}).differences(2, {"indoor": 3})
        ['3 pairs are annotated, 5 expected', 'aerial has 0 pairs, 2 expected']
        """
        pairs = sum(scenarios.values())
        found = [("images", images, self.images), ("pairs", pairs, self.pairs)]
        lines = [f"{have} {what} are annotated, {want} expected" for what, have, want in found if have != want]
        if self.scenarios:
            names = [*self.scenarios, *sorted(scenarios.keys() - self.scenarios.keys())]
            have, want = Counter(scenarios), Counter(self.scenarios)
            lines += [f"{n} has {have[n]} pairs, {want[n]} expected" for n in names if have[n] != want[n]]
        return lines


class FrameSizes(_Entry):
    """Between which sizes, in pixels, all frames of a dataset are: (least, most) rows and columns."""

    rows: tuple[Count, Count]
    columns: tuple[Count, Count]

    def contain(self, size: tuple[int, int]) -> bool:
        """Whether a frame of this (height, width) can be one of the dataset's."""
        (height, width), (low, high), (left, right) = size, self.rows, self.columns
        return low <= height <= high and left <= width <= right

    def __str__(self) -> str:
        """Height x width, for messages."""
        return " x ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in (self.rows, self.columns))


class Dataset(_Entry):
    """One dataset.

    Attributes:
        id: its name on the command line, and of its folder.
        url: its page, for people.
        licence: an SPDX identifier, or `LicenseRef-…` together with `licence_url`.
        licence_evidence: where and when that licence was stated, and what it leaves open.
        revision: the release, commit or branch that the files' addresses name.
        lists: which frames count, where depth is measured at every pixel.
        frame_sizes: of the frames; None where they vary more than data of another kind would.
        files: what is fetched; empty where people must register, and then `instructions` says how.
        instructions: what is left to people; `{folder}` stands for the dataset's folder.
        folder_names: names of folders under which copies of it are known.
        expected: the counts of a whole copy, for ordering benchmarks.
    """

    id: Identifier
    title: str
    url: WebAddress
    licence: Licence
    licence_url: WebAddress | None = None
    licence_evidence: str
    redistribution: Literal["yes", "no", "link-only"]
    attribution: str
    citation: str
    revision: str
    used_for: str
    folder_names: tuple[str, ...] = ()
    lists: tuple[FrameList, ...] = ()
    frame_sizes: FrameSizes | None = None
    files: tuple[File, ...] = ()
    instructions: str | None = None
    expected: Expected | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.licence.startswith("LicenseRef-") and self.licence_url is None:
            raise ValueError("a LicenseRef licence needs licence_url, the address of its text")
        if not self.files and not self.instructions:
            raise ValueError("a dataset without files needs instructions that say how to get it")
        names = Counter([each.name.casefold() for each in self.lists] + [each.name.casefold() for each in self.files])
        if names and max(names.values()) > 1:
            raise ValueError(f'two files are called "{names.most_common(1)[0][0]}"')
        return self

    @property
    def size(self) -> int | None:
        """Bytes of all files, exactly or roughly; None where one's size is unknown."""
        return self.size_known if self.files and None not in self._sizes else None

    @property
    def size_known(self) -> int:
        """Bytes of the files whose size is known, exactly or roughly."""
        return sum(size for size in self._sizes if size is not None)

    @property
    def _sizes(self) -> list[int | None]:
        return [file.approximate_bytes if file.bytes is None else file.bytes for file in self.files]


class _Manifest(_Entry):
    datasets: tuple[Dataset, ...]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        ids = Counter(dataset.id for dataset in self.datasets)
        repeated = [name for name, count in ids.items() if count > 1]
        if repeated:
            raise ValueError(f'id "{repeated[0]}" stands twice')
        return self


def load_manifest(path: Path | None = None) -> Mapping[str, Dataset]:
    """The datasets by id.

    Args:
        path: another manifest than the one that comes with da2k.

    Raises:
        BadInput: the file is missing or wrong; the message names the field.
    """
    manifest = parse_yaml(path or _own_manifest(), _Manifest)
    return {dataset.id: dataset for dataset in manifest.datasets}


def find_dataset(name: str, manifest: Path | None = None) -> Dataset:
    """The dataset of this id, the whole of such a part, or the one that is known under this folder name.

    Raises:
        BadInput: there is none; the message lists them.
    """
    dataset = known_as(part_of(name) or name, manifest)
    if dataset is None:
        raise BadInput(f'unknown dataset "{name}"; {did_you_mean(name, load_manifest(manifest))}')
    return dataset


def part_of(name: str) -> str | None:
    """The id of the dataset of which this benchmark is a part; None if it is no part of one.

    >>> part_of("diode-indoor"), part_of("diode")
    ('diode', None)
    """
    whole, dash, _ = name.partition("-")
    return whole if dash and name in BENCHMARKS else None


def known_as(name: str, manifest: Path | None = None) -> Dataset | None:
    """The dataset of this id, or that is known under this folder name, in any case; None if there is none."""
    known = load_manifest(manifest)
    if name in known:
        return known[name]
    for dataset in known.values():
        if name.casefold() in (folder.casefold() for folder in dataset.folder_names):
            return dataset
    return None


def dataset_folder(name: str) -> Path:
    """Where the dataset of this id lies when `da2k data fetch` has put it there."""
    return home() / "datasets" / name


def parse_yaml(path: Path, kind: type[EntryT]) -> EntryT:
    """Read a YAML file as `kind`.

    Raises:
        BadInput: the file is missing, is no YAML, or has a wrong field, which the message names.
    """
    try:
        return kind.model_validate(load_yaml(path.read_bytes()))
    except OSError as e:
        raise BadInput(f"{path}: {e.strerror or e}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise BadInput(f"{path}: not valid YAML ({' '.join(str(e).split())})") from None
    except ValidationError as e:
        first = e.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(whole file)"
        raise BadInput(f"{path}: {field}: {first['msg'].removeprefix('Value error, ')}") from None


def _own_manifest() -> Path:
    """`data_manifest.yaml` in the installed package, or beside the package folder of a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "data_manifest.yaml"
    return packaged if packaged.is_file() else package.parent / "data_manifest.yaml"
