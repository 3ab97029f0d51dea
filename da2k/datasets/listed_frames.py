"""Whether the frames of a dataset's lists are on this machine, and are what they have to be."""

from dataclasses import dataclass
from pathlib import Path

from da2k.datasets.frame_formats import OtherData
from da2k.datasets.manifest import Dataset, FrameList
from da2k.datasets.open_frames import open_frames, spot_check
from da2k.errors import BadInput, MissingExtra
from da2k.protocols.dense import Clamp, DatasetRules, Range, Reader


@dataclass(frozen=True)
class Faults:
    """What is wrong with the frames under a folder.

    Attributes:
        problems: one line each.
        absent: one line for each way of reading them of which nothing is here, where another way has its files.
    """

    problems: tuple[str, ...]
    absent: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Everything that keeps protocols from being run."""
        return self.problems + self.absent


def find_faults(dataset: Dataset, root: Path, manifest: Path | None = None) -> Faults:
    """Compare the dataset's lists with the files under a folder, and decode a few frames of each list.

    A list may name the ways its frames can be read. Files for one of them suffice.
    """
    problems: list[str] = []
    absent: list[str] = []
    for frame_list in dataset.lists:
        looks = [_look(dataset, frame_list, reader, root, manifest) for reader in frame_list.readers]
        some_here = any(look.here for look in looks)
        for look in looks:
            (problems if look.here or not some_here else absent).extend(look.faults)
    return Faults(tuple(problems), tuple(absent))


@dataclass(frozen=True)
class _Look:
    """What one reader finds: whether there is anything for it, and what is wrong, or why there is nothing."""

    here: bool
    faults: tuple[str, ...]


def _look(dataset: Dataset, frame_list: FrameList, reader: Reader, root: Path, manifest: Path | None) -> _Look:
    try:
        frames = open_frames(dataset.id, _rules(frame_list, reader), root, partial=True, manifest=manifest)
    except OtherData as e:
        return _Look(True, (f"{reader}: {e}",))
    except (BadInput, MissingExtra) as e:
        return _Look(False, (f"{reader}: {e}",))
    faults = spot_check(frames)
    if frames.absent:
        some = f"{len(frames.absent)} of {frames.expected} frames of {frame_list.name}"
        faults.insert(0, f"{root}: {some} are absent, the first {frames.missing[0]}")
    return _Look(True, tuple(f"{reader}: {fault}" for fault in faults))


def _rules(frame_list: FrameList, reader: Reader) -> DatasetRules:
    """The whole list, read so; that is no protocol's, and nothing is scored by it."""
    return DatasetRules(
        reader=reader,
        frames=frame_list.scored,
        list=frame_list.name,
        metric_crop="none",
        range=Range(low=0, high=1e6),
        clamp=Clamp(low=None, high=None),
        align_corners=True,
        status="unanchored",
        evidence={},
    )
