"""Fixtures of the models' tests: tiny checkpoints, made once a session, and photos."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from da2k.images import Photo


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny random checkpoint, made once. Not to be changed: see `own_checkpoint`.

    By name: a family of tiny.py, and with the ending ".pth" the file that Depth Anything's authors would publish of
    it; "marigold", "marigold_disparity", "marigold_lcm"; "geowizard", which holds both versions.
    """
    pytest.importorskip("transformers")
    # Several threads only wait for each other in networks this small.
    pytest.importorskip("torch").set_num_threads(1)
    root = tmp_path_factory.mktemp("checkpoints")

    def builder(kind: str) -> Callable[..., Path]:
        save: Callable[..., Path] = run_path(str(Path(__file__).with_name(f"tiny{kind}.py")))["save"]
        return save

    @cache
    def made(name: str) -> Path:
        if name.endswith(".pth"):
            return builder("_pth")(made(name.removesuffix(".pth")), root / name)
        if name == "geowizard":
            return builder("_geowizard")(root / name)
        if name.startswith("marigold"):
            changes = {
                "marigold_disparity": {"prediction_type": "disparity"},
                "marigold_lcm": {"scheduler": "LCMScheduler"},
            }
            return builder("_marigold")(root / name, **changes.get(name, {}))
        return builder("")(name, root / name)

    return made


@pytest.fixture
def own_checkpoint(checkpoint: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a tiny checkpoint that the test may change."""
    return lambda name: Path(shutil.copytree(checkpoint(name), tmp_path / name))


@pytest.fixture(scope="session")
def photos() -> list[Photo]:
    """Five photos of three sizes, landscape, portrait and square, none of a size that a network likes."""
    random = np.random.default_rng(7)
    sizes = [(61, 90), (90, 61), (61, 90), (77, 77), (61, 90)]

    def photo(number: int, height: int, width: int) -> Photo:
        rows, cols = np.mgrid[:height, :width]
        waves = [np.sin(cols / (5 + number) + channel) * np.cos(rows / 9 - channel * number) for channel in range(3)]
        pixels = 128 + 90 * np.stack(waves, axis=-1) + random.normal(0, 12, (height, width, 3))
        return Photo.from_array(pixels.clip(0, 255).astype(np.uint8), f"images/indoor/{number}.png")

    return [photo(number, *size) for number, size in enumerate(sizes)]
