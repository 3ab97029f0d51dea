"""Predictions folders: what is written scores exactly as the model, and what others wrote is not trusted."""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

import da2k
from da2k.depth import DepthKind, DepthMap
from da2k.errors import BadInput, BadModel
from da2k.evaluation.predict import predict
from da2k.models.map_files import MAX_VALUES, read_map
from da2k.models.python import as_model
from da2k.models.registry import load_model


class Network:
    """A stand-in network: a float map at half the image's size, from its pixels."""

    def predict(self, images):
        maps = [np.asarray(photo)[::2, ::2].mean(axis=2) / 7 for photo in images]
        return [DepthMap(values, DepthKind.AFFINE_DISPARITY) for values in maps]


def named(model):
    return as_model(model, "affine_disparity")


def declare(folder, **fields):
    folder.mkdir(parents=True, exist_ok=True)
    content = {"model": "mine", "kind": "affine_disparity", **fields}
    (folder / "predictions.yaml").write_text(json.dumps(content))
    return folder


def photos(root):
    return list(json.loads((root / "annotations.json").read_text()))


def store(folder, root, save, ending):
    """A map for every image, saved by `save(path, values)`."""
    for name in photos(root):
        height, width = da2k.Photo.open(root / name).size
        values = np.random.default_rng(sum(name.encode())).integers(1, 60000, (height // 2, width // 2))
        path = (folder / name).with_suffix(ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        save(path, values)


def test_a_folder_written_by_predict_scores_exactly_as_the_model(make_benchmark, tmp_path):
    root = make_benchmark(images=9, pairs=6)
    direct = da2k.evaluate(Network(), root, kind="affine_disparity")
    done = predict(named(Network()), root, tmp_path / "maps")
    assert (done.written, done.resumed, done.failures) == (9, 0, ())
    stored = da2k.evaluate(f"predictions:{tmp_path / 'maps'}", root)
    assert stored.counts == direct.counts
    assert stored.rows.equals(direct.rows)


def test_images_that_differ_only_in_their_ending_keep_apart(make_benchmark, tmp_path):
    root = make_benchmark(images=1, pairs=4)
    (image,) = photos(root)
    twin = image.replace(".png", ".jpg")
    Image.open(root / image).rotate(180).save(root / twin)
    content = json.loads((root / "annotations.json").read_text())
    (root / "annotations.json").write_text(json.dumps({image: content[image], twin: content[image]}))
    predict(named(Network()), root, tmp_path / "maps")
    assert {p.name for p in tmp_path.glob("maps/images/*/*")} == {"photo000.png.npy", "photo000.jpg.npy"}
    direct = da2k.evaluate(Network(), root, kind="affine_disparity")
    assert da2k.evaluate(f"predictions:{tmp_path / 'maps'}", root).rows.equals(direct.rows)


def test_any_folder_of_photographs_can_be_predicted(tmp_path):
    (tmp_path / "photos/trip").mkdir(parents=True)
    Image.new("RGB", (30, 20)).save(tmp_path / "photos/trip/a.JPG")
    (tmp_path / "photos/notes.txt").write_text("no photo")
    predict(named(Network()), tmp_path / "photos", tmp_path / "maps")
    assert np.load(tmp_path / "maps/trip/a.npy").shape == (10, 15)
    predict(named(Network()), tmp_path / "photos/trip/a.JPG", tmp_path / "one")
    assert (tmp_path / "one/a.npy").is_file()
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no photograph"):
        predict(named(Network()), tmp_path / "empty", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_bad_photograph_is_reported_and_the_others_are_written(make_benchmark, tmp_path):
    root = make_benchmark(images=3)
    (root / photos(root)[1]).write_bytes(b"")
    done = predict(named(Network()), root, tmp_path / "maps")
    assert done.written == 2
    assert [failure.image for failure in done.failures] == [photos(root)[1]]
    counts = da2k.evaluate(f"predictions:{tmp_path / 'maps'}", root).counts
    assert counts.invalid == 3


def test_a_folder_of_another_model_is_not_written_into(make_benchmark, tmp_path):
    root = make_benchmark(images=1)
    predict(load_model("baseline:row"), root, tmp_path / "maps")
    with pytest.raises(BadInput, match=r"holds other maps than these \(model: baseline:row, not baseline:centre\)"):
        predict(load_model("baseline:centre"), root, tmp_path / "maps")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("")
    with pytest.raises(BadInput, match="is not empty"):
        predict(load_model("baseline:row"), root, tmp_path / "mine")


def pfm(path, values, order="<"):
    scale = -1.0 if order == "<" else 1.0
    head = f"Pf\n{values.shape[1]} {values.shape[0]}\n{scale}\n".encode()
    path.write_bytes(head + values[::-1].astype(f"{order}f4").tobytes())


WRITERS = {
    ".npy": lambda path, v: np.save(path, v.astype(np.float32)),
    ".npz": lambda path, v: np.savez_compressed(path, depth=v.astype(np.float64)),
    ".png": lambda path, v: Image.fromarray(v.astype(np.uint16)).save(path),
    ".tif": lambda path, v: Image.fromarray(v.astype(np.float32)).save(path),
    ".tiff": lambda path, v: Image.fromarray(v.astype(np.uint16)).save(path),
    ".pfm": pfm,
}
ODD_ARRAYS = {
    "big-endian": lambda path, v: np.save(path, v.astype(">f4")),
    "column-major": lambda path, v: np.save(path, np.asfortranarray(v.astype(np.float32))),
    "four axes": lambda path, v: np.save(path, v.astype(np.float32)[None, None]),
    "integers": lambda path, v: np.save(path, v.astype(np.int64)),
    "half precision": lambda path, v: np.save(path, (v % 2048).astype(np.float16)),
    "big-endian pfm": lambda path, v: pfm(path, v, ">"),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_gives_the_same_counts(make_benchmark, tmp_path, ending):
    root = make_benchmark(images=4, pairs=5)
    expected = da2k.evaluate(reference(root), root).counts
    folder = declare(tmp_path / "maps")
    store(folder, root, WRITERS[ending], ending)
    assert da2k.evaluate(f"predictions:{folder}", root).counts == expected


def reference(root):
    class Stored:
        def predict(self, images):
            maps = []
            for photo in images:
                shape = (photo.size[0] // 2, photo.size[1] // 2)
                values = np.random.default_rng(sum(photo.name.encode())).integers(1, 60000, shape)
                maps.append(DepthMap(values, DepthKind.AFFINE_DISPARITY))
            return maps

    return Stored()


@pytest.mark.parametrize("kind", ODD_ARRAYS)
def test_odd_but_honest_arrays_work(make_benchmark, tmp_path, kind):
    root = make_benchmark(images=2, pairs=5)
    folder = declare(tmp_path / "maps")
    store(folder, root, ODD_ARRAYS[kind], ".pfm" if "pfm" in kind else ".npy")
    counts = da2k.evaluate(f"predictions:{folder}", root).counts
    assert counts.invalid + counts.missing == 0


def test_eight_bit_pictures_work_and_their_ties_are_counted_and_warned_of(make_benchmark, tmp_path):
    root = make_benchmark(images=4, pairs=20)
    folder = declare(tmp_path / "maps")
    store(folder, root, lambda path, v: Image.fromarray((v % 3).astype(np.uint8)).save(path), ".png")
    result = da2k.evaluate(f"predictions:{folder}", root).result
    assert result.counts.tied > 0
    assert any("4 maps have 8 bits" in warning for warning in result.warnings)


def test_scale_changes_values_and_not_the_order(make_benchmark, tmp_path):
    root = make_benchmark(images=2, pairs=5)
    plain, scaled = declare(tmp_path / "a"), declare(tmp_path / "b", scale=1 / 256)
    for folder in (plain, scaled):
        store(folder, root, WRITERS[".png"], ".png")
    one, two = (da2k.evaluate(f"predictions:{folder}", root) for folder in (plain, scaled))
    assert one.counts == two.counts
    assert np.allclose(one.rows["value_closer"] / 256, two.rows["value_closer"], rtol=1e-6)


def npy_claiming(shape, body=b""):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (64 - (10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


class Canary:
    """Unpickling this makes a folder: if the folder appears, a pickle was run."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(f"{name}.npy", body)
    return buffer.getvalue()


def hostile(tmp_path):
    pickled = io.BytesIO()
    np.save(pickled, np.array([[Canary(str(tmp_path / "canary"))]], object), allow_pickle=True)
    side = int(MAX_VALUES**0.5) + 1
    return {
        "pickled object": (".npy", pickled.getvalue(), "pickled Python objects"),
        "plain pickle": (".npy", pickle.dumps(Canary(str(tmp_path / "canary"))), "not a .npy array"),
        "header that lies": (".npy", npy_claiming((10**6, 10**6)), "claims shape"),
        "more claimed than there": (".npy", npy_claiming((400, 300), bytes(64)), "480,000 bytes, but 64 follow"),
        "negative side": (".npy", npy_claiming((-4, 4), bytes(64)), "claims"),
        "truncated header": (".npy", npy_claiming((2, 2))[:20], "not a .npy array"),
        "empty file": (".npy", b"", "not a .npy array"),
        "text": (".npy", npy_claiming((2, 2)).replace(b"<f4", b"<U1") + bytes(16), "not real numbers"),
        "bomb": (".npz", zipped(depth=npy_claiming((side, side), bytes(4 * side) * 10)), "claims shape"),
        "pickle in a zip": (".npz", zipped(depth=pickled.getvalue()), "pickled Python objects"),
        "two arrays": (".npz", zipped(a=npy_claiming((1, 1), bytes(4)), b=npy_claiming((1, 1), bytes(4))), "2 arrays"),
        "no zip": (".npz", b"PK nothing", "cannot be read"),
        "colour picture": (".png", picture("RGB"), "colour-mapped"),
        "palette picture": (".png", picture("P"), "colour-mapped"),
        "truncated picture": (".png", picture("L")[:-40], "truncated"),
        "colour pfm": (".pfm", b"PF\n1 1\n-1\n" + bytes(12), "begins with Pf"),
        "short pfm": (".pfm", b"Pf\n9 9\n-1\n" + bytes(12), "324 bytes, but 12 follow"),
        "endless pfm": (".pfm", b"Pf\n999999 999999\n-1\n", "claims shape"),
    }


def picture(mode):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("fault", hostile(__import__("pathlib").Path("x")))
def test_hostile_maps_are_refused_by_name_and_the_others_still_score(make_benchmark, tmp_path, fault):
    ending, data, message = hostile(tmp_path)[fault]
    root = make_benchmark(images=3, pairs=2)
    folder = declare(tmp_path / "maps")
    store(folder, root, WRITERS[".npy"], ".npy")
    good = folder / photos(root)[1]
    good.with_suffix(".npy").unlink()
    bad = good.with_suffix(ending)
    bad.write_bytes(data)
    result = da2k.evaluate(f"predictions:{folder}", root).result
    assert result.counts.invalid == 2
    (failure,) = result.failures
    assert bad.name in failure.reason
    assert message in failure.reason
    assert not (tmp_path / "canary").exists()


def test_a_bomb_is_refused_without_taking_its_memory(tmp_path):
    import tracemalloc

    path = tmp_path / "bomb.npz"
    path.write_bytes(zipped(depth=npy_claiming((14_000, 14_000), bytes(10_000_000))))
    tracemalloc.start()
    with pytest.raises(BadInput):
        read_map(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_missing_map_is_missing_and_two_maps_are_refused(make_benchmark, tmp_path):
    root = make_benchmark(images=3, pairs=2)
    folder = declare(tmp_path / "maps")
    store(folder, root, WRITERS[".npy"], ".npy")
    first, second, _ = photos(root)
    (folder / first).with_suffix(".npy").unlink()
    np.savez(str((folder / second).with_suffix(".npz")), np.zeros((3, 3)))
    result = da2k.evaluate(f"predictions:{folder}", root).result
    assert (result.counts.missing, result.counts.invalid) == (2, 2)
    assert "stands beside it" in result.failures[1].reason


def test_maps_of_another_aspect_are_refused_unless_declared_stretched(make_benchmark, tmp_path):
    root = make_benchmark(images=2, pairs=2)
    for aspect, invalid in (("kept", 4), ("stretched", 0)):
        folder = declare(tmp_path / aspect, aspect=aspect)
        store(folder, root, lambda path, v: np.save(path, np.resize(v, (300, 100))), ".npy")
        result = da2k.evaluate(f"predictions:{folder}", root).result
        assert result.counts.invalid == invalid
        assert all("another aspect ratio" in failure.reason for failure in result.failures)


DECLARATIONS = {
    "no file": (None, "predictions.yaml: is missing"),
    "no mapping": ("- a", "must hold fields"),
    "no YAML": ("a: [", "cannot be read as YAML"),
    "no kind": ("model: a", "field kind is missing"),
    "no model": ("kind: affine_depth", "field model is missing"),
    "unknown kind": ("{model: a, kind: depth}", 'kind "depth" is unknown'),
    "unknown field": ("{model: a, kind: affine_depth, scal: 2}", 'unknown field "scal"; did you mean "scale"'),
    "a misspelt field": ("{model: a, kimd: affine_depth}", 'unknown field "kimd"; did you mean "kind"'),
    "negative scale": ("{model: a, kind: affine_depth, scale: -1}", "scale: "),
    "a scale that is no number": ("{model: a, kind: affine_depth, scale: .nan}", "scale: "),
    "a Python object": ("!!python/object/apply:os.mkdir ['canary']", "cannot be read as YAML"),
}


@pytest.mark.parametrize("fault", DECLARATIONS)
def test_declarations_are_checked_field_by_field(tmp_path, fault, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, message = DECLARATIONS[fault]
    (tmp_path / "maps").mkdir()
    if text is not None:
        (tmp_path / "maps/predictions.yaml").write_text(text)
    with pytest.raises(BadInput, match=r"predictions\.yaml") as caught:
        load_model("predictions:maps")
    assert message in str(caught.value)
    assert not (tmp_path / "canary").exists()


def test_a_folder_that_is_not_there_and_options_are_refused(tmp_path):
    with pytest.raises(BadInput, match="no such folder of predictions"):
        load_model(f"predictions:{tmp_path / 'none'}")
    with pytest.raises(BadModel, match='unknown option "kind"'):
        load_model(f"predictions:{declare(tmp_path / 'maps')}", {"kind": "affine_depth"})


def test_a_name_that_is_another_name_with_an_ending_keeps_its_own_map(make_benchmark, tmp_path):
    root = make_benchmark(images=1, pairs=6)
    (image,) = photos(root)
    inner, outer = "images/indoor/a.jpg", "images/indoor/a.jpg.png"
    (root / image).rename(root / outer)
    Image.open(root / outer).rotate(180).save(root / inner, quality=100)
    pairs = json.loads((root / "annotations.json").read_text())[image]
    (root / "annotations.json").write_text(json.dumps({inner: pairs, outer: pairs}))
    predict(named(Network()), root, tmp_path / "maps")
    direct = da2k.evaluate(Network(), root, kind="affine_disparity")
    assert da2k.evaluate(f"predictions:{tmp_path / 'maps'}", root).rows.equals(direct.rows)


def test_maps_of_other_options_do_not_mix_into_a_folder(make_benchmark, tmp_path):
    (tmp_path / "m.py").write_text("def make(gain='1'):\n    return lambda pixels: pixels[..., 0] * float(gain)\n")
    root, spec = make_benchmark(images=2), f"python:{tmp_path / 'm.py'}:make"
    given = {"kind": "affine_depth"}
    predict(load_model(spec, given), root, tmp_path / "maps")
    with pytest.raises(
        BadInput, match=r"maps than these \(made with other options, device or versions\); choose another"
    ):
        predict(load_model(spec, {**given, "gain": "2"}), root, tmp_path / "maps")


def test_a_photograph_that_fails_now_keeps_no_map_of_what_it_was(make_benchmark, tmp_path):
    root = make_benchmark(images=2)
    predict(load_model("baseline:row"), root, tmp_path / "maps")
    first = photos(root)[0]
    (root / first).write_bytes(b"")
    predict(load_model("baseline:row"), root, tmp_path / "maps")
    assert not (tmp_path / "maps" / first).with_suffix(".npy").exists()


def test_a_changed_scale_or_photograph_is_read_again(make_benchmark, tmp_path):
    root = make_benchmark(images=3)
    folder = declare(tmp_path / "maps")
    store(folder, root, WRITERS[".npy"], ".npy")
    (folder / photos(root)[0]).with_suffix(".npy").unlink()  # a failure, so that the run could be carried on
    da2k.evaluate(f"predictions:{folder}", root, out=tmp_path / "r.json")
    declare(folder, scale=10)
    scaled = da2k.evaluate(f"predictions:{folder}", root, out=tmp_path / "r.json")
    assert scaled.rows.equals(da2k.evaluate(f"predictions:{folder}", root).rows)


def test_long_and_odd_names_are_written(make_benchmark, tmp_path):
    root = make_benchmark(images=1)
    (image,) = photos(root)
    name = "images/indoor/" + "深" * 78 + "_$_$^.png"
    (root / image).rename(root / name)
    content = (root / "annotations.json").read_text().replace(image, name)
    (root / "annotations.json").write_text(content)
    done = predict(load_model("baseline:row"), root, tmp_path / "maps", preview=True)
    assert (done.written, done.failures) == (1, ())


def test_a_folder_is_taken_up_again_whatever_was_imported_in_between(make_benchmark, tmp_path):
    root = make_benchmark(images=2)
    code = f"""
from da2k.evaluation.predict import predict
from da2k.models.registry import load_model
for _ in range(2):  # the first run imports scipy
    done = predict(load_model("baseline:haze"), {str(root)!r}, {str(tmp_path / "maps")!r})
print(done.written)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "2", done.stderr
