"""`predictions:<folder>`: depth maps made elsewhere, and the declaration that says what they are."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadInput, MissingPrediction, did_you_mean
from da2k.files import sha256_file, write_text
from da2k.images import Photo
from da2k.models.map_files import ENDINGS, is_eight_bit, read_map
from da2k.models.options import Options, parse_options
from da2k.results import Digest, ModelRecord

DECLARATION = "predictions.yaml"


class Declaration(BaseModel):
    """`predictions.yaml`: what the maps of a folder are.

    Attributes:
        model: the model's name.
        kind: what the values mean; decides which end is near.
        scale: what stored values are multiplied by, such as 0.00390625 for KITTI's 16-bit PNG. Positive.
        aspect: "kept" if each map has its image's aspect; "stretched" if every image was squeezed into one
            shape, which switches the check for cropped and transposed maps off.
        preprocessing, url, licence, revision, weights_digest, parameters: told to readers of the result.
        work: names the model, options, type, device and versions that `da2k predict` made the maps with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Annotated[str, Field(min_length=1, max_length=200)]
    kind: DepthKind
    scale: Annotated[float, Field(gt=0)] = 1.0
    aspect: Literal["kept", "stretched"] = "kept"
    preprocessing: str | None = None
    url: str | None = None
    licence: str | None = None
    revision: str | None = None
    weights_digest: Digest | None = None
    parameters: Annotated[int, Field(ge=0)] | None = None
    work: Digest | None = None


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
    folder = Path(target).expanduser()
    return PredictionsFolder(folder, read_declaration(folder))


def read_declaration(folder: Path) -> Declaration:
    """Read `predictions.yaml`.

    Raises:
        BadInput: it is missing, is no YAML mapping, or a field is missing, unknown or wrong.
    """
    path = folder / DECLARATION
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder of predictions")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        kinds = ", ".join(DepthKind)
        raise BadInput(f"{path}: is missing; write it with two lines, model: NAME and kind: one of {kinds}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise BadInput(f"{path}: cannot be read as YAML ({' '.join(str(e).split())})") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path}: must hold fields such as model: and kind:")
    try:
        return Declaration.model_validate(content)
    except ValidationError as e:
        unknown = [str(error["loc"][0]) for error in e.errors() if error["type"] == "extra_forbidden"]
        if unknown:
            known = did_you_mean(unknown[0], Declaration.model_fields)
            raise BadInput(f'{path}: unknown field "{unknown[0]}"; {known}') from None
        first = e.errors()[0]
        field = str(first["loc"][0])
        if first["type"] == "missing":
            raise BadInput(f"{path}: field {field} is missing") from None
        if field == "kind":
            DepthKind.parse(str(first["input"]), f"{path}: ")
        raise BadInput(f"{path}: {field}: {first['input']!r}: {first['msg']}") from None


def write_declaration(folder: Path, declaration: Declaration) -> None:
    """Write `predictions.yaml`; fields that were not set are left out."""
    content = declaration.model_dump(mode="json", exclude_none=True)
    write_text(folder / DECLARATION, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
