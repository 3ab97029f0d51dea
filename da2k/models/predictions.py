"""`predictions:<folder>`: depth maps made elsewhere, read as a model's."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath

import numpy as np

from da2k.depth import DepthMap
from da2k.errors import BadInput, MissingPrediction
from da2k.files import sha256_file, user_path
from da2k.images import Photo
from da2k.models.declaration import Declaration, read_declaration
from da2k.models.map_files import ENDINGS, is_eight_bit, read_map
from da2k.models.options import Options, parse_options
from da2k.results import ModelRecord


class PredictionsFolder:
    """The maps of a folder that mirrors a benchmark's image paths."""

    device = "none"
    dtype = "stored"

    def __init__(self, folder: Path, declaration: Declaration) -> None:
        self.folder = folder
        self.declaration = declaration
        self.record = ModelRecord(
            name=declaration.model,
            spec=f"predictions:{folder}",
            kind=declaration.kind,
            revision=declaration.revision,
            weights_digest=declaration.weights_digest,
            parameters=declaration.parameters,
            preprocessing=declaration.preprocessing,
            aspect=declaration.aspect,
        )
        self._eight_bit: set[str] = set()

    @property
    def warnings(self) -> list[str]:
        """What the reader of the numbers has to know about the maps read so far."""
        if not self._eight_bit:
            return []
        count, example = len(self._eight_bit), min(self._eight_bit)
        return [
            f"{count} maps have 8 bits, such as {example}: 256 depths at most, so expect ties. Save 16 bits or .npy"
        ]

    def prepare(self, photo: Photo, done: str | None = None) -> str:  # noqa: ARG002 - the pixels are not needed
        """A digest of the image's map and of what it takes to read it. The photograph itself is not read.

        Raises:
            MissingPrediction: there is no map for this image.
            BadInput: there are two.
        """
        work = (sha256_file(self.locate(photo.name)), photo.size, self.declaration.model_dump(mode="json"))
        return sha256(json.dumps(work).encode()).hexdigest()

    def predict(self, images: Sequence[Photo]) -> list[DepthMap]:
        """The stored maps of these images, times the declared scale.

        Raises:
            MissingPrediction: there is no map for an image.
            BadInput: a map is damaged or is no map.
        """
        return [self._read(self.locate(photo.name)) for photo in images]

    def locate(self, image: str) -> Path:
        """The map of an image: `x.npy`, or `x.jpg.npy` where two images differ only in their ending.

        Raises:
            MissingPrediction: there is none.
            BadInput: there is more than one.
        """
        plain = PurePosixPath(image)
        whole = [self.folder / f"{plain}{ending}" for ending in ENDINGS]
        short = [self.folder / plain.with_suffix(ending) for ending in ENDINGS]
        found = [path for path in whole if path.is_file()] or [path for path in short if path.is_file()]
        if not found:
            raise MissingPrediction(f"{short[0]}: no prediction for {image} (nor with another of {', '.join(ENDINGS)})")
        if len(found) > 1:
            raise BadInput(f"{found[0]}: {found[1].name} stands beside it; keep one map for {image}")
        return found[0]

    def _read(self, path: Path) -> DepthMap:
        values = read_map(path)
        if is_eight_bit(values):
            self._eight_bit.add(path.relative_to(self.folder).as_posix())
        try:
            scaled = values if self.declaration.scale == 1 else values * np.float64(self.declaration.scale)
            return DepthMap(scaled, self.declaration.kind)
        except BadInput as e:
            raise BadInput(f"{path}: {e}") from None


def load(target: str, options: Mapping[str, str], device: str) -> PredictionsFolder:  # noqa: ARG001
    """The adapter of `predictions:<folder>`. It takes no options: everything stands in `predictions.yaml`."""
    parse_options(Options, options, f"predictions:{target}")
    folder = user_path(target)
    return PredictionsFolder(folder, read_declaration(folder))
