"""Label Studio's own environment, and its server on this machine: real processes, real ports."""

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from da2k.annotation.server import Patience, Server
from da2k.annotation.studio import DATABASE, LOG, LOGIN, VERSION, default_folder, is_prepared, prepare, run
from da2k.errors import BadInput, Da2kError, Unreachable
from tests.annotation.conftest import Studio, free_port, prepared_environment

HOSTILE = {
    "DEBUG": "release",
    "CI": "github",
    "PORT": "1",
    "HOST": "http://elsewhere.example",
    "USERNAME": "somebody",
    "PASSWORD": "secret",
    "LABEL_STUDIO_HOST": "http://elsewhere.example",
    "LABEL_STUDIO_PORT": "2",
    "LABEL_STUDIO_DATABASE_NAME": "/nowhere/x.sqlite3",
    "LABEL_STUDIO_BASE_DATA_DIR": "/nowhere",
    "DJANGO_DB": "postgresql",
    "DJANGO_SETTINGS_MODULE": "elsewhere",
    "PYTHONPATH": "/nowhere",
    "PYTHONHOME": "/nowhere",
    "http_proxy": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
}


def listening(pid: int) -> set[tuple[str, int]]:
    """The addresses that a process listens on, from the kernel's tables."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        target = str(entry.readlink())
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            local, _, state, *rest = line.split()[1:]
            if state == "0A" and rest[5] in inodes:
                address, port = local.split(":")
                found.add((address, int(port, 16)))
    return found


def is_gone(pid: int) -> bool:
    """Whether there is no such process, or only its remains."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def await_gone(pid: int) -> bool:
    for _ in range(300):
        if is_gone(pid):
            return True
        time.sleep(0.1)
    return False


def check_database(data: Path) -> None:
    with sqlite3.connect(data / DATABASE) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


def made_project(studio: Studio, title: str) -> int:
    return int(studio.api("POST", "/api/projects", json={"title": title}).json()["id"])


def titles(studio: Studio) -> set[str]:
    return {project["title"] for project in studio.api("GET", "/api/projects").json()["results"]}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs the kernel's tables in /proc")
def test_the_server_listens_on_this_machine_only(studio):
    assert listening(studio.running.pid) == {("0100007F", studio.port)}
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://[::1]:{studio.port}/health", trust_env=False)


def test_it_is_the_version_that_is_named(studio):
    told = studio.api("GET", "/api/version").json()
    assert told["release"] == VERSION
    assert told["label-studio-os-backend"]["version"].startswith(VERSION), "not that of a repository around it"


def test_other_names_and_other_pages_are_refused(studio):
    """A page of another origin, or one whose name was made to point here, reads nothing."""
    foreign = httpx.get(f"{studio.url}/health", headers={"Host": "evil.example"}, trust_env=False)
    assert foreign.status_code == 400
    asked = httpx.get(f"{studio.url}/health", headers={"Origin": "http://evil.example"}, trust_env=False)
    assert "access-control-allow-origin" not in asked.headers
    assert httpx.get(f"{studio.url}/user/signup/", trust_env=False).status_code in (200, 403)
    form = httpx.post(f"{studio.url}/user/signup/", data={"email": "x@example.org"}, trust_env=False)
    assert form.status_code == 403, "nobody signs up without an invitation"


def test_only_the_owner_reads_its_data_and_the_password_is_in_no_log(studio):
    assert stat.S_IMODE(studio.data.stat().st_mode) == 0o700
    assert stat.S_IMODE((studio.data / LOGIN).stat().st_mode) == 0o600
    kept = json.loads((studio.data / LOGIN).read_text())
    assert kept == {"email": studio.running.email, "password": studio.running.password}
    log = (studio.data / LOG).read_text()
    assert kept["password"] not in log
    assert studio.token not in log
    assert kept["password"] not in repr(studio.running)
    command = Path(f"/proc/{studio.running.pid}/cmdline")
    if command.exists():
        assert kept["password"].encode() not in command.read_bytes()


def test_a_busy_port_is_refused(studio, tmp_path):
    with (
        pytest.raises(BadInput, match=rf"^port {studio.port} is busy; choose another with --port$"),
        run(studio.environment, tmp_path / "data", port=studio.port, document_root=tmp_path / "root"),
    ):
        pass
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        with (
            pytest.raises(BadInput, match="is busy"),
            run(studio.environment, tmp_path / "data", port=port, document_root=tmp_path / "root"),
        ):
            pass


def test_one_server_a_folder(studio, tmp_path):
    with (
        pytest.raises(BadInput, match="a Label Studio server runs on this folder already"),
        run(studio.environment, studio.data, port=free_port(), document_root=tmp_path / "root"),
    ):
        pass
    assert studio.running.is_alive


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_is_a_number_up_to_65535(tmp_path, port):
    with (
        pytest.raises(BadInput, match="from 1 to 65535"),
        run(prepared_environment(), tmp_path / "data", port=port, document_root=tmp_path / "root"),
    ):
        pass


def test_the_servers_own_data_are_never_among_the_files_it_shows(tmp_path):
    for root in (tmp_path, tmp_path / "data", tmp_path / "x" / ".."):
        with (
            pytest.raises(BadInput, match="so that people could read the server's own database"),
            run(prepared_environment(), tmp_path / "data", port=free_port(), document_root=root),
        ):
            pass


def test_it_stops_cleanly_and_starts_again_with_the_same_data(studio):
    made_project(studio, "Before the stop")
    pid, password = studio.running.pid, studio.running.password
    studio.stop()
    assert is_gone(pid)
    check_database(studio.data)
    studio.start()
    assert studio.running.password == password
    assert "Before the stop" in titles(studio)


def test_killed_it_starts_again_with_the_same_data(studio):
    made_project(studio, "Before the kill")
    pid = studio.running.pid
    studio.kill()
    assert is_gone(pid)
    check_database(studio.data)
    studio.start()
    assert "Before the kill" in titles(studio)
    assert Server(studio.url, studio.token, Patience(attempts=1)).user == studio.admin.id


def test_an_environment_may_be_named_from_the_current_folder(tmp_path, monkeypatch):
    environment = prepared_environment().absolute()
    monkeypatch.chdir(environment.parent)
    monkeypatch.setenv("DA2K_LABEL_STUDIO", ".")
    assert default_folder() == environment.parent
    port = free_port()
    with run(Path(VERSION), tmp_path / "data", port=port, document_root=tmp_path / "root") as running:
        assert httpx.get(f"{running.url}/health", trust_env=False).status_code == 200


def test_a_server_that_ends_by_itself_is_told(studio):
    served = studio.running
    os.kill(served.pid, 15)
    with pytest.raises(Da2kError, match=r"^Label Studio was ended by SIGTERM: .*; see .*label-studio\.log$"):
        served.wait()
    assert not served.is_alive
    studio.stop()
    studio.start()


def files_below(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}


def test_the_callers_environment_does_no_harm_and_nothing_is_written_elsewhere(tmp_path):
    """In a process of its own, in a hostile environment; its home and its folder stay empty, and killed, it ends."""
    environment = prepared_environment()
    before = files_below(environment)
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    code = (
        "import sys; from pathlib import Path; from da2k.annotation.studio import run\n"
        "with run(Path(sys.argv[1]), Path(sys.argv[2]), port=int(sys.argv[3]), document_root=Path(sys.argv[4])) as r:\n"
        "    print(r.pid, flush=True); r.wait()"
    )
    port = free_port()
    arguments = [str(environment), str(tmp_path / "data"), str(port), str(tmp_path / "root")]
    given = {k: v for k, v in HOSTILE.items() if not k.startswith("PYTHON")}
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={"PATH": os.defpath, "HOME": str(home), "TMPDIR": str(here), **given},
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pid = process.stdout.readline().strip()
        if not pid:
            pytest.fail(process.communicate()[1])
        assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).json() == {"status": "UP"}
        inherited = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        process.kill()  # the caller, not the server
    assert await_gone(int(pid)), "the server ends with the process that started it"
    assert not {f"{name}={value}" for name, value in HOSTILE.items()} & set(inherited)
    assert not list(home.iterdir())
    assert not list(here.iterdir())
    assert {each.name for each in tmp_path.iterdir()} == {"home", "here", "data", "root"}
    assert not list((tmp_path / "root").iterdir())
    assert files_below(environment) == before
    check_database(tmp_path / "data")


def test_a_server_that_cannot_start_says_why_in_one_line(tmp_path):
    environment, data = prepared_environment(), tmp_path / "data"
    data.mkdir()
    (data / DATABASE).write_text("no database, but long enough to be looked at as one" * 20)
    with (
        pytest.raises(BadInput, match=rf"{LOGIN}: has to hold the first user's login"),
        run(environment, data, port=free_port(), document_root=tmp_path / "root"),
    ):
        pass
    (data / LOGIN).write_text('{"email": "admin@localhost", "password": "a password"}')
    with (
        pytest.raises(Da2kError, match=r"^Label Studio ended with 1: .*not a database; see .*label-studio\.log$"),
        run(environment, data, port=free_port(), document_root=tmp_path / "root"),
    ):
        pass


def test_ctrl_c_ends_the_server_in_order(tmp_path):
    environment, port = prepared_environment(), free_port()
    code = (
        "import sys; from pathlib import Path; from da2k.annotation.studio import run\n"
        "data, root = Path(sys.argv[2]) / 'data', Path(sys.argv[2]) / 'root'\n"
        "try:\n"
        "    with run(Path(sys.argv[1]), data, port=int(sys.argv[3]), document_root=root) as running:\n"
        "        print(running.pid, flush=True); running.wait()\n"
        "except KeyboardInterrupt: print('stopped')"
    )
    command = [sys.executable, "-c", code, str(environment), str(tmp_path), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate()
    assert (process.returncode, rest, errors) == (0, "stopped\n", "")
    assert is_gone(pid)
    check_database(tmp_path / "data")


def test_what_is_no_environment_is_told(tmp_path):
    with (
        pytest.raises(BadInput, match="holds no Label Studio"),
        run(tmp_path / "nothing", tmp_path / "data", port=free_port(), document_root=tmp_path / "root"),
    ):
        pass


def test_the_folder_is_chosen_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DA2K_LABEL_STUDIO", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("DA2K_LABEL_STUDIO")
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    assert default_folder() == tmp_path / "home" / "label-studio"


@pytest.fixture
def small_package(tmp_path, monkeypatch) -> Path:
    """A package named label-studio, which pip installs instead of the real one: what its `init` does, and no more."""
    source = tmp_path / "source"
    (source / "label_studio").mkdir(parents=True)
    (source / "label_studio" / "__init__.py").touch()
    (source / "label_studio" / "server.py").write_text(
        "import os, sqlite3, sys\n"
        "def main():\n"
        "    folder = os.environ['LABEL_STUDIO_BASE_DATA_DIR']\n"
        "    assert sys.argv[1:] == ['init', '--quiet']\n"
        f"    sqlite3.connect(os.path.join(folder, '{DATABASE}')).execute('create table t (x)')\n"
    )
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels / f"label_studio-{VERSION}-py3-none-any.whl", source)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


def write_wheel(path: Path, source: Path) -> None:
    import zipfile

    about = f"label_studio-{VERSION}.dist-info"
    files = {each.relative_to(source).as_posix(): each.read_text() for each in source.rglob("*.py")}
    files[f"{about}/METADATA"] = f"Metadata-Version: 2.1\nName: label-studio\nVersion: {VERSION}\n"
    files[f"{about}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{about}/RECORD": record}.items():
            archive.writestr(name, text)


def test_what_was_cut_short_is_prepared_again(tmp_path, small_package):
    folder, said = tmp_path / "folder", []
    half = folder / VERSION / "venv"
    (half / "bin").mkdir(parents=True)
    (half / "bin" / "python").write_text("half a file")
    (folder / VERSION / "half-template").mkdir()
    assert not is_prepared(folder)
    environment = prepare(folder, said.append)
    assert environment == folder / VERSION
    assert is_prepared(folder)
    assert [line.split()[0] for line in said] == ["installing", "making"]
    assert {each.name for each in (environment / "template").iterdir()} == {DATABASE}, "no key and no user is in it"

    (environment / "template" / DATABASE).unlink()
    python = (half / "bin" / "python").lstat().st_ino
    assert not is_prepared(folder)
    prepare(folder, said.append)
    assert said[2:] == said[1:2], "only what is missing is made again"
    assert (half / "bin" / "python").lstat().st_ino == python
    prepare(folder, said.append)
    assert len(said) == 3


def test_an_environment_whose_python_is_gone_is_prepared_again(tmp_path, small_package):
    environment = prepare(tmp_path / "folder")
    python = environment / "venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    assert not is_prepared(tmp_path / "folder")
    prepare(tmp_path / "folder")
    assert python.exists()


def test_what_cannot_be_installed_is_one_line_and_not_taken_for_done(tmp_path, small_package):
    for wheel in small_package.iterdir():
        wheel.unlink()
    with pytest.raises(
        Unreachable, match=r"^Label Studio [\d.]+ was not installed: .*label-studio.*; see .*install\.log$"
    ):
        prepare(tmp_path / "folder")
    assert not is_prepared(tmp_path / "folder")


def test_two_prepare_at_once(tmp_path, small_package):
    code = "import sys; from pathlib import Path; from da2k.annotation.studio import prepare\n"
    code += "prepare(Path(sys.argv[1]), print)"
    command = [sys.executable, "-c", code, str(tmp_path / "folder")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("installing" in text for text in told) == 1
    assert is_prepared(tmp_path / "folder")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be written"):
        prepare(tmp_path / "file" / "folder")
