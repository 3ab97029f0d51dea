"""Models known by name: what the zoo says of them, and how their checkpoints come from the hub."""

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from da2k.errors import BadModel
from da2k.images import Photo
from da2k.models.registry import ADAPTERS, load_model, zoo

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RELEASED = [name for name, entry in zoo().items() if entry.status == "available"]


@pytest.mark.parametrize("name", zoo())
def test_entries_are_complete_and_their_adapters_exist(name: str) -> None:
    entry = zoo()[name]
    assert (entry.spec is None) == (entry.status == "not released")
    if entry.spec is not None:
        prefix, _, target = entry.spec.partition(":")
        module, _, function = ADAPTERS[prefix].partition(":")
        assert callable(getattr(import_module(module), function))
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", target)
    assert entry.licence
    assert entry.input
    assert re.fullmatch(r"arXiv:\d{4}\.\d{5}", entry.paper or "")
    assert (entry.da2k_accuracy is None) == (entry.da2k_source is None)
    assert entry.da2k_accuracy is None or 50 < entry.da2k_accuracy <= 100


def test_accuracies_are_those_of_the_papers_table(shared: Path) -> None:
    facts = json.loads((shared / "data" / "facts" / "paper_tables_2_3_5_14.json").read_text())
    for size, letter in {"small": "S", "base": "B", "large": "L", "giant": "G"}.items():
        stated = facts["table3_accuracy_pct"][f"DAv2 ViT-{letter}"]
        assert zoo()[f"depth-anything-v2-{size}"].da2k_accuracy == stated


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_model_loads_from_a_folder_as_the_zoo_says(checkpoint: Callable[[str], Path], name: str) -> None:
    version = "2" if "v2" in name else "1"
    folder = checkpoint(f"depth_anything_v{version}")
    model = load_model(name, {"path": str(folder)}, "cpu")
    record = model.record
    assert (model.device, model.dtype) == ("cpu", "float32")
    assert (record.name, record.spec, record.kind) == (name, name, zoo()[name].kind)
    assert f"Depth Anything V{version}:" in str(record.preprocessing)


def test_what_was_not_released_is_not_looked_for() -> None:
    with pytest.raises(BadModel, match="was not released by its authors"):
        load_model("depth-anything-v2-giant")


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
