"""GeoWizard against its authors' own output, and what its adapter promises, on networks small enough to run here."""

import hashlib
import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from da2k.depth import DepthKind
from da2k.errors import BadInput, Da2kError
from da2k.evaluation.evaluate import evaluate
from da2k.images import Photo
from da2k.models.geowizard import domain_of
from da2k.models.paired_diffusion import class_labels, joint_attention, merged
from da2k.models.registry import load_model
from da2k.pairs import SCENARIOS

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")
from safetensors.torch import load_file, save_file  # noqa: E402

CASES = ("v1_indoor", "v1_outdoor", "v1_object_odd", "v1_ens3", "v2_indoor", "v2_object_ens3")
PARTS = {
    "1": {"unet", "vae", "scheduler", "image_encoder", "feature_extractor"},
    "2": {"unet_v2", "vae", "scheduler", "text_encoder", "tokenizer"},
}
QUICK = {"steps": "2", "processing_res": "64"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Several threads only wait for each other in networks this small."""
    torch.set_num_threads(1)


@pytest.fixture
def geowizard(checkpoint: Callable[[str], Path]) -> Path:
    """A tiny random checkpoint of both versions, in the hub's layout. Not to be changed: see `own_geowizard`."""
    return checkpoint("geowizard")


@pytest.fixture
def own_geowizard(geowizard: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint that the test may change."""
    return Path(shutil.copytree(geowizard, tmp_path / "own"))


@pytest.fixture
def five(photos: list[Photo]) -> list[Photo]:
    """Five photos of three sizes, of several domains."""
    scenarios = ("indoor", "object", "indoor", "aerial", "underwater")
    return [Photo.from_array(p.pixels, f"images/{s}/a.png") for p, s in zip(photos, scenarios, strict=True)]


def load(folder: Path, **options: str) -> Any:
    return load_model(f"geowizard:{folder}", {**QUICK, **options}, "cpu")


def refused(folder: Path | str, device: str = "cpu", **options: str) -> str:
    """The one line with which a checkpoint is refused."""
    with pytest.raises(Da2kError) as e:
        load_model(f"geowizard:{folder}", options, device)
    assert "\n" not in str(e.value)
    return str(e.value)


def values(model: Any, photo: Photo) -> Any:
    return model.predict([photo])[0].values


# The authors' own output.


def reference_run(shared: Path, name: str) -> tuple[Any, Any, dict[str, Any]]:
    """(map, the authors' arrays, first call of the UNet) of one case."""
    root = shared / "reference" / "geowizard"
    case = {case["name"]: case for case in json.loads((root / "cases.json").read_text())["cases"]}[name]
    settings = {"steps": "denoising_steps", "ensemble": "ensemble_size", "processing_res": "processing_res"}
    options = {option: str(case[key]) for option, key in {**settings, "seed": "seed", "domain": "domain"}.items()}
    model = load(root / "checkpoint", **options, version=case["version"].removeprefix("v"))
    first: dict[str, Any] = {}

    def watch(network: Any, given: tuple[Any, ...], named: dict[str, Any], answer: Any) -> None:
        if not first:
            keys = ("first_unet_input", "first_timestep", "first_encoder_hidden_states")
            first.update(zip(keys, given, strict=True))
            first.update(first_class_labels=named["class_labels"], first_unet_output=answer.sample)

    model.network.unet.register_forward_hook(watch, with_kwargs=True)
    found = values(model, Photo.open(root / case["image"]))
    return found, np.load(root / f"expected_{name}.npz"), {key: value.numpy() for key, value in first.items()}


def reversed_pairs(found: Any, expected: Any) -> int:
    one, other = np.random.default_rng(0).integers(0, expected.size, (2, 300_000))
    signs = [np.sign(depth.flat[one] - depth.flat[other]) for depth in (found, expected)]
    return int((signs[0] * signs[1] < 0).sum())


@pytest.mark.parametrize("name", CASES)
def test_equals_the_authors_code(shared: Path, name: str) -> None:
    found, expected, first = reference_run(shared, name)

    assert (first["first_class_labels"] == expected["first_class_labels"]).all()
    assert (first["first_timestep"] == expected["first_timestep"]).all()
    noise = slice(4, None)
    assert (first["first_unet_input"][:, noise] == expected["first_unet_input"][:, noise]).all()
    off = {key: np.abs(first[key] - expected[key]).max() for key in first}
    assert off["first_unet_input"] <= 3e-6
    assert off["first_encoder_hidden_states"] <= 1.2e-6
    assert off["first_unet_output"] <= 3e-6
    assert found.shape == expected["depth"].shape
    depth_off = np.abs(found - expected["depth"]).max()
    if "ens" in name:
        assert depth_off <= 5e-2
    else:
        assert depth_off <= 3e-6
        assert reversed_pairs(found, expected["depth"]) == 0


def test_is_not_the_network_without_joint_attention(shared: Path) -> None:
    found, _, first = reference_run(shared, "v1_indoor")
    other = np.load(shared / "reference" / "geowizard" / "expected_v1_indoor_nojoint.npz")
    assert np.abs(first["first_unet_input"] - other["first_unet_input"]).max() <= 3e-6
    assert np.abs(first["first_unet_output"] - other["first_unet_output"]).max() > 1e-2
    assert np.abs(found - other["depth"]).mean() > 5e-3
    assert reversed_pairs(found, other["depth"]) > 1000


# The parts.


def test_joint_attention_is_self_attention_of_both_halves_in_one_row() -> None:
    from diffusers.models.attention_processor import Attention, AttnProcessor2_0

    torch.manual_seed(1)
    attention = Attention(query_dim=12, heads=3, dim_head=4, processor=AttnProcessor2_0()).eval()
    tokens = torch.randn(4, 5, 12)
    with torch.no_grad():
        rows = attention(torch.cat([tokens[:2], tokens[2:]], dim=1))
        attention.set_processor(joint_attention)
        joint = attention(tokens)
    torch.testing.assert_close(joint, torch.cat([rows[:, :5], rows[:, 5:]]), rtol=1e-5, atol=1e-6)


def test_class_labels_of_an_indoor_photo() -> None:
    sine, cosine = np.sin(1), np.cos(1)
    task = [[0, sine, 1, cosine], [sine, 0, cosine, 1]]
    np.testing.assert_allclose(class_labels("2", "indoor"), task, atol=1e-7)
    np.testing.assert_allclose(
        class_labels("1", "indoor"), [[*row, sine, 0, 0, cosine, 1, 1] for row in task], atol=1e-7
    )


def test_domains_follow_from_scenarios() -> None:
    special = {"indoor": "indoor", "object": "object"}
    for scenario in (*SCENARIOS, None, "endoscopy"):
        assert domain_of(scenario) == special.get(str(scenario), "outdoor")


@given(
    arrays(np.float32, (4, 3, 5), elements=st.floats(0, 1, width=32)),
    st.permutations(range(4)),
    st.floats(0.25, 0.875),
    st.floats(0, 0.125),
)
def test_merging_forgets_order_scale_and_shift_of_runs(runs: Any, order: Any, scale: float, shift: float) -> None:
    runs[:, 0, :2] = 0, 1
    first = merged(runs)
    assert first.dtype == np.float32
    assert (first.min(), first.max()) == (0, 1)
    np.testing.assert_array_equal(first, merged(runs[order]))
    runs[0] = runs[0] * np.float32(scale) + np.float32(shift)
    np.testing.assert_allclose(merged(runs), first, atol=1e-5)


def test_merging_takes_the_lower_median_of_stretched_runs() -> None:
    ramp = np.linspace(0, 1, 5)
    runs = np.stack([ramp, 0.2 + ramp / 2, ramp**2, ramp**3])[:, None].astype(np.float32)
    np.testing.assert_allclose(merged(runs)[0], ramp**2, atol=1e-6)
    np.testing.assert_allclose(merged(runs[:1])[0], ramp, atol=1e-6)
    assert (merged(np.full((1, 2, 2), 0.5, np.float32)) == 0).all()


# The adapter.


@pytest.mark.parametrize(("version", "ensemble"), [("1", "1"), ("1", "2"), ("2", "1"), ("2", "3")])
def test_maps_do_not_depend_on_the_batch(geowizard: Path, five: list[Photo], version: str, ensemble: str) -> None:
    model = load(geowizard, version=version, ensemble=ensemble)
    together = model.predict(five)

    assert model.predict([]) == []
    assert (model.device, model.dtype, model.seed) == ("cpu", "float32", 0)
    for found, photo in zip(together, five, strict=True):
        assert found.kind is DepthKind.AFFINE_DEPTH
        assert found.size == photo.size
        assert ((found.values >= 0) & (found.values <= 1)).all()
        assert np.ptp(found.values) > 0.5
        assert np.abs(found.values - values(model, photo)).max() <= 1e-4
    assert np.abs(together[0].values - together[2].values).max() > 1e-3


def test_a_seed_gives_the_same_bytes_again(geowizard: Path, five: list[Photo]) -> None:
    model = load(geowizard, seed="5", ensemble="3")
    first = values(model, five[0])
    torch.manual_seed(99)
    assert first.tobytes() == values(model, five[0]).tobytes()
    assert first.tobytes() == values(load(geowizard, seed="5", ensemble="3"), five[0]).tobytes()
    assert np.abs(first - values(load(geowizard, seed="6", ensemble="3"), five[0])).max() > 1e-2
    assert model.seed == 5


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_scenario_gives_the_domain_and_the_option_overrules_it(
    geowizard: Path, five: list[Photo], version: str
) -> None:
    pixels = five[0].pixels
    by_domain = {
        domain: values(load(geowizard, version=version, domain=domain), Photo.from_array(pixels))
        for domain in ("indoor", "outdoor", "object")
    }
    assert np.abs(by_domain["indoor"] - by_domain["outdoor"]).max() > 1e-3
    assert np.abs(by_domain["object"] - by_domain["outdoor"]).max() > 1e-3
    model = load(geowizard, version=version)
    for scenario, domain in {"indoor": "indoor", "object": "object", "aerial": "outdoor"}.items():
        found = values(model, Photo.from_array(pixels, f"images/{scenario}/a.png"))
        np.testing.assert_array_equal(found, by_domain[domain])
    np.testing.assert_array_equal(values(model, Photo.from_array(pixels)), by_domain["outdoor"])


def test_the_network_sees_the_size_that_is_asked_for(geowizard: Path, five: list[Photo]) -> None:
    """61 x 90 pixels become 43 x 64, and a latent is an eighth of that, cut off."""
    for processing_res, latent in {"64": (5, 8), "120": (10, 15), "0": (7, 11)}.items():
        model = load(geowizard, processing_res=processing_res)
        seen: list[Any] = []
        model.network.unet.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0].shape))
        assert values(model, five[0]).shape == (61, 90)
        assert [tuple(shape) for shape in seen] == [(2, 8, *latent)] * 2


def test_a_photo_too_narrow_for_the_network_is_refused_alone(geowizard: Path) -> None:
    narrow = Photo.from_array(np.zeros((10, 200, 3), np.uint8))
    with pytest.raises(BadInput, match=r"10 x 200 pixels: become 3 x 64"):
        load(geowizard).predict([narrow])
    assert values(load(geowizard, processing_res="0"), narrow).shape == (10, 200)


def test_the_record_says_what_was_run(geowizard: Path) -> None:
    record = load(geowizard, ensemble="3", domain="object").record
    files = [p for p in geowizard.rglob("*.safetensors") if p.parent.name in PARTS["1"]]
    lines = sorted(f"{p.name} {hashlib.sha256(p.read_bytes()).hexdigest()}\n" for p in files)
    assert len(lines) == 3
    assert record.weights_digest == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert record.parameters == sum(weights.numel() for p in files for weights in load_file(p).values())
    assert record.name == "geowizard"
    assert record.options == {**QUICK, "ensemble": "3", "domain": "object"}
    assert "longer side 64" in record.preprocessing
    assert "2 DDIM steps, 3 run(s) from seed 0" in record.preprocessing
    assert "domain object" in record.preprocessing
    assert load(geowizard, version="2").record.weights_digest != record.weights_digest
    paper = load_model(f"geowizard:{geowizard}", {"preset": "paper", "steps": "20"}, "cpu").record.preprocessing
    assert "longer side 768" in paper
    assert "20 DDIM steps, 10 run(s)" in paper


def test_the_version_follows_from_the_folder(own_geowizard: Path) -> None:
    assert load(own_geowizard).network.version == "1"
    shutil.rmtree(own_geowizard / "unet")
    assert load(own_geowizard).network.version == "2"


def test_shared_parts_come_from_the_base_first(own_geowizard: Path, geowizard: Path, five: list[Photo]) -> None:
    expected = values(load(geowizard, version="2"), five[0])
    for part in ("tokenizer", "text_encoder", "image_encoder"):
        shutil.rmtree(own_geowizard / part)
    vae = own_geowizard / "vae" / "diffusion_pytorch_model.safetensors"
    vae.write_bytes(b"")
    assert "there is no text_encoder and no tokenizer" in refused(own_geowizard, version="2")
    with_base = load(own_geowizard, version="2", base=str(geowizard))
    np.testing.assert_array_equal(values(with_base, five[0]), expected)
    assert with_base.record.weights_digest == load(geowizard, version="2").record.weights_digest


def test_a_hub_id_is_found_in_the_cache(
    geowizard: Path, five: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    commit = hashlib.sha1(b"a commit").hexdigest()
    repository = tmp_path / "models--owner--name"
    shutil.copytree(geowizard, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.delenv("DA2K_HOME", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    model = load_model("geowizard:owner/name", QUICK, "cpu")

    assert (model.record.name, model.record.revision) == ("owner/name", commit)
    assert model.record.weights_digest == load(geowizard).record.weights_digest
    np.testing.assert_array_equal(values(model, five[0]), values(load(geowizard), five[0]))
    shutil.rmtree(repository / "snapshots" / commit / "vae")
    assert "owner/name is no folder, not whole in the cache" in refused("owner/name")


def test_a_benchmark_is_evaluated(geowizard: Path, make_benchmark: Callable[..., Path]) -> None:
    model = load(geowizard)
    result = evaluate(model, make_benchmark()).result
    assert (result.counts.total, result.counts.invalid, result.counts.missing) == (12, 0, 0)
    assert (result.run.seed, result.run.dtype, result.run.device) == (0, "float32", "cpu")


def test_xformers_is_left_alone(
    geowizard: Path, five: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "xformers").mkdir()
    (tmp_path / "xformers" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    values(load(geowizard), five[0])
    assert not [name for name in sys.modules if name.partition(".")[0] == "xformers"]


# Refusals.


def change_weights(part: Path, change: Callable[[dict[str, Any]], object]) -> None:
    (file,) = part.glob("*.safetensors")
    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


@pytest.mark.parametrize(("version", "part"), [(version, part) for version in PARTS for part in sorted(PARTS[version])])
def test_a_missing_part_is_named(own_geowizard: Path, version: str, part: str) -> None:
    shutil.rmtree(own_geowizard / part)
    message = refused(own_geowizard, version=version)
    assert f"there is no {part} in {own_geowizard}" in message
    assert ("--model-option base=" in message) is not part.startswith("unet")


def test_the_unet_has_to_be_that_of_the_version(own_geowizard: Path) -> None:
    shutil.rmtree(own_geowizard / "unet")
    (own_geowizard / "unet_v2").rename(own_geowizard / "unet")
    message = refused(own_geowizard)
    assert "unet/config.json: projection_class_embeddings_input_dim is 4, and GeoWizard 1 has 10" in message


def test_a_base_with_another_condition_is_refused(own_geowizard: Path, geowizard: Path) -> None:
    config = transformers.CLIPTextConfig(
        vocab_size=100, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    transformers.CLIPTextModel(config).save_pretrained(own_geowizard / "text_encoder")
    message = refused(geowizard, version="2", base=str(own_geowizard))
    assert "text_encoder: makes a condition of 16 numbers, and unet_v2 takes 12" in message


@pytest.mark.parametrize("part", ["unet", "vae", "image_encoder"])
def test_missing_extra_and_misshapen_weights_are_refused(own_geowizard: Path, part: str) -> None:
    names: list[str] = []

    def drop(weights: dict[str, Any]) -> None:
        names.append(max(weights))
        del weights[names[0]]

    change_weights(own_geowizard / part, drop)
    assert f"{part}: 1 weights are missing ({names[0]})" in refused(own_geowizard)
    change_weights(own_geowizard / part, lambda weights: weights.update({names[0]: torch.zeros(1, 2, 3)}))
    assert f"{part} cannot be loaded" in refused(own_geowizard)


def test_weights_of_nothing_are_refused(own_geowizard: Path) -> None:
    change_weights(own_geowizard / "unet", lambda weights: weights.update(stray=torch.zeros(2)))
    assert "unet: 1 weights fit nowhere (stray)" in refused(own_geowizard)


def test_pickled_weights_are_never_opened(own_geowizard: Path, tmp_path: Path) -> None:
    class Canary:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "canary"),)

    (own_geowizard / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (own_geowizard / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Canary()))
    assert "unet holds no weights as safetensors" in refused(own_geowizard)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"domian": "indoor"}, 'unknown option "domian"; did you mean "domain"?'),
        ({"domain": "indor"}, "option domain='indor'"),
        ({"version": "3"}, "option version='3'"),
        ({"steps": "0"}, "option steps='0'"),
        ({"steps": "1001"}, "option steps=1001: the scheduler has 1000"),
        ({"seed": "-1"}, "option seed='-1'"),
        ({"preset": "slow"}, "option preset='slow'"),
        ({"dtype": "float16"}, "option dtype=float16"),
        ({"revision": "main"}, "option revision: belongs to hub ids"),
        ({"base": "nowhere"}, 'option base: there is no folder "nowhere"'),
    ],
)
def test_options_that_cannot_be_met_are_refused(geowizard: Path, options: dict[str, str], said: str) -> None:
    assert said in refused(geowizard, **options)


def test_what_is_not_there_is_refused(geowizard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    assert 'there is no folder "no/such/folder"' in refused("no/such/folder")
    assert "there is no unet and no vae" in refused(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert "HF_HUB_OFFLINE is set" in refused("owner/name")
    if not torch.cuda.is_available():
        assert "torch sees no GPU here" in refused(geowizard, device="cuda")
