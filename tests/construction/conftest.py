"""Workspaces made straight through the API."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from da2k.construction.settings import FILE_NAME, Settings, write_settings
from da2k.construction.workspace import Workspace, create_workspace

BASELINES = ("baseline:row", "baseline:centre", "baseline:haze", "baseline:sharpness")


@pytest.fixture
def make_workspace(tmp_path: Path) -> Iterator[Callable[..., Workspace]]:
    """`make_workspace({"images/indoor/a.png": (48, 64)}, **settings)` gives an open workspace with random photos."""
    with ExitStack() as stack:

        def make(images: dict[str, tuple[int, int]], name: str = "ws", **settings: object) -> Workspace:
            folder = tmp_path / name
            given = {"experts": [{"model": model} for model in BASELINES], **settings}
            folder.mkdir()
            chosen = Settings.model_validate(given)
            write_settings(folder / FILE_NAME, chosen)
            workspace = stack.enter_context(create_workspace(folder, chosen))
            for image, (height, width) in images.items():
                seed = int.from_bytes(image.encode()[-6:])
                path = folder / image
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
                Image.fromarray(pixels).save(path)
                register(workspace, image, (height, width))
            return workspace

        yield make


def register(workspace: Workspace, image: str, size: tuple[int, int]) -> None:
    """Enter a photo's present bytes, as intake does."""
    path = workspace.folder / image
    stat = path.stat()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    workspace.db.run(
        "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(image, sha256, *size, stat.st_size, stat.st_mtime_ns, "0" * 16),
    )
