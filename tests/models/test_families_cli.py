"""`da2k evaluate` on a tiny random checkpoint of every adapter family, and on what is none."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from da2k.cli import main
from da2k.depth import DepthKind
from da2k.images import Photo
from da2k.results import Result, read_result

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("diffusers")


@dataclass(frozen=True)
class Family:
    """One kind of checkpoint.

    Attributes:
        checkpoint: its name for the fixture `checkpoint`.
        kind: what its maps mean.
        prefix: of the model string.
        options: `--model-option`.
        zoo: a zoo name of this family.
        seed: what the result has to say of it.
    """

    checkpoint: str
    kind: str
    prefix: str = "hf"
    options: dict[str, str] = field(default_factory=dict)
    zoo: str | None = None
    seed: int | None = None

    def words(self, target: Path) -> list[str]:
        return [f"{self.prefix}:{target}", *options(**self.options)]


def options(**given: object) -> list[str]:
    return [word for key, value in given.items() for word in ("--model-option", f"{key}={value}")]


SMALL = {"input_size": "70"}
ORIGINAL = {**SMALL, "heads": "2"}
TOLD = {"kind": "affine_disparity"}
GEOWIZARD = {"steps": "2", "processing_res": "64", "seed": "3"}
FAMILIES = {
    "Depth Anything V1": Family("depth_anything_v1", "affine_disparity", options=SMALL, zoo="depth-anything-small"),
    "Depth Anything V2": Family("depth_anything_v2", "affine_disparity", options=SMALL, zoo="depth-anything-v2-small"),
    "Depth Anything V2 metric": Family(
        "depth_anything_metric", "metric_depth", options=SMALL, zoo="depth-anything-v2-metric-indoor-small"
    ),
    "Depth Anything V1 .pth": Family(
        "depth_anything_v1.pth", "affine_disparity", options={**ORIGINAL, "version": "1"}, zoo="depth-anything-base"
    ),
    "Depth Anything V2 .pth": Family(
        "depth_anything_metric.pth",
        "affine_disparity",
        options={**ORIGINAL, "version": "2"},
        zoo="depth-anything-v2-base",
    ),
    "Depth Anything V2 metric .pth": Family(
        "depth_anything_metric.pth",
        "metric_depth",
        options={**ORIGINAL, "version": "2", "max_depth": "20"},
        zoo="depth-anything-v2-metric-indoor-base",
    ),
    "Prompt Depth Anything": Family("prompt_depth_anything", "affine_disparity", options=TOLD),
    "DPT": Family("dpt", "affine_disparity", options=TOLD, zoo="dpt-large"),
    "DPT BEiT": Family("dpt_beit", "affine_disparity", options=TOLD, zoo="midas-v3.1-beit-large-512"),
    "DPT hybrid": Family("dpt_hybrid", "affine_disparity", options=TOLD, zoo="dpt-hybrid-midas"),
    "ZoeDepth": Family("zoedepth", "metric_depth", zoo="zoedepth-nyu"),
    "ZoeDepth of two heads": Family("zoedepth_two_heads", "metric_depth", zoo="zoedepth-nyu-kitti"),
    "Depth Pro": Family("depth_pro", "metric_depth", zoo="depth-pro"),
    "Depth Pro without field of view": Family("depth_pro_without_field_of_view", "scale_invariant_depth"),
    "GLPN": Family("glpn", "metric_depth", zoo="glpn-kitti"),
    "CHMv2": Family("chmv2", "affine_disparity", options=TOLD),
    "TIPSv2": Family("tipsv2_dpt", "affine_disparity", options=TOLD),
    "Marigold": Family("marigold", "affine_depth", "marigold", zoo="marigold-v1-1", seed=0),
    "Marigold disparity": Family("marigold_disparity", "affine_disparity", "marigold", {"seed": "7"}, seed=7),
    "Marigold LCM": Family("marigold_lcm", "affine_depth", "marigold", {"steps": "1"}, "marigold-lcm", 0),
    "GeoWizard v1": Family("geowizard", "affine_depth", "geowizard", {**GEOWIZARD, "version": "1"}, "geowizard-v1", 3),
    "GeoWizard v2": Family("geowizard", "affine_depth", "geowizard", {**GEOWIZARD, "version": "2"}, "geowizard-v2", 3),
}
IN_A_PROCESS = ("Depth Anything V2", "Marigold", "GeoWizard v1")
"""One of each adapter; starting Python with torch takes longer than all that is run in it."""


class Done(NamedTuple):
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    def result(self, file: Path) -> Result:
        """The result of an evaluation that went well."""
        assert self.code == 0, self.err
        # A tiny random network is warned of as another model than that of its zoo name, or as often wrong; and where
        # a machine is slow, progress is told.
        told = re.compile(r"warning: .*|.*: \d+/\d+, .*")
        assert not [line for line in self.err.splitlines() if not told.fullmatch(line)]
        return read_result(file)

    def error(self) -> str:
        """The one line of an error, which is all that was printed."""
        assert (self.code, self.out) == (1, "")
        assert self.err.startswith("error: ")
        assert self.err.count("\n") == 1
        return self.err


Run = Callable[..., Done]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs `da2k …` in an empty folder, with no hub to talk to and empty caches."""
    from huggingface_hub import constants

    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["da2k", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        assert isinstance(left.value.code, int)
        return Done(left.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def benchmark(make_benchmark: Callable[..., Path], photos: list[Photo]) -> Path:
    """Five photos of one size, so that they can be one batch, with three pairs each."""
    root = make_benchmark(images=5)
    files = sorted(root.rglob("*.png"))
    height, width = (max(np.asarray(Image.open(file)).shape[axis] for file in files) for axis in (0, 1))
    for file, photo in zip(files, photos, strict=True):
        # Noise, which make_benchmark paints, leaves some of the random networks without an answer.
        tiled = np.tile(photo.pixels, (2, 2, 1))
        Image.fromarray(tiled[:height, :width]).save(file)
    return root


def evaluate(command: Run, benchmark: Path, name: str, *words: object) -> tuple[Result, pd.DataFrame]:
    """The result and the rows of `da2k evaluate`; the result's file is called NAME."""
    out = Path(f"{name}.json")
    result = command("evaluate", *words, "--benchmark", benchmark, "--device", "cpu", "--out", out).result(out)
    assert result.rows is not None
    assert sha256(Path(result.rows.file).read_bytes()).hexdigest() == result.rows.sha256
    return result, pd.read_parquet(result.rows.file)


def values(rows: pd.DataFrame) -> Any:
    return rows[["value_closer", "value_farther"]].to_numpy()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_folder_is_evaluated_the_same_again_and_in_one_batch(
    checkpoint: Callable[[str], Path], command: Run, benchmark: Path, name: str
) -> None:
    family = FAMILIES[name]
    words = family.words(checkpoint(family.checkpoint))

    result, rows = evaluate(command, benchmark, "one", *words)

    counts = result.counts
    assert (counts.total, counts.invalid, counts.missing) == (15, 0, 0)
    nearer_is = 1 if DepthKind(family.kind).larger_is_nearer else -1
    order = np.sign(rows.value_closer - rows.value_farther) * nearer_is
    assert (counts.correct, counts.wrong, counts.tied) == tuple(int((order == sign).sum()) for sign in (1, -1, 0))
    assert counts.tied <= 2, "a flat map would make this test empty"
    assert (result.model.kind, set(rows.kind)) == (family.kind, {family.kind})
    assert (result.model.spec, result.model.options) == (words[0], family.options)
    assert (result.run.device, result.run.dtype, result.run.seed) == ("cpu", "float32", family.seed)
    assert result.model.weights_digest is not None
    assert result.model.parameters

    again, _ = evaluate(command, benchmark, "again", *words)
    assert again.rows is not None
    assert result.rows is not None
    assert again.rows.sha256 == result.rows.sha256

    _, together = evaluate(command, benchmark, "five", *words, "--batch-size", "5")
    assert together.pair.equals(rows.pair)
    assert np.abs(values(together) - values(rows)).max() <= 1e-4 * min(np.ptp(values(rows)), 1)


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.zoo])
def test_a_zoo_name_with_a_path_is_evaluated_as_the_folder(
    checkpoint: Callable[[str], Path], command: Run, benchmark: Path, name: str
) -> None:
    family = FAMILIES[name]
    target = checkpoint(family.checkpoint)
    folder, _ = evaluate(command, benchmark, "folder", *family.words(target))

    # Kind and version are what the zoo itself says.
    rest = {key: value for key, value in family.options.items() if key not in ("kind", "version")}
    named, _ = evaluate(command, benchmark, "named", family.zoo, *options(path=target, **rest))

    assert (named.model.name, named.model.spec, named.model.kind) == (family.zoo, family.zoo, family.kind)
    assert named.model.options["path"] == str(target)
    assert named.rows is not None
    assert folder.rows is not None
    assert named.rows.sha256 == folder.rows.sha256


@pytest.mark.slow
def test_processes_of_their_own_give_the_same_rows(
    checkpoint: Callable[[str], Path], command: Run, benchmark: Path, tmp_path: Path
) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    running = {}
    for name in IN_A_PROCESS:
        family = FAMILIES[name]
        words = [*family.words(checkpoint(family.checkpoint)), "--benchmark", benchmark, "--device", "cpu"]
        running[name] = subprocess.Popen(
            [sys.executable, "-m", "da2k", "evaluate", *words, "--out", f"{family.prefix}.json"],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    for name, process in running.items():
        family = FAMILIES[name]
        done = Done(0, *process.communicate())._replace(code=process.returncode)
        there = done.result(tmp_path / f"{family.prefix}.json")
        assert "on bench: 5 images, 15 pairs" in done.out
        here, _ = evaluate(command, benchmark, "here", *family.words(checkpoint(family.checkpoint)), "--replace")
        assert here.rows is not None
        assert there.rows is not None
        assert there.rows.sha256 == here.rows.sha256
        assert (there.model, there.counts) == (here.model, here.counts)


# What is refused, and how.

PLACES = {
    "hf": ("dpt", "", "model.safetensors"),
    "marigold": ("marigold", "unet", "diffusion_pytorch_model.safetensors"),
    "geowizard": ("geowizard", "unet", "diffusion_pytorch_model.safetensors"),
}
"""Prefix → (checkpoint, its subfolder that is damaged, the weights there)."""


class Canary:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def change_weights(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the weights in a safetensors file or a `.pth`."""
    from safetensors.torch import load_file, save_file

    weights = torch.load(file) if file.suffix == ".pth" else load_file(file)
    change(weights)
    if file.suffix == ".pth":
        torch.save(weights, file)
    else:
        save_file(weights, file, metadata={"format": "pt"})


@pytest.fixture
def damaged(
    own_checkpoint: Callable[[str], Path], checkpoint: Callable[[str], Path], tmp_path: Path
) -> Callable[[str], Any]:
    """Makes a copy to be damaged: (command's words, folder, weight file in it)."""

    def copy(prefix: str) -> tuple[list[str], Path, Path]:
        if prefix == "pth":
            file = Path(shutil.copy(checkpoint("depth_anything_v1.pth"), tmp_path / "own.pth"))
            return [f"hf:{file}", *options(version=1, heads=2)], tmp_path, file
        name, part, weights = PLACES[prefix]
        folder = own_checkpoint(name)
        return [f"{prefix}:{folder}", *(options(**TOLD) if prefix == "hf" else [])], folder, folder / part / weights

    return copy


def refused(command: Run, benchmark: Path, *words: object) -> str:
    """The one line with which a model is refused; nothing is written."""
    line = command("evaluate", *words, "--benchmark", benchmark, "--out", "refused.json").error()
    assert not list(Path.cwd().glob("refused*"))
    return line


@pytest.mark.parametrize("prefix", ["hf", "marigold", "geowizard"])
def test_a_hub_id_that_cannot_be_fetched(command: Run, benchmark: Path, prefix: str) -> None:
    line = refused(command, benchmark, f"{prefix}:owner/name")
    assert f"{prefix}:owner/name" in line
    assert "HF_HUB_OFFLINE is set" in line
    assert f"{prefix}:FOLDER, or for a model of the zoo --model-option path=FOLDER" in line


@pytest.mark.parametrize(
    ("prefix", "config"), [("hf", "config.json"), ("marigold", "model_index.json"), ("geowizard", "unet/config.json")]
)
def test_a_folder_without_config(
    command: Run, benchmark: Path, damaged: Callable[[str], Any], prefix: str, config: str
) -> None:
    words, folder, _ = damaged(prefix)
    (folder / config).unlink()
    assert config in refused(command, benchmark, *words)


@pytest.mark.parametrize("prefix", [*PLACES, "pth"])
def test_missing_and_extra_weights(command: Run, benchmark: Path, damaged: Callable[[str], Any], prefix: str) -> None:
    words, _, file = damaged(prefix)
    change_weights(file, lambda weights: weights.update({"stray.weight": torch.zeros(2)}))
    assert "1 weights fit nowhere (stray.weight)" in refused(command, benchmark, *words)
    change_weights(file, lambda weights: [weights.pop(name) for name in ("stray.weight", min(weights))])
    assert "1 weights are missing" in refused(command, benchmark, *words)


def test_a_kind_that_dpt_does_not_tell_or_does_not_have(
    checkpoint: Callable[[str], Path], command: Run, benchmark: Path
) -> None:
    target = checkpoint("dpt")
    assert "give --model-option kind=affine_disparity" in refused(command, benchmark, f"hf:{target}")
    assert "option kind='depth'" in refused(command, benchmark, f"hf:{target}", *options(kind="depth"))
    line = refused(command, benchmark, "dpt-large", *options(path=target, kind="metric_depth"))
    assert "dpt-large: option kind=metric_depth: its maps are affine_disparity; leave it out" in line


@pytest.mark.parametrize("prefix", [*PLACES, "pth"])
def test_a_gpu_that_is_not_there(command: Run, benchmark: Path, damaged: Callable[[str], Any], prefix: str) -> None:
    words, *_ = damaged(prefix)
    line = refused(command, benchmark, *words, "--device", "cuda:99")
    assert 'device "cuda:99": torch sees ' in line
    assert "give --device cpu or auto" in line


@pytest.mark.parametrize("prefix", [*PLACES, "pth"])
def test_a_malicious_pickle(
    command: Run, benchmark: Path, damaged: Callable[[str], Any], prefix: str, tmp_path: Path
) -> None:
    words, _, file = damaged(prefix)
    canary = tmp_path / "canary"
    pickled = {"hf": "pytorch_model.bin", "pth": file.name}.get(prefix, "diffusion_pytorch_model.bin")
    file.unlink()
    torch.save({"weight": torch.zeros(2), "more": Canary(canary)}, file.with_name(pickled))
    line = refused(command, benchmark, *words)
    assert "pickled code is never run" in line if prefix in ("hf", "pth") else "holds no weights as safetensors" in line
    assert not canary.exists()
    torch.load(file.with_name(pickled), weights_only=False)
    assert canary.exists(), "the canary has to be one that sings"


def test_out_of_memory_with_one_image_is_one_line_an_image(
    checkpoint: Callable[[str], Path], command: Run, make_benchmark: Callable[..., Path]
) -> None:
    """The network's input would take petabytes, more than any address space has."""
    root = make_benchmark(images=1)
    words = [f"hf:{checkpoint('depth_anything_v2')}", *options(input_size=14_000_000)]
    done = command("evaluate", *words, "--benchmark", root, "--device", "cpu", "--out", "r.json")
    assert done.code == 1
    assert done.err.startswith("failed: images/indoor/photo000.png: out of memory with this image alone (MemoryError: ")
    assert done.err.endswith("); use a smaller input or another --device\n")
    assert done.err.count("\n") == 1
    counts = read_result("r.json").counts
    assert (counts.total, counts.invalid) == (3, 3)


@pytest.mark.parametrize("name", ["DPT", "Marigold", "GeoWizard v2"])
def test_a_batch_that_does_not_fit_is_halved_and_the_result_says_so(
    checkpoint: Callable[[str], Path], command: Run, benchmark: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As if a GPU had memory for convolutions of four images, or of two of one domain and their normals."""
    family = FAMILIES[name]
    words = family.words(checkpoint(family.checkpoint))
    _, alone = evaluate(command, benchmark, "alone", *words)
    convolve = torch.nn.Conv2d.forward

    def forward(layer: Any, seen: Any) -> Any:
        if len(seen) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return convolve(layer, seen)

    monkeypatch.setattr(torch.nn.Conv2d, "forward", forward)
    result, rows = evaluate(command, benchmark, "auto", *words, "--batch-size", "auto")
    assert "out of memory with 5 images at once; went on with 3" in result.warnings
    assert result.counts.invalid == 0
    assert np.abs(values(rows) - values(alone)).max() <= 1e-4 * min(np.ptp(values(alone)), 1)
