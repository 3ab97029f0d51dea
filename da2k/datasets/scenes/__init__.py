"""Built-in scenes: ray-cast pictures in all eight scenarios of DA-2K whose depth is known exactly.

They need no download and no licence, so everything in da2k can be tried and tested on them. They are no
substitute for photographs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from da2k.datasets.da2k import ANNOTATIONS, write_annotations
from da2k.depth import DepthKind
from da2k.files import write_atomically, write_text
from da2k.pairs import Pair, scenario_of

if TYPE_CHECKING:
    from da2k.datasets.scenes.render import Stage

__all__ = ["Scene", "iterate_scenes", "render_scenes", "write_exact_depth", "write_scenes"]

SKY = 1e6
"""The depth, in metres, that stands for the sky in files, which hold finite numbers only."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture.

    Attributes:
        image: its path in a benchmark, such as "images/indoor/living-room.png".
        pixels: RGB, uint8 [H, W, 3].
        depth: exact depth at the pixels' centres in metres, float64 [H, W]: z, the share of the distance along the
            camera's optical axis; larger = farther; inf where there is only sky. Of a mirror, glass or water it is
            the depth of the surface, not of what is seen in it.
        pairs: labelled pairs. The farther point is at least 1.15 times as far, along the axis and along the ray.
    """

    image: str
    pixels: NDArray[np.uint8]
    depth: NDArray[np.float64]
    pairs: tuple[Pair, ...]

    @property
    def scenario(self) -> str:
        """One of the eight of `da2k.pairs.SCENARIOS`."""
        return scenario_of(self.image)

    @property
    def name(self) -> str:
        """The scene's name, such as "living-room"."""
        return PurePosixPath(self.image).stem


def iterate_scenes(seed: int = 0) -> Iterator[Scene]:
    """The sixteen scenes, two a scenario, each made when it is asked for. A seed always gives the same scenes."""
    from da2k.datasets.scenes.pairs import draw_pairs
    from da2k.datasets.scenes.render import exact, picture

    for stage, film, chance in _stages(seed):
        found = exact(stage)
        image = f"images/{stage.scenario}/{stage.name}.png"
        drawn = draw_pairs(found.depth, found.distance, found.solid, chance)
        pairs = tuple(Pair(image, closer, farther, 1) for closer, farther in drawn)
        yield Scene(image, picture(stage, film), found.depth, pairs)


def render_scenes(seed: int = 0) -> list[Scene]:
    """The sixteen scenes, two a scenario, in the order of `da2k.pairs.SCENARIOS`; see `iterate_scenes`."""
    return list(iterate_scenes(seed))


def write_scenes(folder: str | Path, seed: int = 0) -> Path:
    """Write the scenes as a benchmark in the official format: `annotations.json` beside `images/<scenario>/`.

    As in the official release, `closer_point` is always "point1". The same seed gives the same annotations and
    pixels.

    Returns:
        The folder.

    Raises:
        BadInput: the folder cannot be written to.
    """
    root = Path(folder)
    pairs: list[Pair] = []
    for scene in iterate_scenes(seed):
        image = PillowImage.fromarray(scene.pixels)
        write_atomically(root / scene.image, partial(image.save, format="PNG"))
        pairs += scene.pairs
    write_annotations(root / ANNOTATIONS, tuple(pairs))
    return root


def write_exact_depth(folder: str | Path, seed: int = 0) -> Path:
    """Write the exact depth as a predictions folder, float32; the sky is at `SKY` metres.

    Returns:
        The folder.

    Raises:
        BadInput: the folder cannot be written to.
    """
    from da2k.datasets.scenes.render import exact

    root = Path(folder)
    write_text(root / "predictions.yaml", f"model: exact depth\nkind: {DepthKind.METRIC_DEPTH}\n")
    for stage, _, _ in _stages(seed):
        depth = np.minimum(exact(stage).depth, SKY).astype(np.float32)
        path = root / "images" / stage.scenario / f"{stage.name}.npy"
        write_atomically(path, partial(np.save, arr=depth, allow_pickle=False))
    return root


def _stages(seed: int) -> Iterator[tuple["Stage", np.random.Generator, np.random.Generator]]:
    """Each stage, with the generators for its film and for its pairs."""
    from da2k.datasets.scenes.stages import STAGES

    for number, make in enumerate(STAGES):
        setting, film, chance = (np.random.default_rng([seed, number, part]) for part in range(3))
        yield make(setting), film, chance
