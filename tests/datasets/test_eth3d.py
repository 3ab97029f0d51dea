"""ETH3D: headerless float32 for the distorted images, in the sensor's frame; little memory for large frames."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from da2k.datasets.eth3d import DISTORTED
from da2k.datasets.frame_formats import OtherData
from da2k.datasets.open_frames import open_frames
from da2k.errors import BadInput
from tests.datasets.native_formats import make_samples, rules_for, write_eth3d

RULES = rules_for("eth3d")


@pytest.fixture
def frame(tmp_path):
    listed = write_eth3d(tmp_path, make_samples(1, (5, 7)))
    return open_frames("eth3d", RULES, tmp_path, own_list=listed).frames[0]


def as_listed(root):
    """The layout of the tar files of which the list is."""
    (root / "rgb/office").mkdir(parents=True)
    (root / "depth/office_dslr_depth/office").mkdir(parents=True)
    (root / "office/images").rename(root / "rgb/office/images")
    (root / "office/ground_truth_depth").rename(root / "depth/office_dslr_depth/office/ground_truth_depth")


def archive_by_archive(root):
    """Each .7z unpacked into a folder of its own name."""
    for archive, part in (("office_dslr_jpg", "images"), ("office_dslr_depth", "ground_truth_depth")):
        (root / archive / "office").mkdir(parents=True)
        (root / "office" / part).rename(root / archive / "office" / part)


@pytest.mark.parametrize("arrange", [lambda root: None, as_listed, archive_by_archive])
def test_layouts_are_found_as_archives_unpack(arrange, tmp_path):
    samples = make_samples()
    listed = write_eth3d(tmp_path, samples)
    arrange(tmp_path)
    frames = open_frames("eth3d", RULES, tmp_path, own_list=listed).frames
    for frame, sample in zip(frames, samples, strict=True):
        truth = frame.read_truth()
        np.testing.assert_array_equal(truth.valid, sample.valid)
        np.testing.assert_array_equal(truth.depth[truth.valid], sample.depth[sample.valid])


def test_every_published_row_has_the_archives_path_among_its_places(shared):
    for line in (shared / "data/splits/eth3d.txt").read_text().splitlines():
        image, truth = line.split()
        scene, name = image.split("/")[1], image.rpartition("/")[2]
        images, truths = DISTORTED.places((image, truth))
        assert image in images
        assert truth in truths
        assert f"{scene}/images/dslr_images/{name}" in images
        assert f"{scene}/ground_truth_depth/dslr_images/{name}" in truths


def test_infinite_zero_negative_and_nan_are_not_measured(frame):
    depth = np.full((5, 7), 2, "<f4")
    depth[1, :5] = np.inf, -np.inf, 0, -3, np.nan
    depth.tofile(frame.files[1])
    truth = frame.read_truth()
    assert not truth.valid[1, :5].any()
    assert truth.valid.sum() == 30


def test_an_undistorted_image_is_refused_by_its_size(frame, tmp_path):
    Image.new("RGB", (8, 6)).save(frame.files[0], "JPEG")
    with pytest.raises(
        OtherData, match=r"has 140 bytes, and its image 00000.JPG of 6 x 8 pixels needs 192.*undistorted"
    ):
        frame.read_truth()
    with pytest.raises(OtherData, match="undistorted"):
        open_frames("eth3d", RULES, tmp_path, own_list=tmp_path / "eth3d_list.txt")


def test_an_image_is_not_turned_by_its_exif_for_its_ground_truth_is_not(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (sample,) = samples = make_samples(1, (16, 24))
    flat = sample._replace(rgb=np.repeat(np.arange(16, dtype=np.uint8)[:, None, None] * 15, 24, 1).repeat(3, 2))
    listed = write_eth3d(tmp_path, [flat], jpeg=True, exif=exif)
    (frame,) = open_frames("eth3d", RULES, tmp_path, own_list=listed).frames
    with Image.open(frame.files[0]) as stored:
        assert stored.getexif()[0x0112] == 6, "a viewer would turn it"
    photo, truth = frame.open_photo(), frame.read_truth()
    assert photo.size == truth.depth.shape == (16, 24)
    assert photo.name == frame.name
    assert np.abs(photo.pixels.astype(int) - flat.rgb).max() < 8
    np.testing.assert_array_equal(truth.valid, samples[0].valid)


@pytest.mark.parametrize("column", [0, 1])
def test_a_list_of_undistorted_images_is_refused(column, tmp_path):
    listed = write_eth3d(tmp_path, make_samples(2))
    rows = [line.split() for line in listed.read_text().splitlines()]
    for row in rows:
        row[column] = row[column].replace("dslr_images", "dslr_images_undistorted")
    listed.write_text("".join(" ".join(row) + "\n" for row in rows))
    folder = tmp_path / "office" / ("images", "ground_truth_depth")[column]
    (folder / "dslr_images").rename(folder / "dslr_images_undistorted")
    with pytest.raises(OtherData, match="is an undistorted image"):
        open_frames("eth3d", RULES, tmp_path, own_list=listed)


@pytest.mark.parametrize("change", [lambda data: data[:-4], lambda data: data + b"\0\0\0\0", lambda data: b""])
def test_ground_truth_of_other_bytes_is_one_line(change, frame):
    frame.files[1].write_bytes(change(frame.files[1].read_bytes()))
    with pytest.raises(BadInput, match=r"has \d+ bytes, and its image .* needs 140") as caught:
        frame.read_truth()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("which", [0, 1])
def test_a_missing_file_is_bad_input(which, frame):
    frame.files[which].unlink()
    with pytest.raises(BadInput, match="No such file"):
        frame.read_truth()


def test_a_damaged_image_is_bad_input(frame):
    frame.files[0].write_bytes(b"JPEG?")
    with pytest.raises(BadInput, match="not an image"):
        frame.open_photo()


def test_a_frame_of_full_size_takes_depth_and_validity_and_little_more(frame):
    height, width = 4032, 6048
    Image.new("L", (width, height)).save(frame.files[0], "JPEG")
    depth = np.memmap(frame.files[1], "<f4", "w+", shape=(height, width))
    depth[:] = np.inf
    depth[::7, 3::5] = np.arange(1, height // 7 + 1, dtype="<f4")[:, None]
    depth.flush()
    tracemalloc.start()
    try:
        truth = frame.read_truth()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        frame.files[1].unlink()  # 97 MB, and pytest keeps folders
    assert truth.valid.sum() == (height // 7) * len(range(3, width, 5))
    assert truth.depth[7 * 100, 8] == 101
    pixels = height * width
    assert peak > 5 * pixels, "numpy's memory is traced"
    assert peak < 5 * pixels + (8 << 20)
