"""Photographs: upright, RGB, and never more than memory allows."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from da2k.errors import BadInput
from da2k.images import MAX_PIXELS, Photo, image_size, read_image


@pytest.fixture(scope="module")
def upright():
    """A 24 x 40 picture whose corners differ, so that each of the eight orientations is told apart."""
    rng = np.random.default_rng(0)
    return np.kron(rng.integers(0, 256, (3, 5, 3), np.uint8), np.ones((8, 8, 1), np.uint8))


# How an upright picture is stored so that a viewer following the EXIF tag shows it upright again (EXIF 2.3, 4.6.4).
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_all_exif_orientations_come_out_upright(tmp_path, upright, orientation, ending):
    path = tmp_path / f"photo.{ending}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}.get(ending, {})
    Image.fromarray(np.ascontiguousarray(STORED[orientation](upright))).save(path, exif=exif, **options)
    assert image_size(path) == upright.shape[:2]
    seen = read_image(path)
    assert seen.shape == upright.shape
    assert np.abs(seen.astype(int) - upright).max() <= (6 if ending == "jpg" else 0)


def test_cmyk_palette_grey_and_transparent_images_become_rgb(tmp_path, upright):
    picture = Image.fromarray(upright)
    for mode in ("CMYK", "P", "L", "LA", "RGBA", "1", "YCbCr"):
        path = tmp_path / f"{mode}.tif"
        picture.convert("RGBA" if mode == "LA" else "RGB").convert(mode).save(path)
        assert read_image(path).shape == upright.shape, mode
        assert read_image(path).dtype == np.uint8
    picture.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=100, subsampling=0)
    assert np.abs(read_image(tmp_path / "cmyk.jpg").astype(int) - upright).max() <= 8


def test_transparency_is_dropped_and_the_colour_below_kept(tmp_path):
    Image.fromarray(np.full((2, 2, 4), (10, 20, 30, 0), np.uint8), "RGBA").save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == (10, 20, 30)).all()


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path, ending):
    grey = np.array([[0, 257, 32768, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / f"a.{ending}")
    assert read_image(tmp_path / f"a.{ending}")[0, :, 0].tolist() == [0, 1, 128, 255]


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.fromarray(np.full((4, 6, 3), value, np.uint8)) for value in (200, 10)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read_image(tmp_path / "a.gif") == 200).all()


def test_the_two_pictures_of_a_stereo_jpeg_are_read_as_the_first(tmp_path):
    left, right = (Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (200, 10))
    left.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[right])
    assert (read_image(tmp_path / "a.jpg") == 200).all()


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims a size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_460, 12_000, 30_000])
def test_decompression_bombs_are_refused_from_the_header(tmp_path, side):
    assert side * side > MAX_PIXELS
    path = tmp_path / "bomb.png"
    path.write_bytes(png_that_claims(side, side))
    for read in (image_size, read_image):
        with pytest.raises(BadInput, match=r"bomb\.png.*pixels"):
            read(path)


def damaged(kind: str, upright) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(upright).save(buffer, "JPEG")
    whole = buffer.getvalue()
    return {
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"this is no picture\n" * 20,
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n",
        "header only": whole[:20],
        "size claimed": png_that_claims(400, 300),
    }[kind]


@pytest.mark.parametrize("kind", ["truncated", "empty", "text", "postscript", "header only", "size claimed"])
def test_damaged_files_give_one_line_naming_the_file(tmp_path, upright, kind):
    path = tmp_path / "x.jpg"
    path.write_bytes(damaged(kind, upright))
    with pytest.raises(BadInput, match=r"x\.jpg") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.jpg", tmp_path):
        with pytest.raises(BadInput, match=path.name):
            read_image(path)


def test_thirty_two_bit_pictures_are_refused_because_white_is_not_defined(tmp_path):
    Image.fromarray(np.ones((3, 3), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(BadInput, match="no defined white"):
        read_image(tmp_path / "f.tif")


def test_a_photo_reads_its_file_once_and_not_at_all_when_its_work_is_done(tmp_path, upright):
    path = tmp_path / "a.png"
    Image.fromarray(upright).save(path)
    digest = Photo.open(path).load()
    done = Photo.open(path)
    assert done.load(done=digest) == digest
    assert done._pixels is None
    fresh = Photo.open(path)
    fresh.load()
    path.unlink()
    assert np.array_equal(fresh.pixels, upright)
    assert np.array_equal(np.asarray(fresh), upright)


def test_a_photo_from_an_array_needs_rgb_bytes(upright):
    assert Photo.from_array(upright).size == (24, 40)
    with pytest.raises(BadInput, match=r"uint8 \[H, W, 3\]"):
        Photo.from_array(upright.astype(float))


def test_an_orientation_in_xmp_alone_is_not_followed_as_in_other_viewers(tmp_path, upright):
    cv2 = pytest.importorskip("cv2")
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    path = tmp_path / "a.jpg"
    Image.fromarray(upright).save(path, xmp=xmp, quality=100, subsampling=0)
    assert cv2.imread(str(path)).shape == upright.shape
    assert image_size(path) == upright.shape[:2]
    assert read_image(path).shape == upright.shape


@pytest.mark.parametrize("ending", ["jpg", "png"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_is_what_opencv_shows(tmp_path, upright, orientation, ending):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / f"a.{ending}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(upright).save(path, exif=exif)
    assert read_image(path).shape == cv2.imread(str(path)).shape


def test_a_copy_of_a_photos_array_is_a_copy(upright):
    photo = Photo.from_array(upright.copy())
    np.array(photo)[...] = 0
    photo.copy().pixels[...] = 0
    assert np.array_equal(photo.pixels, upright)
