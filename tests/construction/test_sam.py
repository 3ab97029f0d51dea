"""SAM's key points against the real `SamAutomaticMaskGenerator`, and the weights that are refused."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import floor
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from da2k.construction.keypoints import keypoint_keys, place_keypoints, read_keypoints
from da2k.construction.points import KeyPoints
from da2k.construction.sam import POINTS_AT_ONCE, SamSampler, prompts_in_photo, weights_digest
from da2k.construction.sam_weights import load_sam, weights_file
from da2k.construction.settings import SamSettings
from da2k.construction.workspace import Workspace
from da2k.errors import BadInput, BadModel, MissingExtra
from da2k.images import Photo

torch = pytest.importorskip("torch")
pytest.importorskip("segment_anything")

tiny_sam = run_path(str(Path(__file__).with_name("tiny_sam.py")))["tiny_sam"]

SIZE = 128
"""The longer side of a picture at the small SAM's own resolution."""
SETTINGS = SamSettings(points_per_side=16)
LAX = {"pred_iou_thresh": 0.85, "stability_score_thresh": 0.8, "box_nms_thresh": 1.0}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks as small as these are slower with several, most of all beside other work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def sam() -> Any:
    return tiny_sam(SIZE, seed=0)


def photo_of(height: int, width: int, seed: int = 0) -> Photo:
    """A smooth random photograph."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    return Photo.from_array(np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)))


def of_the_package(
    sam: Any, photo: Photo, settings: SamSettings, at_once: int = POINTS_AT_ONCE
) -> list[dict[str, Any]]:
    """The masks that the package finds in the photo at SAM's resolution, those without a pixel left out."""
    from segment_anything import SamAutomaticMaskGenerator

    height, width = photo.size
    factor = sam.image_encoder.img_size / max(photo.size)
    small = Image.fromarray(photo.pixels).resize(
        (floor(width * factor + 0.5), floor(height * factor + 0.5)), Image.Resampling.BILINEAR
    )
    thresholds = settings.model_dump(exclude={"model", "checkpoint"})
    generator = SamAutomaticMaskGenerator(sam, **thresholds, points_per_batch=at_once)
    return [mask for mask in generator.generate(np.asarray(small)) if mask["area"] > 0]


def mapped_back(masks: list[dict[str, Any]], photo: Photo, per_side: int) -> dict[tuple[int, int], tuple[float, ...]]:
    """The package's masks as key points of the photo: (row, col) -> (predicted IoU, area, stability)."""
    found: dict[tuple[int, int], tuple[float, ...]] = {}
    for mask in masks:
        size = mask["segmentation"].shape
        place = []
        for coordinate, side, photo_side in zip(reversed(mask["point_coords"][0]), size, photo.size, strict=True):
            # The package computes in floats; the grid's exact fraction is the nearest one with this denominator.
            fraction = Fraction(coordinate / side).limit_denominator(2 * per_side)
            assert abs(float(fraction) - coordinate / side) < 1e-12
            place.append(floor(fraction * photo_side))
        scores = (mask["predicted_iou"], mask["area"] / mask["segmentation"].size, mask["stability_score"])
        point = (place[0], place[1])
        found[point] = max(found.get(point, scores), scores)
    return found


def as_dict(found: KeyPoints) -> dict[tuple[int, int], tuple[float, ...]]:
    scores = zip(found.predicted_iou.tolist(), found.area.tolist(), found.stability.tolist(), strict=True)
    return dict(zip(map(tuple, found.points.tolist()), scores, strict=True))


CASES = {
    "larger, landscape": (300, 400),
    "larger, portrait": (411, 251),
    "SAM's own size": (128, 128),
    "SAM's own longer side": (97, 128),
    "smaller": (37, 50),
    "odd": (333, 129),
    "narrow": (40, 1000),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_points_and_scores_are_those_of_the_package(name: str, seed: int, sam: Any) -> None:
    photo = photo_of(*CASES[name], seed)
    expected = mapped_back(of_the_package(sam, photo, SETTINGS), photo, 16)
    assert as_dict(SamSampler(sam, SETTINGS).sample(photo)) == expected
    assert len(expected) >= (1 if name == "narrow" else 3)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_with_the_batches_that_the_package_makes_by_itself(seed: int) -> None:
    """64 prompts at once: the same points; of scores the last bits may differ."""
    sam, photo = tiny_sam(SIZE, seed), photo_of(300, 400, seed)
    expected = mapped_back(of_the_package(sam, photo, SETTINGS, at_once=64), photo, 16)
    found = as_dict(SamSampler(sam, SETTINGS).sample(photo))
    assert found.keys() == expected.keys()
    np.testing.assert_allclose([found[p] for p in sorted(found)], [expected[p] for p in sorted(found)], rtol=1e-4)
    assert as_dict(SamSampler(sam, SETTINGS, points_at_once=64).sample(photo)) == expected


@pytest.mark.parametrize(
    "changes",
    [
        LAX,
        {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 0.95},
        {"pred_iou_thresh": 0.0, "box_nms_thresh": 1.0},
        {"stability_score_thresh": 0.0, "box_nms_thresh": 0.3},
        {"pred_iou_thresh": 1.0},
        {"points_per_side": 1, **LAX, "pred_iou_thresh": 0.0},
        {"points_per_side": 23, "box_nms_thresh": 0.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", [0, 1])
def test_with_any_thresholds(changes: dict[str, float], seed: int) -> None:
    sam, settings = tiny_sam(SIZE, seed), SETTINGS.model_copy(update=changes)
    photo = photo_of(200, 300, seed)
    expected = mapped_back(of_the_package(sam, photo, settings), photo, settings.points_per_side)
    assert as_dict(SamSampler(sam, settings).sample(photo)) == expected


def test_the_best_mask_of_a_prompt_speaks_for_its_point(sam: Any) -> None:
    settings, photo = SETTINGS.model_copy(update=LAX), photo_of(300, 400)
    masks = of_the_package(sam, photo, settings)
    found = SamSampler(sam, settings).sample(photo)
    assert len(found.points) < len(masks), "no prompt has two masks here, so nothing is tested"
    points = list(map(tuple, found.points.tolist()))
    assert points == sorted(set(points))
    assert as_dict(found) == mapped_back(masks, photo, 16)


def test_masks_of_equal_predicted_iou(sam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ties in the suppression are the package's; of a point's equal masks the largest is kept."""
    decode = sam.mask_decoder.forward

    def all_alike(**given: Any) -> tuple[Any, Any]:
        logits, iou = decode(**given)
        return logits, torch.full_like(iou, 0.9)

    monkeypatch.setattr(sam.mask_decoder, "forward", all_alike)
    for overlap in (0.7, 1.0):
        settings, photo = SETTINGS.model_copy(update={**LAX, "box_nms_thresh": overlap}), photo_of(300, 400)
        masks = of_the_package(sam, photo, settings)
        found = SamSampler(sam, settings).sample(photo)
        assert as_dict(found) == mapped_back(masks, photo, 16)
        assert set(found.predicted_iou) == {np.float32(0.9)}
    assert len(found.points) < len(masks)


def test_at_the_published_resolution() -> None:
    """1024 pixels and 256 x 256 masks, as the published networks have them."""
    sam, settings = tiny_sam(1024, width=16), SamSettings(points_per_side=8)
    photo = photo_of(700, 1300)
    expected = mapped_back(of_the_package(sam, photo, settings), photo, 8)
    assert as_dict(SamSampler(sam, settings).sample(photo)) == expected
    assert expected


def test_the_same_photo_gives_the_same_points(sam: Any) -> None:
    first, second = (SamSampler(sam, SETTINGS).sample(photo_of(300, 400)) for _ in range(2))
    assert as_dict(first) == as_dict(second)
    assert first.points.dtype == np.int32
    assert all(v.dtype == np.float64 for v in (first.area, first.predicted_iou, first.stability))


@given(st.integers(1, 64), st.tuples(st.integers(1, 9000), st.integers(1, 9000)))
def test_prompts_are_mapped_exactly(per_side: int, size: tuple[int, int]) -> None:
    places = prompts_in_photo(per_side, size)
    expected = [
        tuple(floor(Fraction(2 * index + 1, 2 * per_side) * side) for index, side in zip(at, size, strict=True))
        for at in np.ndindex(per_side, per_side)
    ]
    assert list(map(tuple, places.tolist())) == expected
    assert (places >= 0).all()
    assert (places < size).all()
    if min(size) >= per_side:
        assert len(set(expected)) == per_side**2


@contextmanager
def largest_tensor() -> Iterator[list[int]]:
    """The values of the largest tensor that any operation makes within the block."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    seen = [0]

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            seen[0] = max([seen[0], *(leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor))])
            return out

    with Watch():
        yield seen


def test_no_tensor_grows_with_the_photo(sam: Any) -> None:
    from segment_anything import SamAutomaticMaskGenerator

    # With no threshold on predicted IoU all masks are enlarged, whatever the picture.
    sampler = SamSampler(sam, SETTINGS.model_copy(update={"pred_iou_thresh": 0.0}))
    largest = []
    for size in ((96, 128), (1920, 2560)):
        with largest_tensor() as seen:
            sampler.sample(photo_of(*size))
        largest.append(seen[0])
    assert largest[0] == largest[1] < 1920 * 2560
    with largest_tensor() as seen:
        SamAutomaticMaskGenerator(sam, points_per_side=2).generate(photo_of(1920, 2560).pixels)
    assert seen[0] > 1920 * 2560, "the measure does not see the package's masks"


def test_a_photo_of_which_nothing_would_be_left_is_refused(sam: Any) -> None:
    with pytest.raises(BadInput, match="array: 1000 x 2 pixels are too narrow for SAM"):
        SamSampler(sam, SETTINGS).sample(photo_of(2, 1000))


def test_the_identity_names_weights_and_settings() -> None:
    def identity(seed: int = 0, **changes: object) -> str:
        return SamSampler(tiny_sam(64, seed), SETTINGS.model_copy(update=changes)).identity

    assert identity() == identity() == identity(model="vit_b", checkpoint="elsewhere.pth")
    others = [identity(1), identity(points_per_side=8), identity(pred_iou_thresh=0.5), identity(box_nms_thresh=0.5)]
    assert len({identity(), *others}) == 5
    darker = tiny_sam(64)
    darker.pixel_mean += 1
    assert weights_digest(darker) != weights_digest(tiny_sam(64))


PHOTOS = {"images/indoor/a.png": (96, 128), "images/outdoor/b.png": (150, 100), "images/object/c.png": (96, 128)}


def test_a_ready_sam_places_the_key_points_of_a_workspace(make_workspace: Callable[..., Workspace], sam: Any) -> None:
    workspace = make_workspace(PHOTOS)
    lax = SamSampler(sam, SETTINGS.model_copy(update=LAX))
    assert place_keypoints(workspace, lax).made == 2
    for image in ("images/indoor/a.png", "images/outdoor/b.png"):
        assert as_dict(read_keypoints(workspace, image)) == as_dict(lax.sample(workspace.photo(image)))
        assert len(read_keypoints(workspace, image).points)
    assert place_keypoints(workspace, lax).kept == 2
    assert place_keypoints(workspace, SamSampler(sam, SETTINGS)).remade == 2


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a tiny SAM's weights, changed by `edit`; the package then builds vit_b as such a tiny one."""
    from segment_anything import sam_model_registry

    monkeypatch.setitem(sam_model_registry, "vit_b", lambda: tiny_sam(SIZE, seed=99))

    def save(edit: Callable[[dict[str, Any]], object] = lambda weights: None, name: str = "sam.pth") -> Path:
        weights = tiny_sam(SIZE, seed=0).state_dict()
        edit(weights)
        torch.save(weights, tmp_path / name)
        return tmp_path / name

    return save


def test_a_workspace_names_its_weights(
    saved: Callable[..., Path], sam: Any, make_workspace: Callable[..., Workspace]
) -> None:
    file = saved()
    chosen = {"model": "vit_b", "checkpoint": str(file), "points_per_side": 16, **LAX}
    workspace = make_workspace(PHOTOS, keypoints={"method": "sam", "sam": chosen})
    assert place_keypoints(workspace, device="cpu").made == 2
    photo = workspace.photo("images/indoor/a.png")
    assert as_dict(read_keypoints(workspace, photo.name)) == as_dict(
        SamSampler(sam, SETTINGS.model_copy(update=LAX)).sample(photo)
    )
    assert place_keypoints(workspace, device="cpu").kept == 2
    saved(lambda weights: weights["image_encoder.neck.0.weight"].mul_(1.01))
    assert place_keypoints(workspace, device="cpu").remade == 2


def test_the_weights_are_those_that_were_saved(saved: Callable[..., Path], sam: Any) -> None:
    loaded = load_sam("vit_b", saved(), "cpu")
    assert weights_digest(loaded) == weights_digest(sam)
    assert not loaded.training


class Canary:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("wrapped", [False, True], ids=["plain pickle", "torch.save"])
def test_pickled_code_is_never_run(saved: Callable[..., Path], tmp_path: Path, wrapped: bool) -> None:
    trap, file = tmp_path / "sprung", tmp_path / "evil.pth"
    content = {"image_encoder.pos_embed": Canary(trap)}
    if wrapped:
        torch.save(content, file)
    else:
        file.write_bytes(pickle.dumps(content))
    with pytest.raises(BadModel, match=r"evil\.pth: holds more than weights") as caught:
        load_sam("vit_b", file, "cpu")
    assert "\n" not in str(caught.value)
    assert not trap.exists()
    pickle.loads(pickle.dumps(Canary(trap)))  # noqa: S301
    assert trap.exists(), "the trap itself does not work"


def add(name: str, shape: tuple[int, ...]) -> Callable[[dict[str, Any]], object]:
    return lambda weights: weights.update({name: torch.zeros(shape)})


WRONG: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "missing": (lambda w: w.pop("mask_decoder.iou_token.weight"), "1 missing, such as mask_decoder.iou_token.weight"),
    "unknown": (add("extra.weight", (2,)), r"1 unknown, such as extra\.weight"),
    "shape": (add("mask_decoder.iou_token.weight", (1, 7)), "1 of another shape, such as mask_decoder.iou_token"),
    "other size": (
        add("image_encoder.patch_embed.proj.weight", (1024, 3, 16, 16)),
        r"seem to be of vit_l: set keypoints\.sam\.model\): 1 of another shape",
    ),
    "no tensor": (lambda w: w.update(epoch=3), "holds no state dict"),
    "nested": (lambda w: w.update(model=dict(w)), "holds no state dict"),
}


@pytest.mark.parametrize("name", WRONG)
def test_other_weights_are_refused_on_one_line(name: str, saved: Callable[..., Path]) -> None:
    edit, reason = WRONG[name]
    with pytest.raises(BadModel, match=r"sam\.pth: ") as caught:
        load_sam("vit_b", saved(edit), "cpu")
    assert "\n" not in str(caught.value)
    caught.match(reason)


@pytest.mark.parametrize("content", ["text", "empty", "cut", "folder"])
def test_files_that_are_no_checkpoints(content: str, saved: Callable[..., Path], tmp_path: Path) -> None:
    file = tmp_path / "file.pth"
    if content == "folder":
        file.mkdir()
    else:
        whole = saved().read_bytes()
        file.write_bytes({"text": b"not weights", "empty": b"", "cut": whole[: len(whole) // 2]}[content])
    with pytest.raises(BadModel, match=r"file\.pth: ") as caught:
        load_sam("vit_b", file, "cpu")
    assert "\n" not in str(caught.value)


def test_a_device_that_is_not_there(saved: Callable[..., Path]) -> None:
    with pytest.raises(BadModel, match="cuda:77"):
        load_sam("vit_b", saved(), "cuda:77")


def test_published_weights_are_fetched_and_checked(
    make_workspace: Callable[..., Workspace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    workspace = make_workspace(PHOTOS, keypoints={"method": "sam", "sam": {"model": "vit_b"}})
    keys = keypoint_keys(workspace)
    with pytest.raises(BadInput, match=r"sam_vit_b_01ec64\.pth: .* run: da2k data fetch sam-vit-b"):
        place_keypoints(workspace)
    file, published = weights_file(workspace.settings.keypoints.sam)
    assert published is not None
    assert len(published) == 64
    file.parent.mkdir(parents=True)
    file.write_bytes(b"something else")
    with pytest.raises(BadModel, match=f"not the published {published}; run: da2k data fetch sam-vit-b --replace"):
        place_keypoints(workspace)
    file.unlink()
    assert keypoint_keys(workspace) == keys, "what was made from published weights stays when they are removed"


def test_a_named_checkpoint_that_is_not_there(make_workspace: Callable[..., Workspace], tmp_path: Path) -> None:
    chosen = {"method": "sam", "sam": {"checkpoint": str(tmp_path / "nothing.pth")}}
    with pytest.raises(BadInput, match=r"nothing\.pth: No such file"):
        place_keypoints(make_workspace(PHOTOS, keypoints=chosen))


def test_the_package_is_not_installed(sam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segment_anything", None)
    with pytest.raises(MissingExtra, match=r"segment-anything is not installed; run: pip install 'da2k\[models\]'"):
        SamSampler(sam, SETTINGS)


def test_a_torchvision_that_does_not_fit_torch(tmp_path: Path) -> None:
    broken = tmp_path / "torchvision"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    code = (
        "from pathlib import Path; from da2k.construction.sam_weights import load_sam\n"
        "from da2k.errors import BadModel\n"
        "try: load_sam('vit_b', Path('x.pth'))\nexcept BadModel as e: print(e)"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}
    )
    assert done.returncode == 0, done.stderr
    assert "torchvision::nms does not exist" in done.stdout
    assert "built for the installed torch" in done.stdout
    assert done.stdout.count("\n") == 1


def test_sam_is_imported_only_when_it_is_used() -> None:
    code = "import sys, da2k.construction.keypoints, da2k.construction.sam; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(eval(done.stdout))  # noqa: S307
    assert not loaded & {"torch", "torchvision", "segment_anything"}
