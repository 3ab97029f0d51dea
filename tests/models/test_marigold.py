"""Marigold against diffusers' own pipeline: the same maps, the same noise for every image, and what is refused."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha1, sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from da2k.depth import DepthKind
from da2k.errors import Da2kError
from da2k.images import Photo
from da2k.models.registry import load_model

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NETWORKS = ("unet", "vae", "text_encoder")


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny random pipeline with this scheduler. Not to be changed: see `folder`."""
    torch.set_num_threads(1)
    spec = spec_from_file_location("tiny_marigold", Path(__file__).with_name("tiny_marigold.py"))
    assert spec is not None
    assert spec.loader is not None
    tiny = module_from_spec(spec)
    spec.loader.exec_module(tiny)
    root = tmp_path_factory.mktemp("pipelines")

    def made(scheduler: str = "DDIMScheduler") -> Path:
        return root / scheduler if (root / scheduler).exists() else tiny.save(root / scheduler, scheduler)

    return made


@pytest.fixture(scope="module")
def marigold(pipelines: Callable[[], Path]) -> Path:
    return pipelines()


@pytest.fixture
def folder(marigold: Path, tmp_path: Path) -> Path:
    """A copy of the pipeline that the test may change."""
    return Path(shutil.copytree(marigold, tmp_path / "marigold"))


def load(folder: Path, **options: str) -> Any:
    return load_model(f"marigold:{folder}", options, "cpu")


def predict(folder: Path, photo: Photo, **options: str) -> NDArray[np.float32]:
    return load(folder, **options).predict([photo])[0].values


def refused(folder: Path | str, **options: str) -> str:
    """The one line with which a pipeline is refused."""
    with pytest.raises(Da2kError) as e:
        load_model(f"marigold:{folder}", options, "cpu")
    assert "\n" not in str(e.value)
    return str(e.value)


def by_diffusers(folder: Path, photo: Photo, seed: int = 0, **settings: Any) -> NDArray[np.float32]:
    """The map of the pipeline that diffusers itself makes of the folder, noise from one generator."""
    pipeline = diffusers.MarigoldDepthPipeline.from_pretrained(folder, dtype=torch.float32)
    values = pipeline(photo.pixels, generator=torch.Generator().manual_seed(seed), **settings).prediction
    assert np.ptp(values) > 0.1, "a flat map would make this test empty"
    return values[0, :, :, 0]


def change_json(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def change_weights(part: Path, change: Callable[[dict[str, Any]], object]) -> None:
    from safetensors.torch import load_file, save_file

    (file,) = part.glob("*.safetensors")
    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


@pytest.mark.parametrize("scheduler", ["DDIMScheduler", "LCMScheduler"])
@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({}, {}),
        ({"seed": "5"}, {"seed": 5}),
        ({"steps": "1", "processing_res": "96"}, {"num_inference_steps": 1, "processing_resolution": 96}),
        ({"processing_res": "0"}, {"processing_resolution": 0}),
        ({"steps": "1", "ensemble": "3"}, {"num_inference_steps": 1, "ensemble_size": 3}),
        ({"steps": "1", "ensemble": "2"}, {"num_inference_steps": 1, "ensemble_size": 2}),
    ],
)
def test_maps_are_those_of_diffusers_pipeline(
    pipelines: Callable[[str], Path],
    photos: list[Photo],
    scheduler: str,
    options: dict[str, str],
    settings: dict[str, Any],
) -> None:
    found = predict(pipelines(scheduler), photos[0], **options)
    assert found.shape == photos[0].size
    assert np.array_equal(found, by_diffusers(pipelines(scheduler), photos[0], **settings))


@pytest.mark.parametrize("scheduler", ["DDIMScheduler", "LCMScheduler"])
@pytest.mark.parametrize("ensemble", ["1", "3"])
def test_a_map_does_not_depend_on_its_batch(
    pipelines: Callable[[str], Path], photos: list[Photo], scheduler: str, ensemble: str
) -> None:
    model = load(pipelines(scheduler), ensemble=ensemble)
    together = model.predict(photos)

    assert model.predict([]) == []
    assert [depth.size for depth in together] == [photo.size for photo in photos]
    for depth, photo in zip(together, photos, strict=True):
        assert np.abs(depth.values - model.predict([photo])[0].values).max() <= 1e-4
    assert np.abs(together[0].values - together[2].values).max() > 0.05


def test_the_seed_decides_the_map(marigold: Path, photos: list[Photo]) -> None:
    first, again, other = (load(marigold, seed=seed) for seed in ("3", "3", "4"))
    before = first.predict(photos[:3])
    first.predict(photos)
    for depth, same, different in zip(before, again.predict(photos[:3]), other.predict(photos[:3]), strict=True):
        assert depth.values.tobytes() == same.values.tobytes()
        assert np.abs(depth.values - different.values).max() > 0.01
    assert (first.seed, other.seed, load(marigold).seed) == (3, 4, 0)


@pytest.mark.parametrize(("told", "kind"), [("depth", "affine_depth"), ("disparity", "affine_disparity")])
def test_the_folder_tells_depth_from_disparity(folder: Path, photos: list[Photo], told: str, kind: str) -> None:
    change_json(folder / "model_index.json", prediction_type=told)
    model = load(folder)
    (depth,) = model.predict(photos[:1])
    assert model.record.kind == depth.kind == kind
    assert np.array_equal(depth.values, by_diffusers(folder, photos[0]))


def test_a_folder_that_does_not_tell_needs_the_user(folder: Path) -> None:
    """As the authors' older folders, of normals too, which name a class that diffusers does not have."""
    index = folder / "model_index.json"
    change_json(index, _class_name="MarigoldPipeline", prediction_type=...)
    assert "--model-option kind=affine_depth" in refused(folder)
    record = load(folder, kind="affine_depth").record
    assert record.kind is DepthKind.AFFINE_DEPTH
    assert "stated by the user" not in record.preprocessing
    change_json(index, prediction_type="depth")
    record = load(folder, kind="affine_disparity").record
    assert record.kind is DepthKind.AFFINE_DISPARITY
    assert record.preprocessing.endswith("kind affine_disparity stated by the user against the folder's depth")
    change_json(index, prediction_type="normals")
    assert "'normals'" in refused(folder, kind="affine_depth")


@pytest.mark.parametrize(
    ("options", "steps", "ensemble", "side"),
    [
        ({}, 2, 1, 64),
        ({"preset": "fast"}, 2, 1, 64),
        ({"preset": "paper"}, 50, 10, 768),
        ({"preset": "paper", "steps": "3", "processing_res": "0"}, 3, 10, "kept"),
        ({"preset": "paper", "ensemble": "1"}, 50, 1, 768),
        ({"preset": "fast", "ensemble": "5", "seed": "8"}, 2, 5, 64),
    ],
)
def test_options_win_over_presets_and_presets_over_the_folder(
    marigold: Path, options: dict[str, str], steps: int, ensemble: int, side: int | str
) -> None:
    record = load(marigold, **options).record
    said = str(record.preprocessing)
    assert f"longer side {side}, " in said
    assert f"; {steps} steps of DDIMScheduler, ensemble of {ensemble}, seed {options.get('seed', 0)} for" in said
    assert record.options == options


def test_the_papers_preset_runs_as_it_says(folder: Path, photos: list[Photo]) -> None:
    given = {"processing_res": "16"}
    settings = {"num_inference_steps": 50, "ensemble_size": 10, "processing_resolution": 16}
    assert np.array_equal(
        predict(folder, photos[0], preset="paper", **given), by_diffusers(folder, photos[0], **settings)
    )


def test_what_the_folder_does_not_recommend_has_to_be_given(folder: Path) -> None:
    change_json(folder / "model_index.json", default_denoising_steps=..., default_processing_resolution=...)
    assert "recommends no steps; give --model-option steps=" in refused(folder)
    assert "--model-option processing_res=" in refused(folder, steps="2")
    assert "longer side 64," in load(folder, steps="2", processing_res="64").record.preprocessing
    assert "longer side 768," in load(folder, preset="paper").record.preprocessing


def test_the_record_says_what_was_loaded(marigold: Path) -> None:
    pipeline = diffusers.MarigoldDepthPipeline.from_pretrained(marigold, dtype=torch.float32)
    files = [file for part in NETWORKS for file in (marigold / part).glob("*.safetensors")]
    lines = sorted(f"{file.name} {sha256(file.read_bytes()).hexdigest()}\n" for file in files)

    model = load(marigold, steps="1")

    assert (model.device, model.dtype, model.seed) == ("cpu", "float32", 0)
    record = model.record
    assert (record.name, record.spec, record.revision) == (marigold.name, f"marigold:{marigold}", None)
    assert record.aspect == "kept"
    assert record.parameters == sum(p.numel() for part in NETWORKS for p in getattr(pipeline, part).parameters())
    assert record.weights_digest == sha256("".join(lines).encode()).hexdigest()


def test_weights_in_the_hubs_names_and_in_half_precision_load(folder: Path, photos: list[Photo]) -> None:
    """The hub's files have a prefix in the text encoder and old names in the autoencoder's attention."""
    before = predict(folder, photos[0])
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def rename(weights: dict[str, Any]) -> None:
        for name in list(weights):
            new = name
            for today, then in old.items():
                new = new.replace(today, then)
            weights[new] = weights.pop(name)

    def prefix(weights: dict[str, Any]) -> None:
        for name in list(weights):
            weights[f"text_model.{name}"] = weights.pop(name)
        weights["text_model.embeddings.position_ids"] = torch.arange(77)[None]

    change_weights(folder / "vae", rename)
    change_weights(folder / "text_encoder", prefix)
    change_json(folder / "text_encoder" / "config.json", dtype="float16")
    assert np.array_equal(predict(folder, photos[0]), before)

    change_weights(folder / "unet", lambda weights: weights.update({k: v.half() for k, v in weights.items()}))
    halved = predict(folder, photos[0])
    assert 0 < np.abs(halved - before).max() < 0.05


def test_nothing_is_printed(folder: Path) -> None:
    """Neither bars, nor that two are a small ensemble, nor that the kind is not told."""
    change_json(folder / "model_index.json", prediction_type=...)
    program = (
        "import numpy as np; from da2k.images import Photo; from da2k.models.registry import load_model\n"
        f"model = load_model('marigold:{folder}', {{'ensemble': '2', 'steps': '1', 'kind': 'affine_depth'}}, 'cpu')\n"
        "model.predict([Photo.from_array(np.eye(50, dtype=np.uint8)[..., None].repeat(3, axis=2))])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_refused_on_the_cpu(marigold: Path, dtype: str) -> None:
    assert f"dtype={dtype} needs a GPU" in refused(marigold, dtype=dtype)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("float16", 0.05), ("bfloat16", 0.3)])
def test_a_gpu_gives_nearly_the_same_maps(marigold: Path, photos: list[Photo], dtype: str, tolerance: float) -> None:
    model = load_model(f"marigold:{marigold}", {"dtype": dtype}, "cuda")
    assert (model.device, model.dtype) == ("cuda:0", dtype)
    for depth, reference in zip(model.predict(photos), load(marigold).predict(photos), strict=True):
        assert np.abs(depth.values - reference.values).mean() < tolerance


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stepz": "4"}, 'unknown option "stepz"; did you mean "steps"?'),
        ({"steps": "0"}, "option steps='0'"),
        ({"steps": "1001"}, "its scheduler with 1001 steps, fails"),
        ({"ensemble": "0"}, "option ensemble='0'"),
        ({"processing_res": "100"}, "multiple of 8"),
        ({"processing_res": "-8"}, "option processing_res='-8'"),
        ({"seed": "-1"}, "option seed='-1'"),
        ({"dtype": "float64"}, "'float32', 'float16' or 'bfloat16'"),
        ({"preset": "slow"}, "'paper' or 'fast'"),
        ({"kind": "depth"}, "option kind='depth'"),
        ({"revision": "main"}, "belongs to hub ids"),
    ],
)
def test_wrong_options_are_refused(marigold: Path, options: dict[str, str], said: str) -> None:
    assert said in refused(marigold, **options)


def test_folders_that_are_no_marigold_pipeline_are_refused(folder: Path, tmp_path: Path) -> None:
    assert "there is no folder" in refused(tmp_path / "nowhere")
    index = folder / "model_index.json"
    change_json(index, _class_name="StableDiffusionPipeline")
    assert "'StableDiffusionPipeline'" in refused(folder)
    change_json(index, _class_name="MarigoldDepthPipeline", scheduler=["own_code", "DDIMScheduler"])
    assert "own_code" in refused(folder)
    index.write_text("[]")
    assert "holds no JSON object" in refused(folder)
    index.unlink()
    assert "model_index.json: cannot be read" in refused(folder)


@pytest.mark.parametrize("part", [*NETWORKS, "tokenizer", "scheduler"])
def test_a_missing_part_is_named(folder: Path, part: str) -> None:
    shutil.rmtree(folder / part)
    assert part in refused(folder)


@pytest.mark.parametrize("part", NETWORKS)
def test_weights_that_are_not_the_networks_are_refused(folder: Path, part: str) -> None:
    (file,) = (folder / part).glob("*.safetensors")
    whole = file.read_bytes()
    names: list[str] = []

    def drop(weights: dict[str, Any]) -> None:
        names.append(next(name for name in weights if name.endswith("weight")))
        del weights[names[0]]

    change_weights(folder / part, drop)
    assert f"{part}: 1 weights are missing ({names[0]})" in refused(folder)
    change_weights(folder / part, lambda weights: weights.update({names[0]: torch.zeros(2, 3)}))
    assert f"{part} cannot be loaded" in refused(folder)
    file.write_bytes(whole)
    change_weights(folder / part, lambda weights: weights.update({"another.weight": torch.zeros(2, 3)}))
    assert "another.weight" in refused(folder)
    file.write_bytes(whole[:-1000])
    assert f"{part} cannot be loaded" in refused(folder)
    file.rename(file.with_name(file.name.replace(".safetensors", ".fp16.safetensors")))
    assert "variants (fp16) are not loaded" in refused(folder)


class Canary:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("part", NETWORKS)
def test_pickled_weights_are_never_opened(folder: Path, tmp_path: Path, part: str) -> None:
    canary = tmp_path / "canary"
    (file,) = (folder / part).glob("*.safetensors")
    file.unlink()
    name = "pytorch_model.bin" if part == "text_encoder" else "diffusion_pytorch_model.bin"
    torch.save({"weights": Canary(canary)}, folder / part / name)
    assert f"{part} holds no weights as safetensors; pickled ones" in refused(folder)
    assert not canary.exists()


def test_a_hub_id_is_fetched_without_what_is_not_needed(folder: Path, httpserver: HTTPServer, tmp_path: Path) -> None:
    wanted = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    for unwanted in ("unet/diffusion_pytorch_model.bin", "vae/diffusion_pytorch_model.fp16.safetensors", "photo.png"):
        (folder / unwanted).write_bytes(b"not wanted")

    def answer(request: Request) -> Response:
        if request.path.startswith("/api/models/owner/name/revision/"):
            return Response(json.dumps({"id": "owner/name", "sha": COMMIT}), content_type="application/json")
        files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
        if request.path.startswith("/api/models/owner/name/tree/"):
            listed = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": sha1(file.read_bytes()).hexdigest()}
                for name, file in files.items()
            ]
            return Response(json.dumps(listed), content_type="application/json")
        name = request.path.partition(f"/resolve/{COMMIT}/")[2]
        if name not in files:
            return Response("")
        data = files[name].read_bytes()
        return Response(data, headers={"X-Repo-Commit": COMMIT, "ETag": f'"{sha1(data).hexdigest()}"'})

    def found(**environment: str) -> str:
        """What `parts_folder` gives or says in a process of its own; the hub's client reads its settings once."""
        program = (
            "from da2k.errors import Da2kError; from da2k.models.marigold import PARTS\n"
            "from da2k.models.pipeline_parts import parts_folder\n"
            "try: print(parts_folder('owner/name', None, PARTS, 'marigold:owner/name'))\n"
            "except Da2kError as e: print(f'{type(e).__name__}: {e}')\n"
        )
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "DA2K_"))}
        ours |= {"HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": httpserver.url_for("").rstrip("/"), "NO_PROXY": "*"}
        ours |= {"HF_HUB_DISABLE_XET": "1"} | environment
        return subprocess.run([sys.executable, "-c", program], env=ours, capture_output=True, text=True).stdout.strip()

    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)
    assert found(HF_HUB_OFFLINE="1").startswith("Unreachable: marigold:owner/name: ")
    fetched = Path(found())
    assert {file.relative_to(fetched).as_posix() for file in fetched.rglob("*") if file.is_file()} == wanted
    assert found(HF_HUB_OFFLINE="1") == str(fetched)
    assert load(fetched).record.revision == COMMIT
