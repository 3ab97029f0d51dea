"""Models known by name: what the zoo says of them, and how their checkpoints come from the hub."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from runpy import run_path

import pytest
from pydantic import ValidationError
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner
from werkzeug import Request, Response

from da2k.cli import app
from da2k.errors import BadModel
from da2k.images import Photo
from da2k.models.registry import ADAPTERS, ZooEntry, load_model, zoo


def _prefix(name: str) -> str:
    return str(zoo()[name].spec).partition(":")[0]


COMMIT = "0123456789abcdef0123456789abcdef01234567"
AVAILABLE = [name for name, entry in zoo().items() if entry.status == "available"]
LIKE = {
    "depth-anything": "depth_anything_v1",
    "depth-anything-v2": "depth_anything_v2",
    "depth-anything-v2-metric": "depth_anything_metric",
    "midas-v3.1-beit": "dpt_beit",
    "dpt-large": "dpt",
    "dpt-hybrid": "dpt_hybrid",
    "zoedepth": "zoedepth",
    "zoedepth-nyu-kitti": "zoedepth_two_heads",
    "depth-pro": "depth_pro",
    "glpn": "glpn",
}
"""Names, or how they start (the longest counts) → the tiny checkpoint of the same family."""

PLAIN = {"spec": "hf:owner/name", "kind": "metric_depth", "licence": "MIT", "input": "any", "paper": "arXiv:2401.00001"}


def test_the_zoo_has_the_models_that_da2k_is_about() -> None:
    sizes = ("small", "base", "large")
    wanted = {f"depth-anything{version}-{size}" for version in ("", "-v2") for size in sizes}
    wanted |= {f"depth-anything-v2-metric-{scene}-{size}" for scene in ("indoor", "outdoor") for size in sizes}
    wanted |= {"depth-anything-v2-giant", "marigold-v1-0", "marigold-v1-1", "marigold-lcm", "geowizard-v1"}
    wanted |= {"geowizard-v2", "midas-v3.1-beit-large-512", "dpt-large", "dpt-hybrid-midas", "depth-pro", "depthfm"}
    wanted |= {"zoedepth-nyu", "zoedepth-kitti", "zoedepth-nyu-kitti", "glpn-nyu", "glpn-kitti"}
    assert wanted <= set(zoo())
    assert {name: entry.status for name, entry in zoo().items() if entry.status != "available"} == {
        "depth-anything-v2-giant": "not released",
        "depthfm": "not supported",
    }


@pytest.mark.parametrize("name", AVAILABLE)
def test_every_adapter_exists(name: str) -> None:
    module, _, function = ADAPTERS[_prefix(name)].partition(":")
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"license": "MIT"}, "license"),
        ({"spec": "hf:name"}, "spec"),
        ({"spec": None}, "spec"),
        ({"status": "not released"}, "spec"),
        ({"spec": None, "status": "not supported", "revision": COMMIT}, "revision"),
        ({"revision": COMMIT[:7]}, "revision"),
        ({"revision": "main"}, "revision"),
        ({"revision": 1234567890123456789012345678901234567890}, "revision"),
        ({"base": "stable diffusion"}, "base"),
        ({"kind": "depth"}, "kind"),
        ({"parameters": "many"}, "parameters"),
        ({"licence": "apache-2.0"}, "licence"),
        ({"licence": None}, "licence"),
        ({"licence": "LicenseRef-own"}, "licence_url"),
        ({"licence": "LicenseRef-own", "licence_url": "on request"}, "licence_url"),
        ({"paper": None}, "paper"),
        ({"paper": "https://arxiv.org/abs/2401.00001"}, "paper"),
        ({"da2k_accuracy": 97.0}, "da2k_source"),
        ({"da2k_source": "hearsay"}, "da2k_accuracy"),
        ({"da2k_accuracy": "97", "da2k_source": "hearsay"}, "da2k_accuracy"),
        ({"status": "soon"}, "status"),
    ],
)
def test_the_schema_refuses_what_is_no_entry(change: dict[str, object], complaint: str) -> None:
    assert ZooEntry.model_validate(PLAIN).status == "available"
    with pytest.raises(ValidationError, match=complaint):
        ZooEntry.model_validate(PLAIN | change)


def test_no_two_entries_are_the_same_weights() -> None:
    entries = [(entry.spec, str(entry.options)) for entry in zoo().values() if entry.spec]
    assert len(set(entries)) == len(entries)
    revisions = [entry.revision for entry in zoo().values() if entry.revision]
    assert len(set(revisions)) == len(revisions)


def test_accuracies_are_those_of_the_papers_table(shared: Path) -> None:
    facts = json.loads((shared / "data" / "facts" / "paper_tables_2_3_5_14.json").read_text())
    stated = facts["table3_accuracy_pct"]
    table = {
        "depth-anything-v2-small": stated["DAv2 ViT-S"],
        "depth-anything-v2-base": stated["DAv2 ViT-B"],
        "depth-anything-v2-large": stated["DAv2 ViT-L"],
        "depth-anything-v2-giant": stated["DAv2 ViT-G"],
        "marigold-v1-0": stated["Marigold"],
        "geowizard-v1": stated["Geowizard"],
        "depthfm": stated["DepthFM"],
    }
    assert {
        name: entry.da2k_accuracy for name, entry in zoo().items() if "Table 3" in (entry.da2k_source or "")
    } == table


def test_accuracies_of_a_third_party_are_its_own(shared: Path) -> None:
    lines = (shared / "data" / "facts" / "depthanythingac_da2k_conditions.csv").read_text().splitlines()
    measured = {tuple(line.split(",")[:2]): float(line.split(",")[2]) for line in lines[1:]}
    table = {
        "depth-anything-small": measured["DepthAnything V1", "ViT-S"],
        "depth-pro": measured["DepthPro", "ViT-S"],
    }
    assert {
        name: (entry.da2k_accuracy or 0) / 100
        for name, entry in zoo().items()
        if "third party" in (entry.da2k_source or "")
    } == pytest.approx(table)


@pytest.mark.parametrize("name", [name for name in AVAILABLE if _prefix(name) == "hf"])
def test_a_model_loads_from_a_folder_as_the_zoo_says(checkpoint: Callable[[str], Path], name: str) -> None:
    family = LIKE[max((start for start in LIKE if name.startswith(start)), key=len)]
    model = load_model(name, {"path": str(checkpoint(family))}, "cpu")
    record = model.record
    assert (model.device, model.dtype) == ("cpu", "float32")
    assert (record.name, record.spec, record.kind) == (name, name, zoo()[name].kind)
    assert "stated by the user" not in str(record.preprocessing)
    if "depth-anything" in name:
        assert f"Depth Anything V{2 if 'v2' in name else 1}:" in str(record.preprocessing)


@pytest.mark.parametrize("name", ["dpt-large", "depth-anything-v2-small", "glpn-nyu", "marigold-v1-1"])
def test_a_kind_against_the_zoos_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=f"{name}: option kind=scale_invariant_depth: its maps are {zoo()[name].kind}"):
        load_model(name, {"path": str(tmp_path), "kind": "scale_invariant_depth"}, "cpu")


def test_a_diffusion_model_loads_from_a_folder_as_the_zoo_says(tmp_path: Path) -> None:
    pytest.importorskip("diffusers")
    run_path(str(Path(__file__).with_name("tiny_marigold.py")))["save"](tmp_path)
    for name in (name for name in AVAILABLE if _prefix(name) == "marigold"):
        record = load_model(name, {"path": str(tmp_path)}, "cpu").record
        assert (record.name, record.spec, record.kind) == (name, name, zoo()[name].kind)


@pytest.mark.parametrize("name", [name for name in AVAILABLE if _prefix(name) == "geowizard"])
def test_a_geowizard_loads_from_one_folder_with_all_its_parts(shared: Path, name: str) -> None:
    pytest.importorskip("diffusers")
    folder = shared / "reference" / "geowizard" / "checkpoint"
    record = load_model(name, {"path": str(folder)}, "cpu").record
    assert (record.name, record.spec, record.kind) == (name, name, zoo()[name].kind)
    assert f"GeoWizard {name[-1]}:" in str(record.preprocessing)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("depth-anything-v2-giant", "was not released by its authors"),
        ("depthfm", "is not supported yet; run its authors' code, save its depth maps, and score predictions:FOLDER"),
    ],
)
def test_what_cannot_be_had_is_not_looked_for(name: str, what: str) -> None:
    with pytest.raises(BadModel, match=what):
        load_model(name)


def test_the_pinned_revision_is_loaded_and_no_other(checkpoint: Callable[[str], Path], tmp_path: Path) -> None:
    entry = zoo()["glpn-nyu"]
    repository = tmp_path / "hub" / "models--vinvino02--glpn-nyu"
    for commit, family in ((str(entry.revision), "glpn"), (COMMIT, "depth_anything_metric")):
        shutil.copytree(checkpoint(family), repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    program = (
        "import sys; from da2k.models.registry import load_model\n"
        "for options in ({}, {'revision': 'main'}, {'path': 'vinvino02/glpn-nyu'}):\n"
        "    record = load_model('glpn-nyu', options, 'cpu').record\n"
        "    print(record.revision, record.preprocessing.split(':')[0])\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    other = f"{COMMIT} original Depth Anything V2"
    assert done.stdout.splitlines()[1:] == [other, other], done.stderr
    assert done.stdout.startswith(f"{entry.revision} the checkpoint's GLPN")


def test_evaluate_knows_every_name_and_says_how_to_go_on_without_a_network(
    make_benchmark: Callable[..., Path], tmp_path: Path
) -> None:
    program = (
        "import sys; from da2k.cli import main\n"
        "benchmark, *names = sys.argv[1:]\n"
        "for name in names:\n"
        "    sys.argv = ['da2k', 'evaluate', name, '--benchmark', benchmark]\n"
        "    try: main()\n"
        "    except SystemExit as e: print(name, e.code)\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "DA2K_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-c", program, str(make_benchmark()), *AVAILABLE],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [f"{name} 1" for name in AVAILABLE], done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == len(AVAILABLE)
    for name, line in zip(AVAILABLE, lines, strict=True):
        assert line.startswith("error: ")
        assert str(zoo()[name].spec).partition(":")[2] in line
        assert "HF_HUB_OFFLINE is set" in line
        assert "--model-option path=" in line


def test_list_and_show_print_the_whole_zoo() -> None:
    def da2k(*words: str) -> str:
        done = CliRunner().invoke(app, ["models", *words], catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    for name, line in zip(zoo(), da2k("list").splitlines()[2 : 2 + len(zoo())], strict=True):
        assert line.split()[:3] == [name, zoo()[name].kind, zoo()[name].licence]
    everything = {name: json.loads(entry.model_dump_json()) for name, entry in zoo().items()}
    assert json.loads(da2k("list", "--json")) == everything
    for name, fields in everything.items():
        assert json.loads(da2k("show", name, "--json")) == fields
        shown = dict(line.split(":", 1) for line in da2k("show", name).splitlines())
        for field, value in fields.items():
            if isinstance(value, dict):
                assert all(f"{k}={v}" in shown[field] for k, v in value.items())
            elif value is not None:
                assert shown[field].strip() == str(value)


class Hub:
    """A hub of one repository, OWNER/NAME, that counts what it is asked, and a machine with empty caches."""

    def __init__(self, server: HTTPServer, repository: Path, home: Path) -> None:
        self.repository = repository
        self.asked: list[str] = []
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING", "DA2K_"))}
        self.environment |= {"HF_HOME": str(home), "HF_ENDPOINT": server.url_for("").rstrip("/"), "NO_PROXY": "*"}
        self.environment |= {"HF_HUB_DISABLE_XET": "1"}
        server.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def local_folder(self, target: str, revision: str | None = None, **environment: str) -> str:
        """What `local_folder` gives or says in a process of its own; the hub's client reads its settings once."""
        program = (
            "import sys; from da2k.errors import Da2kError; from da2k.models.hub import local_folder\n"
            f"try: print(local_folder({target!r}, {revision!r}))\n"
            "except Da2kError as e: print(f'{type(e).__name__}: {e}')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], env=self.environment | environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1
        return done.stdout.strip()

    def _answer(self, request: Request) -> Response:
        self.asked.append(request.path)
        files = {file.name: file.read_bytes() for file in self.repository.iterdir()}
        if request.path == "/":
            return Response("")
        if re.fullmatch(r"/api/models/owner/name/revision/(main|v1)", request.path):
            return Response(json.dumps({"id": "owner/name", "sha": COMMIT}), content_type="application/json")
        if request.path == f"/api/models/owner/name/tree/{COMMIT}":
            listed = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files.items()
            ]
            return Response(json.dumps(listed), content_type="application/json")
        if request.path.startswith(f"/owner/name/resolve/{COMMIT}/"):
            data = files[request.path.rsplit("/", 1)[1]]
            return Response(data, headers={"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'})
        code = "RevisionNotFound" if request.path.startswith("/api/models/owner/name/") else "RepoNotFound"
        return Response("{}", status=404, headers={"X-Error-Code": code})


@pytest.fixture
def hub(httpserver: HTTPServer, own_checkpoint: Callable[[str], Path], tmp_path: Path) -> Hub:
    return Hub(httpserver, own_checkpoint("glpn"), tmp_path / "hub-home")


def test_a_hub_id_is_fetched_once_and_then_found_without_asking(hub: Hub, photos: list[Photo]) -> None:
    (hub.repository / "training_args.bin").write_bytes(b"not wanted")
    (hub.repository / "pytorch_model.bin").write_bytes(b"not wanted")

    folder = Path(hub.local_folder("owner/name"))

    assert folder.parts[-2:] == ("snapshots", COMMIT)
    assert folder.is_relative_to(hub.environment["HF_HOME"])
    assert sorted(f.name for f in folder.iterdir()) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    model = load_model(f"hf:{folder}", device="cpu")
    assert model.record.revision == COMMIT
    assert model.predict(photos[:1])[0].values.any()

    hub.asked.clear()
    assert hub.local_folder("owner/name") == str(folder)
    assert hub.local_folder("owner/name", COMMIT) == str(folder)
    assert hub.local_folder("owner/name", HF_HUB_OFFLINE="1") == str(folder)
    assert hub.asked == []


def test_half_a_checkpoint_in_the_cache_is_completed(hub: Hub) -> None:
    folder = Path(hub.local_folder("owner/name", "v1"))
    (folder / "model.safetensors").unlink()
    assert hub.local_folder("owner/name", "v1") == str(folder)
    assert (folder / "model.safetensors").read_bytes() == (hub.repository / "model.safetensors").read_bytes()


def test_downloads_go_to_da2ks_own_folder_if_there_is_one(hub: Hub, tmp_path: Path) -> None:
    folder = hub.local_folder("owner/name", DA2K_HOME=str(tmp_path / "own"))
    assert Path(folder).is_relative_to(tmp_path / "own" / "hub")
    elsewhere = hub.local_folder("owner/name")
    hub.asked.clear()
    assert hub.local_folder("owner/name", DA2K_HOME=str(tmp_path / "another")) == elsewhere
    assert hub.asked == []


def test_pickled_weights_are_fetched_only_where_there_are_no_others(hub: Hub) -> None:
    (hub.repository / "model.safetensors").rename(hub.repository / "pytorch_model.bin")
    assert (Path(hub.local_folder("owner/name")) / "pytorch_model.bin").is_file()


def test_what_the_hub_does_not_have_is_said_in_one_line(hub: Hub) -> None:
    assert hub.local_folder("owner/other").startswith("BadModel: hf:owner/other: neither a folder here nor a repos")
    assert 'BadModel: hf:owner/name: option revision: the hub has no "v9"' in hub.local_folder("owner/name", "v9")
    (hub.repository / "model.safetensors").unlink()
    assert "BadModel: hf:owner/name: the repository holds no model.safetensors" in hub.local_folder("owner/name")


@pytest.fixture
def deaf_server() -> Iterator[tuple[str, list[int]]]:
    """The address of a server that hangs up on everyone, and a list that grows by one with every caller."""
    calls: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        closing = threading.Event()

        def hang_up() -> None:
            while not closing.is_set():
                try:
                    caller, _ = listener.accept()
                except TimeoutError:
                    continue
                calls.append(1)
                caller.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", calls
        closing.set()
        thread.join()


def test_with_no_network_one_attempt_is_made_and_the_way_out_is_named(
    hub: Hub, deaf_server: tuple[str, list[int]]
) -> None:
    address, calls = deaf_server
    message = hub.local_folder("owner/name", HF_ENDPOINT=address)
    assert message.startswith(
        f"Unreachable: hf:owner/name: no folder of this name, not in the cache {hub.environment['HF_HOME']}"
    )
    assert f"{address} cannot be asked" in message
    assert "hf:FOLDER" in message
    assert "--model-option path=FOLDER" in message
    assert len(calls) == 1

    offline = hub.local_folder("owner/name", HF_ENDPOINT=address, HF_HUB_OFFLINE="1")
    assert "(HF_HUB_OFFLINE is set)" in offline
    assert len(calls) == 1
    assert hub.asked == []


def test_every_adapter_of_hub_ids_makes_one_attempt(
    hub: Hub, deaf_server: tuple[str, list[int]], make_benchmark: Callable[..., Path], tmp_path: Path
) -> None:
    address, calls = deaf_server
    program = (
        "import sys; from da2k.cli import main\n"
        "for prefix in ('hf', 'marigold', 'geowizard'):\n"
        "    sys.argv = ['da2k', 'evaluate', f'{prefix}:owner/name', '--benchmark', sys.argv[-1]]\n"
        "    try: main()\n"
        "    except SystemExit as e: print(prefix, e.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(make_benchmark())],
        env=hub.environment | {"HF_ENDPOINT": address},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["hf 1", "marigold 1", "geowizard 1"], done.stderr
    lines = done.stderr.splitlines()
    assert [line.partition(":owner/name: ")[0] for line in lines] == [
        "error: hf",
        "error: marigold",
        "error: geowizard",
    ]
    assert all(f"{address} cannot be asked" in line and "path=FOLDER" in line for line in lines)
    assert len(calls) == 3
