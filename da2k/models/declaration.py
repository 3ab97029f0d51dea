"""`predictions.yaml`: the declaration that says what the maps of a predictions folder are."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from da2k.depth import DepthKind
from da2k.errors import BadInput, did_you_mean
from da2k.files import write_text
from da2k.results import Digest

DECLARATION = "predictions.yaml"


class Declaration(BaseModel):
    """`predictions.yaml`: what the maps of a folder are.

    Attributes:
        model: the model's name.
        kind: what the values mean; decides which end is near.
        scale: what stored values are multiplied by, such as 0.00390625 for KITTI's 16-bit PNG. Positive.
        aspect: "kept" if each map has its image's aspect; "stretched" if every image was squeezed into one
            shape, which switches the check for cropped and transposed maps off.
        tta: "flip" if each map is the mean of the image's and of the mirrored image's, mirrored back; a protocol for
            measured depth asks for one or the other.
        input_crop: "kb" if the maps are of images cut to KITTI's benchmark crop, 352 x 1216, before the network; a
            protocol for KITTI asks for one or the other, and no size can tell.
        preprocessing, url, licence, revision, weights_digest, parameters: told to readers of the result.
        work: names the model, options, type, device and versions that `da2k predict` made the maps with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: Annotated[str, Field(min_length=1, max_length=200)]
    kind: DepthKind
    scale: Annotated[float, Field(gt=0)] = 1.0
    aspect: Literal["kept", "stretched"] = "kept"
    tta: Literal["none", "flip"] = "none"
    input_crop: Literal["none", "kb"] = "none"
    preprocessing: str | None = None
    url: str | None = None
    licence: str | None = None
    revision: str | None = None
    weights_digest: Digest | None = None
    parameters: Annotated[int, Field(ge=0)] | None = None
    work: Digest | None = None


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
