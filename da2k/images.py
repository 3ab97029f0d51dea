"""Photographs as every part of da2k sees them: upright, RGB, 8 bits, never larger than memory allows."""

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from da2k.errors import BadInput

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
"""The formats read. Pillow's other readers stay closed: some run other programs or have no size limit."""

MAX_PIXELS = 89_478_485
"""The largest image read: Pillow's own warning level, 256 MiB as RGB. Here it is an error, before decoding."""

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
    3: PillowImage.Transpose.ROTATE_180,
    4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
    5: PillowImage.Transpose.TRANSPOSE,
    6: PillowImage.Transpose.ROTATE_270,
    7: PillowImage.Transpose.TRANSVERSE,
    8: PillowImage.Transpose.ROTATE_90,
}
"""What turns a picture stored in each EXIF orientation upright (EXIF 2.3, section 4.6.4)."""
_SIDEWAYS = (5, 6, 7, 8)


@dataclass(eq=False)
class Photo:
    """One image of a benchmark, decoded when its pixels are first asked for.

    Attributes:
        name: the image's path in the benchmark, `images/<scenario>/<file>`, or any label.
        size: (height, width) after the EXIF orientation is applied.
        path: the file, or None for an image made from an array.

    A Photo can be given to anything that takes an array: `np.asarray(photo)` is `photo.pixels`.
    """

    name: str
    size: tuple[int, int]
    path: Path | None = None
    _pixels: NDArray[np.uint8] | None = field(default=None, repr=False)
    _digest: str | None = field(default=None, repr=False)

    @classmethod
    def open(cls, path: Path, name: str | None = None) -> "Photo":
        """The image in this file; only its header is read now.

        Raises:
            BadInput: the file is missing, not an image, or too large.
        """
        return cls(name or path.name, image_size(path), path)

    @classmethod
    def from_array(cls, pixels: NDArray[np.uint8], name: str = "array") -> "Photo":
        """An image from RGB pixels, uint8 [H, W, 3]."""
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise BadInput(f"pixels are uint8 [H, W, 3], not {pixels.dtype} {list(pixels.shape)}")
        return cls(name, (pixels.shape[0], pixels.shape[1]), None, pixels)

    @property
    def scenario(self) -> str | None:
        """The folder under `images/` that the image lies in, or None."""
        parts = self.name.split("/")
        return parts[1] if len(parts) > 2 and parts[0] == "images" else None

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """RGB, uint8 [H, W, 3], upright.

        Raises:
            BadInput: the file cannot be decoded.
        """
        if self._pixels is None:
            self._pixels = decode(self._bytes(), str(self.path))
        return self._pixels

    @property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, or of the pixels of an image made from an array."""
        if self._digest is None:
            self._digest = hashlib.sha256(self._bytes() if self.path else self.pixels.tobytes()).hexdigest()
        return self._digest

    def load(self, done: str | None = None) -> str:
        """Read the file once: its digest, and its pixels unless the digest is `done` (work already finished).

        Returns:
            The digest.

        Raises:
            BadInput: the file cannot be read or decoded.
        """
        if self.path is None:
            return self.digest
        data = self._bytes()
        self._digest = hashlib.sha256(data).hexdigest()
        if self._digest != done:
            self._pixels = decode(data, str(self.path))
        return self._digest

    def copy(self) -> "Photo":
        """The same photo with pixels of its own, for code that may change them in place."""
        return Photo(self.name, self.size, self.path, self.pixels.copy(), self._digest)

    def _bytes(self) -> bytes:
        assert self.path is not None
        try:
            return self.path.read_bytes()
        except OSError as e:
            raise BadInput(f"{self.path}: {e.strerror or e}") from None

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.pixels, dtype=dtype) if copy else np.asarray(self.pixels, dtype=dtype)


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image after its EXIF orientation, from the header alone.

    Raises:
        BadInput: the file is missing, not an image, or larger than MAX_PIXELS.
    """
    with _opened(path, str(path)) as image:
        width, height = image.size
        return (width, height) if _orientation(image, str(path)) in _SIDEWAYS else (height, width)


def read_image(path: Path) -> NDArray[np.uint8]:
    """The image as RGB, uint8 [H, W, 3], with its EXIF orientation applied, as `cv2.imread` would show it.

    Grey, palette, CMYK and 16-bit images are converted; transparency is dropped; of an animation the first
    frame is taken.

    Raises:
        BadInput: the file is missing, truncated, not an image, or larger than MAX_PIXELS.
    """
    return Photo.open(path).pixels


def decode(data: bytes, where: str) -> NDArray[np.uint8]:
    """The image in these bytes; see `read_image`. `where` names it in errors."""
    with _opened(io.BytesIO(data), where) as image:
        try:
            turn = _UPRIGHT.get(_orientation(image, where))
            rgb = _to_rgb(image, where)
            return np.array(rgb if turn is None else rgb.transpose(turn))
        except BadInput:
            raise
        except Exception as e:  # Pillow's decoders raise many types on broken data
            raise BadInput(f"{where}: cannot be decoded ({_first_line(e)}); the file is damaged") from None


def _opened(source: Path | io.BytesIO, where: str) -> PillowImage.Image:
    try:
        image = PillowImage.open(source, formats=FORMATS)
    except PillowImage.DecompressionBombError:
        raise BadInput(f"{where}: claims more pixels than the {MAX_PIXELS:,} allowed; not decoded") from None
    except UnidentifiedImageError:
        raise BadInput(f"{where}: not an image ({_looks_like(source)})") from None
    except OSError as e:
        raise BadInput(f"{where}: {e.strerror or _first_line(e)}") from None
    except Exception as e:  # Pillow's header readers raise many types on broken data
        raise BadInput(f"{where}: not a readable image ({_first_line(e)})") from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        image.close()
        raise BadInput(f"{where}: {width} x {height} pixels; at most {MAX_PIXELS:,} pixels are read")
    return image


def _orientation(image: PillowImage.Image, where: str) -> int:
    """The EXIF orientation that is left to be applied; known from the header, before any pixel is decoded."""
    # Pillow turns TIFF upright itself, and looks for the Exif of a PNG behind its pixels by decoding them all.
    # Its `getexif` would also take the orientation from XMP, which no viewer of a JPEG does.
    if image.format == "TIFF" or not image.info.get("exif"):
        return 1
    try:
        exif = PillowImage.Exif()
        exif.load(image.info["exif"])
        return int(exif.get(_ORIENTATION_TAG, 1))
    except Exception as e:  # damaged Exif makes Pillow raise many types
        raise BadInput(f"{where}: its EXIF data is damaged ({_first_line(e)}), so its orientation is unknown") from None


def _to_rgb(image: PillowImage.Image, where: str) -> PillowImage.Image:
    if image.mode.startswith("I;16"):
        # Pillow's own conversion of 16-bit grey clips at 255 instead of scaling.
        grey = np.asarray(image).astype(np.uint32)
        return PillowImage.fromarray(((grey + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise BadInput(f"{where}: 32-bit pixels have no defined white; save the image with 8 or 16 bits")
    return image.convert("RGB")


def _looks_like(source: Path | io.BytesIO) -> str:
    if isinstance(source, Path):
        try:
            with source.open("rb") as f:
                head = f.read(16)
        except OSError:
            return "unreadable"
    else:
        head = source.getvalue()[:16]
    if not head:
        return "the file is empty"
    return f"one of {', '.join(FORMATS)} was expected; the file begins with {head[:8]!r}"


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0] or type(error).__name__
