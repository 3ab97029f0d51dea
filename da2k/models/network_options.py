"""The declaration of a network that comes as one file: how it is fed, and what its output means.

Such a file says what its tensors look like but not what they mean. That stands in a small YAML beside it,
`net.tflite.yaml` or `net.yaml`, or in `--model-option key=value`, which wins.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from da2k.depth import DepthKind
from da2k.errors import BadModel
from da2k.files import user_path
from da2k.models.checkpoints import one_line
from da2k.models.options import Options, parse_options

Layout = Literal["NHWC", "NCHW"]


def _one_a_channel(value: object) -> object:
    numbers = value.replace(",", " ").split() if isinstance(value, str) else value
    if isinstance(numbers, int | float):
        numbers = [numbers]
    if not isinstance(numbers, list | tuple) or len(numbers) not in (1, 3):
        raise ValueError("three numbers are needed, one a channel, or one number for all")
    return tuple(numbers) * (3 // len(numbers))


def _not_zero(value: float) -> float:
    if value == 0:
        raise ValueError("0 would make all depths equal")
    return value


Positive = Annotated[float, Field(gt=0)]
Side = Annotated[int, Field(gt=0)]
PerChannel = BeforeValidator(_one_a_channel)


class NetworkOptions(Options):
    """The declaration of a network file: the fields of its YAML, and the keys of `--model-option`.

    The network gets `(pixel * scale - mean) / std` for pixels of 0 to 255; the map is
    `output * output_scale + output_shift`, after the output is dequantised, or 1 over that.

    Attributes:
        kind: what the map means; needed.
        height, width: of the input; needed where the file leaves them open.
        layout: order of the input's axes; by default read off from where the 3 channels are.
        channels: their order.
        scale: 1/255 by default; 1 for a uint8 input, which then gets the pixels as they are.
        mean, std: three numbers in the order of `channels`, or one for all.
        resample: Pillow's filter for stretching the photo to the input.
        output: name of the output that is the map, or its index.
        output_scale: may be negative: -1 makes disparity of "more negative = nearer".
        output_shift: added last.
        output_inverse: the map is `1 / (output * output_scale + output_shift)`, NaN where that is not the inverse of a
            positive, finite number: for networks that emit disparity without a shift (the Monodepth lineage), whose
            inverse is `scale_invariant_depth`, larger = farther.
    """

    kind: DepthKind | None = None
    height: Side | None = None
    width: Side | None = None
    layout: Layout | None = None
    channels: Literal["RGB", "BGR"] = "RGB"
    scale: Positive | None = None
    mean: Annotated[tuple[float, float, float], PerChannel] = (0.0, 0.0, 0.0)
    std: Annotated[tuple[Positive, Positive, Positive], PerChannel] = (1.0, 1.0, 1.0)
    resample: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] = "bilinear"
    output: Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)] = "0"
    output_scale: Annotated[float, AfterValidator(_not_zero)] = 1.0
    output_shift: float = 0.0
    output_inverse: bool = False

    @field_validator("output_inverse")
    @classmethod
    def _is_depth(cls, inverse: bool, info: ValidationInfo) -> bool:
        kind = info.data.get("kind")
        if inverse and kind is not None and kind.larger_is_nearer:
            raise ValueError(
                f"1 / output is a depth, larger = farther, and kind {kind} is larger = nearer; declare "
                f"{DepthKind.SCALE_INVARIANT_DEPTH} if the network's disparity has no shift, else leave "
                "output_inverse out"
            )
        return inverse

    def as_text(self) -> dict[str, str]:
        """The fields that have a value, as `--model-option` would give them.

        `output_inverse` is among them only if it is true: results of networks without it, made before there was such
        a field, stay results of the same options.
        """
        fields = self.model_dump(mode="json", exclude_none=True, exclude={"output_inverse"})
        text = {key: ",".join(map(str, v)) if isinstance(v, list) else str(v) for key, v in fields.items()}
        return text | ({"output_inverse": "true"} if self.output_inverse else {})


def network_file(target: str, where: str) -> Path:
    """The file of this name.

    Raises:
        BadModel: there is none, or it is empty.
    """
    file = user_path(target)
    if not file.is_file():
        raise BadModel(f"{where}: {'this is a folder' if file.is_dir() else 'no such file'}; give the network's file")
    if file.stat().st_size == 0:
        raise BadModel(f"{where}: the file is empty")
    return file


def declaration_places(file: Path) -> list[Path]:
    """Where the YAML of a network's file may lie."""
    return list(dict.fromkeys((file.with_name(f"{file.name}.yaml"), file.with_suffix(".yaml"))))


def read_declaration(file: Path, options: Mapping[str, str], where: str) -> NetworkOptions:
    """How the network in this file is fed: its YAML, overruled by the options.

    Raises:
        BadModel: two YAMLs declare it, one is broken, a field is unknown or wrong, or nothing says its kind.
    """
    places = declaration_places(file)
    found = [place for place in places if place.is_file()]
    if len(found) > 1:
        raise BadModel(f"{found[0]}: {found[1].name} stands beside it; keep one declaration of {file.name}")
    written = _read_yaml(found[0]) if found else {}
    declared = parse_options(NetworkOptions, {**written, **options}, where)
    if declared.kind is None:
        place = found[0] if found else places[0]
        raise BadModel(
            f"{where}: nothing says what its maps mean; write kind: into {place} or give --model-option kind=…, "
            f"one of {', '.join(DepthKind)}"
        )
    return declared


def _read_yaml(place: Path) -> dict[str, object]:
    try:
        content = yaml.safe_load(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as e:
        raise BadModel(f"{place}: cannot be read as YAML ({one_line(e)})") from None
    if not isinstance(content, dict):
        raise BadModel(f"{place}: must hold fields such as kind: {DepthKind.AFFINE_DISPARITY}")
    fields = {str(key): value for key, value in content.items()}
    parse_options(NetworkOptions, fields, str(place))
    return fields
