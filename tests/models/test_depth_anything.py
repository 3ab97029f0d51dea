"""Depth Anything as its authors run it: their sizes, their pixels, their maps."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from da2k.errors import BadInput, BadModel
from da2k.images import Photo
from da2k.models import depth_anything
from da2k.models.registry import load_model

torch = pytest.importorskip("torch")

SIDES = st.integers(30, 5000)


@given(SIDES, SIDES)
@example(427, 640)
@example(500, 375)
@example(240, 320)
@example(518, 518)
def test_the_shorter_side_becomes_518_and_the_longer_one_the_nearest_multiple_of_14(height: int, width: int) -> None:
    size = depth_anything.network_size((height, width))
    exact = Fraction(518, min(height, width)) * max(height, width)
    assert min(size) == 518
    assert max(size) % 14 == 0
    assert abs(max(size) - exact) <= 7
    assert (size[0] > size[1]) <= (height > width)
    assert size == depth_anything.network_size((width, height))[::-1]


@pytest.mark.parametrize("size", [(427, 640), (375, 500), (240, 320), (640, 427)])
def test_pixels_are_those_of_opencv(size: tuple[int, int]) -> None:
    """The sizes at which the hub's processor takes another network size."""
    cv2 = pytest.importorskip("cv2")
    photo = np.random.default_rng(3).integers(0, 256, (*size, 3), dtype=np.uint8)
    scale = 518 / min(size)
    height, width = (14 * round(side * scale / 14) for side in size)
    resized = cv2.resize(photo / 255.0, (width, height), interpolation=cv2.INTER_CUBIC)
    expected = (resized - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]

    got = depth_anything.network_input([photo], depth_anything.network_size(size))

    assert got.shape == (1, 3, height, width)
    assert got.dtype == torch.float32
    # OpenCV rounds its coefficients to float32; full-contrast noise makes the most of that.
    assert np.abs(got[0].permute(1, 2, 0).numpy() - expected).max() < 3e-4


@pytest.mark.parametrize("size", [(427, 640), (375, 500), (240, 320), (640, 427)])
def test_the_hubs_processor_takes_another_size_there(size: tuple[int, int]) -> None:
    pytest.importorskip("torchvision")
    from transformers import DPTImageProcessor

    processor = DPTImageProcessor(size={"height": 518, "width": 518}, keep_aspect_ratio=True, ensure_multiple_of=14)
    pixels = processor(np.zeros((*size, 3), np.uint8), return_tensors="pt")["pixel_values"]
    assert tuple(pixels.shape[2:]) != depth_anything.network_size(size)


ORIGINAL = {"version": "2", "heads": "3"}


@pytest.mark.parametrize("case", ["640x480", "320x240", "300x450"])
@pytest.mark.parametrize(("weights", "options"), [("hf", {}), ("original_state_dict.pth", ORIGINAL)])
def test_equals_the_authors_code(shared: Path, case: str, weights: str, options: dict[str, str]) -> None:
    reference = shared / "reference" / "depth_anything_v2"
    photo = Photo.open(reference / f"input_{case}.png")
    expected = np.load(reference / f"expected_{case}_depth.npy").astype(np.float64)
    height, width = photo.size
    random = np.random.default_rng(11)
    points = np.stack([random.integers(0, height, 100_000), random.integers(0, width, 100_000)], axis=1)

    (found,) = load_model(f"hf:{reference / weights}", options, "cpu").predict([photo])

    want = expected[points[:, 0], points[:, 1]]
    got = found.read_at(points, photo.size)
    span = np.ptp(expected)
    assert found.size == np.load(reference / f"expected_{case}.npz")["raw"].shape
    assert np.abs(got - want).max() < 0.0066 * span
    gap, got_gap = want[::2] - want[1::2], got[::2] - got[1::2]
    flipped = np.sign(gap) != np.sign(got_gap)
    assert flipped.mean() < 0.0025
    assert not (flipped & (np.abs(gap) > 0.01 * span)).any()


def test_pixels_are_the_authors(shared: Path) -> None:
    reference = shared / "reference" / "depth_anything_v2"
    photo = Photo.open(reference / "input_320x240.png")
    expected = np.load(reference / "expected_320x240.npz")["pixel_values"]
    got = depth_anything.network_input([photo.pixels], depth_anything.network_size(photo.size))
    assert np.abs(got.numpy() - expected).max() < 6e-5


def test_v1_ends_at_the_photos_size_with_unaligned_corners(
    checkpoint: Callable[[str], Path], photos: list[Photo]
) -> None:
    from transformers import AutoModelForDepthEstimation

    folder, photo = checkpoint("depth_anything_v1"), photos[0]
    height, width = photo.size
    network = AutoModelForDepthEstimation.from_pretrained(folder)
    pixels = depth_anything.network_input([photo.pixels], (70, 98))
    with torch.no_grad():
        raw = network(pixel_values=pixels).predicted_depth[0].double().numpy()

    (found,) = load_model(f"hf:{folder}", {"input_size": "70"}, "cpu").predict([photo])

    assert found.size == photo.size
    for row, col in [(0, 0), (0, width - 1), (height - 1, width - 1), (30, 41), (7, 88)]:
        y = np.clip((row + 0.5) / height * raw.shape[0] - 0.5, 0, raw.shape[0] - 1)
        x = np.clip((col + 0.5) / width * raw.shape[1] - 0.5, 0, raw.shape[1] - 1)
        line = np.array([np.interp(x, np.arange(raw.shape[1]), values) for values in raw])
        assert found.values[row, col] == pytest.approx(np.interp(y, np.arange(raw.shape[0]), line), abs=1e-5)


def test_v2_stays_at_network_size_and_reads_as_its_last_resize(
    checkpoint: Callable[[str], Path], photos: list[Photo]
) -> None:
    photo = photos[1]
    (found,) = load_model(f"hf:{checkpoint('depth_anything_v2')}", {"input_size": "70"}, "cpu").predict([photo])
    full = torch.nn.functional.interpolate(
        torch.from_numpy(found.values)[None, None].double(), photo.size, mode="bilinear", align_corners=True
    )[0, 0]
    points = np.argwhere(np.ones(photo.size, bool))
    assert found.size == (98, 70)
    assert np.abs(found.read_at(points, photo.size) - full.numpy().ravel()).max() < 1e-9


def test_the_backbones_taps_tell_the_version(checkpoint: Callable[[str], Path]) -> None:
    def preprocessing(name: str, **options: str) -> str:
        return str(load_model(f"hf:{checkpoint(name)}", options, "cpu").record.preprocessing)

    assert "V1" in preprocessing("depth_anything_v1")
    assert "V2" in preprocessing("depth_anything_v2")
    assert "V2" in preprocessing("depth_anything_metric")
    assert "V2" in preprocessing("depth_anything_v1", version="2")
    assert "V1" in preprocessing("depth_anything_v2", version="1")


def test_a_wrong_input_size_and_an_absurd_photo_are_refused(checkpoint: Callable[[str], Path]) -> None:
    spec = f"hf:{checkpoint('depth_anything_v2')}"
    with pytest.raises(BadModel, match="input_size=100 is not a multiple of the network's patches, 14"):
        load_model(spec, {"input_size": "100"}, "cpu")
    with pytest.raises(BadModel, match="input_size"):
        load_model(spec, {"input_size": "-14"}, "cpu")
    ribbon = Photo.from_array(np.zeros((2, 41, 3), np.uint8))
    with pytest.raises(BadInput, match="2 x 41 pixels"):
        load_model(spec, {"input_size": "70"}, "cpu").predict([ribbon])
