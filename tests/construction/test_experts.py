"""What is known of an expert before it is loaded: its ways, what names it, and what is wrong with it."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from da2k.construction import experts
from da2k.construction.experts import Way, check_way, expert_ways, identity_of, told_for_experts
from da2k.construction.settings import Settings
from da2k.errors import BadInput, BadModel, Da2kError, MissingExtra, Unreachable
from da2k.models.local_files import local_files
from da2k.models.registry import load_model, resolve

EXPLODES = "raise AssertionError('this code was run')\n"


def settings_with(*given):
    return Settings.model_validate({"experts": list(given)})


def way_of(model, **options):
    return Way(model, model, model, options)


@pytest.fixture
def workspace(make_workspace):
    return make_workspace({})


@pytest.fixture
def checkpoint(tmp_path):
    """A folder that looks like a checkpoint; what is in its files does not matter to what names it."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_each_expert_comes_before_its_other_ways():
    again = [{"dtype": "float16"}, {"batch_size": "4", "dtype": "bfloat16"}, {"batch_size": "auto"}]
    first = {"model": "hf:a/b", "options": {"version": "2"}, "again": again}
    ways = expert_ways(settings_with(first, {"model": "baseline:row"}))
    assert [way.name for way in ways] == [
        "hf:a/b version=2",
        "hf:a/b version=2 again dtype=float16",
        "hf:a/b version=2 again batch_size=4 dtype=bfloat16",
        "hf:a/b version=2 again batch_size=auto",
        "baseline:row",
    ]
    assert [way.expert for way in ways] == ["hf:a/b version=2"] * 4 + ["baseline:row"]
    assert [way.batch_size for way in ways] == [None, None, 4, "auto", None]
    assert [dict(way.options) for way in ways[:4]] == [
        {"version": "2"},
        {"version": "2", "dtype": "float16"},
        {"version": "2", "dtype": "bfloat16"},
        {"version": "2"},
    ]


def test_one_model_with_two_sets_of_options_is_two_experts():
    ways = expert_ways(settings_with({"model": "hf:a/b"}, {"model": "hf:a/b", "options": {"input_size": "280"}}))
    assert [way.name for way in ways] == ["hf:a/b", "hf:a/b input_size=280"]


@pytest.mark.parametrize("wrong", ["0", "-1", "many", "1.5", ""])
def test_a_wrong_batch_size_is_named(wrong):
    given = {"model": "baseline:row", "again": [{"batch_size": wrong}]}
    with pytest.raises(BadInput, match=r"da2k\.yaml: experts: baseline:row again batch_size=.* 1 or more"):
        expert_ways(settings_with(given, {"model": "baseline:haze"}))


def test_the_same_way_twice_is_refused():
    given = {"model": "baseline:row", "again": [{"batch_size": "2"}, {"batch_size": "2"}]}
    with pytest.raises(BadInput, match=r"baseline:row again batch_size=2.* twice"):
        expert_ways(settings_with(given, {"model": "baseline:haze"}))


def test_an_identity_follows_the_string_the_options_and_the_batches(workspace, checkpoint):
    ways = [
        way_of("baseline:row"),
        way_of("baseline:haze"),
        way_of(f"hf:{checkpoint}"),
        way_of(f"hf:{checkpoint}", kind="affine_disparity"),
        way_of(f"marigold:{checkpoint}"),
        way_of("hf:owner/name"),
        way_of("hf:owner/name", revision="main"),
        way_of("depth-anything-v2-large"),
        way_of("depth-anything-v2-large", path=str(checkpoint)),
        way_of("marigold-v1-0"),
        replace(way_of("baseline:row"), batch_size=4),
    ]
    found = [identity_of(workspace, way) for way in ways]
    assert len(set(found)) == len(ways)
    assert [identity_of(workspace, way) for way in ways] == found


def test_a_zoo_name_is_what_the_zoo_says_of_it(workspace, monkeypatch):
    from da2k.models import registry

    name = "depth-anything-v2-large"
    before = identity_of(workspace, way_of(name))
    other = dict(registry.zoo()) | {name: registry.zoo()[name].model_copy(update={"revision": "a" * 40})}
    monkeypatch.setattr(registry, "zoo", lambda: other)
    assert identity_of(workspace, way_of(name)) != before


def touched(path):
    """The same bytes, at another time."""
    os.utime(path, ns=(1, 1))


def test_changed_weights_change_the_identity_and_touched_ones_do_not(workspace, checkpoint):
    way = way_of(f"hf:{checkpoint}")
    before = identity_of(workspace, way)
    touched(checkpoint / "model.safetensors")
    (checkpoint / ".cache").mkdir()
    (checkpoint / ".cache/download.lock").write_text("what a downloader leaves")
    assert identity_of(workspace, way) == before
    (checkpoint / "model.safetensors").write_bytes(b"others!")
    changed = identity_of(workspace, way)
    assert changed != before
    (checkpoint / "preprocessor_config.json").write_text("{}")
    assert identity_of(workspace, way) not in (before, changed)


def test_every_local_file_that_an_adapter_reads_is_in_the_identity(workspace, tmp_path, checkpoint):
    base, maps, network = tmp_path / "base", tmp_path / "maps", tmp_path / "net.onnx"
    for file in (
        base / "vae/model.safetensors",
        maps / "predictions.yaml",
        maps / "images/indoor/a.npy",
        network,
        tmp_path / "net.onnx.yaml",
        tmp_path / "net.weights",
        tmp_path / "net.tflite",
        tmp_path / "net.yaml",
        tmp_path / "code.py",
        tmp_path / "code.ckpt",
        tmp_path / "original.pth",
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("as it was")
    network.write_bytes(b"\n\x08location\x12\x0bnet.weights")  # how ONNX says that weights lie in another file
    watched = [
        (way_of(f"geowizard:{checkpoint}", base=str(base)), base / "vae/model.safetensors"),
        (way_of("geowizard-v1", path=str(checkpoint)), checkpoint / "model.safetensors"),
        (way_of(f"hf:{tmp_path / 'original.pth'}", version="2"), tmp_path / "original.pth"),
        (way_of(f"predictions:{maps}"), maps / "predictions.yaml"),
        (way_of(f"predictions:{maps}"), maps / "images/indoor/a.npy"),
        (way_of(f"onnx:{network}"), tmp_path / "net.weights"),
        (way_of(f"onnx:{network}"), tmp_path / "net.onnx.yaml"),
        (way_of(f"tflite:{tmp_path / 'net.tflite'}"), tmp_path / "net.tflite"),
        (way_of(f"tflite:{tmp_path / 'net.tflite'}"), tmp_path / "net.yaml"),
        (way_of(f"python:{tmp_path / 'code.py'}:make"), tmp_path / "code.py"),
        (way_of(f"python:{tmp_path / 'code.py'}:make", weights=str(tmp_path / "code.ckpt")), tmp_path / "code.ckpt"),
    ]
    for way, file in watched:
        before = identity_of(workspace, way)
        content = file.read_bytes()
        file.write_bytes(content + b" no more")
        assert identity_of(workspace, way) != before, (way.name, file)
        file.write_bytes(content)
        assert identity_of(workspace, way) == before, (way.name, file)


def test_a_new_map_changes_a_folder_of_maps_and_other_files_do_not(workspace, tmp_path):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/predictions.yaml").write_text("model: m\nkind: affine_depth\n")
    way = way_of(f"predictions:{tmp_path / 'maps'}")
    before = identity_of(workspace, way)
    (tmp_path / "maps/notes.txt").write_text("nothing that is read")
    assert identity_of(workspace, way) == before
    (tmp_path / "maps/a.npy").write_bytes(b"a map")
    assert identity_of(workspace, way) != before


def test_python_code_is_found_and_not_run(workspace, tmp_path, monkeypatch):
    (tmp_path / "outer/inner").mkdir(parents=True)
    (tmp_path / "outer/__init__.py").write_text(EXPLODES)
    (tmp_path / "outer/inner/net.py").write_text(EXPLODES)
    (tmp_path / "alone.py").write_text(EXPLODES)
    monkeypatch.chdir(tmp_path)
    for place, file in (("outer.inner.net", "outer/inner/net.py"), ("alone", "alone.py"), ("alone.py", "alone.py")):
        way = way_of(f"python:{place}:make")
        check_way(way)
        before = identity_of(workspace, way)
        (tmp_path / file).write_text(EXPLODES + "# changed\n")
        assert identity_of(workspace, way) != before
        (tmp_path / file).write_text(EXPLODES)
    with pytest.raises(BadModel, match="this code was run"):
        load_model("python:alone.py:make")


def test_options_of_python_code_need_not_be_paths(workspace, tmp_path):
    (tmp_path / "code.py").write_text(EXPLODES)
    (tmp_path / "written").mkdir()
    options = {"prompt": "near or far? " * 1000, "home": "~nobody-of-this-name/x", "out": str(tmp_path / "written")}
    way = way_of(f"python:{tmp_path / 'code.py'}:make", **options)
    before = identity_of(workspace, way)
    (tmp_path / "written/cache.bin").write_bytes(b"what the model writes")
    assert identity_of(workspace, way) == before


def test_weights_that_are_not_here_any_more_count_as_unchanged_once_they_were_read(workspace, checkpoint):
    way = way_of(f"hf:{checkpoint}")
    before = identity_of(workspace, way)
    workspace.db.run("INSERT INTO experts VALUES (?, ?, '{}', '{}')", way.name, before)
    checkpoint.rename(checkpoint.with_name("elsewhere"))
    assert identity_of(workspace, way) == before
    with pytest.raises(BadModel, match="no folder"):
        check_way(way)
    with pytest.raises(BadModel, match="no folder"):
        identity_of(workspace, replace(way, options={"kind": "affine_disparity"}))
    workspace.db.run("DELETE FROM experts")
    with pytest.raises(BadModel, match="no folder"):
        identity_of(workspace, way)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("depth-anything-v2-lage", {}, 'did you mean "depth-anything-v2-large"'),
        ("depth-anything-v2-giant", {}, "not released"),
        ("baseline:rwo", {}, 'did you mean "row"'),
        ("baseline:row", {"kind": "affine_depth"}, 'unknown option "kind"'),
        ("hf:a/b", {"dtpye": "float16"}, 'unknown option "dtpye"; did you mean "dtype"'),
        ("marigold-v1-0", {"step": "4"}, 'unknown option "step"; did you mean "steps"'),
        ("geowizard-v1", {"ensemble": "none"}, "option ensemble='none'"),
        ("depth-anything-v2-large", {"kind": "metric_depth"}, "its maps are affine_disparity"),
        ("hf:TMP/nothing", {}, "there is no folder"),
        ("hf:TMP/nothing.pth", {"version": "2"}, "no such file"),
        ("geowizard-v1", {"base": "TMP/nothing"}, "there is no folder"),
        ("onnx:TMP/nothing.onnx", {}, "no such file"),
        ("onnx:TMP/net.onnx", {}, "nothing says what its maps mean"),
        ("tflite:TMP/net.tflite", {"kind": "depht"}, "option kind='depht'"),
        ("tflite:TMP/empty.tflite", {"kind": "affine_depth"}, "the file is empty"),
        ("predictions:TMP/nothing", {}, "no such folder of predictions"),
        ("predictions:TMP", {}, "predictions.yaml: is missing"),
        ("python:TMP/nothing.py:make", {}, "no file"),
        ("python:no_such_module_at_all:make", {}, "no module no_such_module_at_all"),
        ("python:json", {}, "write python:<module>:<factory>"),
    ],
)
def test_what_is_wrong_with_an_expert_is_told_without_loading_it(tmp_path, model, options, message):
    (tmp_path / "net.onnx").write_bytes(b"network")
    (tmp_path / "net.tflite").write_bytes(b"network")
    (tmp_path / "empty.tflite").touch()
    model = model.replace("TMP", str(tmp_path))
    options = {key: value.replace("TMP", str(tmp_path)) for key, value in options.items()}
    with pytest.raises(Da2kError) as caught:
        check_way(way_of(model, **options))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "package", "extra"),
    [
        ("hf:owner/name", "torch", "models"),
        ("marigold-v1-0", "diffusers", "models"),
        ("geowizard-v1", "transformers", "models"),
        ("onnx:net.onnx", "onnxruntime", "edge"),
        ("tflite:net.tflite", "ai-edge-litert", "edge"),
    ],
)
def test_a_package_that_is_not_installed_is_told_with_the_extra_that_has_it(monkeypatch, model, package, extra):
    monkeypatch.setattr(experts, "find_spec", lambda name: None if name == package.replace("-", "_") else name)
    with pytest.raises(MissingExtra, match=rf"{package} is not installed.*\[{extra}\]"):
        check_way(way_of(model))


def test_what_can_be_loaded_passes(tmp_path, checkpoint):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/predictions.yaml").write_text("model: m\nkind: affine_depth\n")
    (tmp_path / "net.tflite").write_bytes(b"network")
    for way in (
        way_of("baseline:haze"),
        *expert_ways(Settings()),
        way_of("marigold-v1-0", preset="paper"),
        way_of("geowizard-v1", path=str(checkpoint), base=str(checkpoint)),
        way_of("hf:owner/name", dtype="float16"),
        way_of(f"hf:{checkpoint}"),
        way_of(f"tflite:{tmp_path / 'net.tflite'}", kind="affine_disparity"),
        way_of(f"predictions:{tmp_path / 'maps'}"),
    ):
        check_way(way)


def test_advice_about_an_option_says_how_an_expert_is_given_it(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"network")
    model = f"onnx:{tmp_path / 'net.onnx'}"
    with pytest.raises(BadModel) as caught:
        check_way(way_of(model))
    assert f"--expert '{model} kind=…'" in str(caught.value)
    message = "the hub cannot be reached; name a folder, or --model-option path=FOLDER"
    small = way_of("depth-anything-v2-small")
    with pytest.raises(Unreachable) as caught, told_for_experts(small):
        raise Unreachable(message)
    assert str(caught.value).startswith(message)
    assert "--expert 'depth-anything-v2-small path=FOLDER'" in str(caught.value)
    with pytest.raises(BadModel, match=r"^another thing$"), told_for_experts(small):
        raise BadModel("another thing")


def test_a_module_without_a_file_has_no_files():
    assert local_files(resolve("python:sys:exit")) == []


def test_naming_and_checking_import_nothing_heavy(checkpoint, tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"network")
    code = f"""
import sys
from da2k.construction.experts import Way, check_way
from da2k.models.local_files import local_files
from da2k.models.registry import resolve
for model, options in (
    ("depth-anything-v2-large", {{}}), ("marigold-v1-0", {{}}), ("geowizard-v1", {{"path": {str(checkpoint)!r}}}),
    ({f"onnx:{tmp_path / 'net.onnx'}"!r}, {{"kind": "affine_depth"}}),
):
    check_way(Way("", "", model, options))
    local_files(resolve(model, options))
print({{"torch", "diffusers", "transformers", "onnxruntime", "scipy"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
