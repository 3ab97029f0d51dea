"""How photos get into a network of fixed size, and how its output becomes a depth map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from da2k.depth import DepthMap
from da2k.errors import BadModel, did_you_mean
from da2k.models.network_options import Layout, NetworkOptions

_AXES: Mapping[Layout, tuple[int, int, int]] = {"NHWC": (1, 2, 3), "NCHW": (2, 3, 1)}
"""Where a layout has its height, width and channels."""

_INPUT_TYPES = ("float32", "float16", "float64", "uint8", "int8")

_FEWEST_LEVELS = 64
"""An integer input that tells fewer grey levels apart than this is being fed in the wrong units."""


@dataclass(frozen=True)
class Tensor:
    """An input or output as the file describes it.

    Attributes:
        name: its name in the file.
        shape: with None for a side left open.
        dtype: numpy's name of its type, or the file's name of a type that numpy has not.
        quantisation: (scale, zero point) of an integer tensor: real value = (stored - zero point) * scale.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    quantisation: tuple[float, int] | None = None


@dataclass(frozen=True, eq=False)
class Feed:
    """How photos get into one network and maps out of it, with nothing left open.

    Attributes:
        options: the declaration, with height, width, layout and scale filled in from the file.
        size: (height, width) of the input.
        input, output: the two tensors.
        index: which of the outputs `output` is.
        stored: what the network gets for each pixel value, [3 channels, 256], in the input's type.
    """

    options: NetworkOptions
    size: tuple[int, int]
    input: Tensor
    output: Tensor
    index: int
    stored: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the input, [1, h, w, 3] or [1, 3, h, w]."""
        return (1, *self.size, 3) if self.options.layout == "NHWC" else (1, 3, *self.size)

    @property
    def preprocessing(self) -> str:
        """What happens to a photo, on one line."""
        options = self.options
        scale = "1/255" if options.scale == 1 / 255 else f"{options.scale:g}"
        value = "pixel" if scale == "1" else f"pixel * {scale}"
        if (options.mean, options.std) != ((0, 0, 0), (1, 1, 1)):
            mean, std = (", ".join(f"{x:g}" for x in numbers) for numbers in (options.mean, options.std))
            value = f"({value} - mean) / std, mean {mean}, std {std}"
        if _quantises(options, self.input):
            value += ", quantised as the input declares"
        height, width = self.size
        return (
            f"stretched to {height} x {width} (rows x columns), Pillow {options.resample}; {options.channels}, "
            f"{options.layout}, {self.input.dtype} = {value}"
        )

    def network_input(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """RGB pixels, uint8 [H, W, 3], stretched to the input's size and put in the input's units, layout and type."""
        height, width = self.size
        filter_ = PillowImage.Resampling[self.options.resample.upper()]
        photo = np.asarray(PillowImage.fromarray(pixels).resize((width, height), filter_))
        order = (0, 1, 2) if self.options.channels == "RGB" else (2, 1, 0)
        planes = [values[photo[..., channel]] for values, channel in zip(self.stored, order, strict=True)]
        return np.stack(planes, axis=-1 if self.options.layout == "NHWC" else 0)[None]

    def depth_map(self, values: NDArray[Any], where: str) -> DepthMap:
        """The network's output as a map, at the output's size.

        Raises:
            BadModel: the output is not one number a pixel.
        """
        flat = np.squeeze(values)
        if flat.ndim != 2 or flat.dtype.kind not in "fiu":
            what = (
                f"output {self.output.name} is {values.dtype} {list(values.shape)}, and a depth map is [height, width]"
            )
            raise BadModel(f"{where}: {what}; option output chooses another of the network's outputs")
        real = flat.astype(np.float64)
        if self.output.quantisation and flat.dtype.kind in "iu":
            scale, zero = self.output.quantisation
            real = (real - zero) * scale
        assert self.options.kind is not None
        real = real * self.options.output_scale + self.options.output_shift
        return DepthMap(_inverse(real) if self.options.output_inverse else real, self.options.kind)


def _inverse(disparity: NDArray[np.float64]) -> NDArray[np.float64]:
    """1/x; NaN where x is not positive, and where it is infinite, which 1/x would turn into the finite depth 0."""
    usable = (disparity > 0) & np.isfinite(disparity)
    depth = np.full_like(disparity, np.nan)
    with np.errstate(over="ignore"):
        return np.divide(1.0, disparity, out=depth, where=usable)


def settle(declared: NetworkOptions, inputs: Sequence[Tensor], outputs: Sequence[Tensor], where: str) -> Feed:
    """Bring together what was declared and what the file fixes.

    Raises:
        BadModel: the network does not take one RGB image, the two contradict each other, or something is left open.
    """
    if len(inputs) != 1:
        names = ", ".join(tensor.name for tensor in inputs)
        raise BadModel(f"{where}: the network has {len(inputs)} inputs ({names}); only one image can be given")
    tensor = inputs[0]
    shape = [side or "any" for side in tensor.shape]
    if len(shape) != 4 or shape[0] not in (1, "any"):
        raise BadModel(f"{where}: input {tensor.name} is {shape}; one RGB image, with four axes, is expected")
    if tensor.dtype not in _INPUT_TYPES:
        raise BadModel(f"{where}: input {tensor.name} is {tensor.dtype}; images are fed as {', '.join(_INPUT_TYPES)}")
    layout = _layout(declared, tensor, where)
    rows, columns, _ = _AXES[layout]
    height = _side("height", declared.height, tensor.shape[rows], where)
    width = _side("width", declared.width, tensor.shape[columns], where)
    scale = declared.scale or (1.0 if tensor.dtype == "uint8" else 1 / 255)
    options = declared.model_copy(update={"layout": layout, "height": height, "width": width, "scale": scale})
    index = _output_index(declared.output, [output.name for output in outputs], where)
    stored = _stored(options, scale, tensor, where)
    return Feed(options, (height, width), tensor, outputs[index], index, stored)


def _layout(declared: NetworkOptions, tensor: Tensor, where: str) -> Layout:
    sides = {layout: tensor.shape[channels] for layout, (_, _, channels) in _AXES.items()}
    possible = [layout for layout, side in sides.items() if side in (3, None)]
    likely = [layout for layout in possible if sides[layout] == 3] or possible
    shape = [side or "any" for side in tensor.shape]
    if declared.layout:
        if declared.layout not in possible:
            raise BadModel(f"{where}: option layout={declared.layout}: input {tensor.name} is {shape}, not 3 channels")
        return declared.layout
    if len(likely) == 1:
        return likely[0]
    if not likely:
        raise BadModel(f"{where}: input {tensor.name} is {shape}; an RGB image needs an axis of 3 channels")
    raise BadModel(f"{where}: input {tensor.name} is {shape}, so its layout is open; give option layout, NHWC or NCHW")


def _side(name: str, declared: int | None, fixed: int | None, where: str) -> int:
    if declared is None and fixed is None:
        raise BadModel(f"{where}: the file leaves the input's {name} open; give option {name}")
    if declared and fixed and declared != fixed:
        raise BadModel(f"{where}: option {name}={declared}, but the network's input has {name} {fixed}")
    return declared or fixed or 0


def _output_index(chosen: str, names: Sequence[str], where: str) -> int:
    if chosen in names:
        return names.index(chosen)
    if chosen.isdecimal() and int(chosen) < len(names):
        return int(chosen)
    raise BadModel(
        f'{where}: the network has no output "{chosen}" (0 to {len(names) - 1}); {did_you_mean(chosen, names)}'
    )


def _stored(options: NetworkOptions, scale: float, tensor: Tensor, where: str) -> NDArray[Any]:
    """What the network gets for each pixel value; see `Feed.stored`."""
    mean, std = (np.asarray(numbers, np.float64)[:, None] for numbers in (options.mean, options.std))
    real = (np.arange(256) * scale - mean) / std
    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "f":
        return np.asarray(real, dtype)
    if tensor.quantisation and _quantises(options, tensor):
        real = real / tensor.quantisation[0] + tensor.quantisation[1]
    limits = np.iinfo(dtype)
    stored = np.clip(np.rint(real), limits.min, limits.max).astype(dtype)
    levels = min(len(np.unique(values)) for values in stored)
    if levels < _FEWEST_LEVELS:
        raise BadModel(
            f"{where}: options scale, mean, std: in the {dtype} input the 256 pixel values become only {levels} "
            f"different ones; it holds {_real_range(tensor)}"
        )
    return stored


def _quantises(options: NetworkOptions, tensor: Tensor) -> bool:
    """Whether real values are stored by the input's quantisation; a uint8 input can take the pixels as they are."""
    as_they_are = (options.scale, options.mean, options.std) == (1, (0, 0, 0), (1, 1, 1))
    return tensor.quantisation is not None and not (tensor.dtype == "uint8" and as_they_are)


def _real_range(tensor: Tensor) -> str:
    limits = np.iinfo(tensor.dtype)
    scale, zero = tensor.quantisation or (1.0, 0)
    return f"{(limits.min - zero) * scale:g} to {(limits.max - zero) * scale:g}"
