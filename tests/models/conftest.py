"""Fixtures of the models' tests: tiny checkpoints, made once a session, and photos."""

import shutil
from collections.abc import Callable
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from da2k.images import Photo


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny random checkpoint, by its name in tiny.py. Not to be changed: see `own_checkpoint`."""
    pytest.importorskip("transformers")
    # Several threads only wait for each other in networks this small.
    pytest.importorskip("torch").set_num_threads(1)
    spec = spec_from_file_location("tiny_checkpoints", Path(__file__).with_name("tiny.py"))
    assert spec is not None
    assert spec.loader is not None
    tiny = module_from_spec(spec)
    spec.loader.exec_module(tiny)
    root = tmp_path_factory.mktemp("checkpoints")

    @cache
    def folder(name: str) -> Path:
        return tiny.save(name, root / name)

    return folder


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
