"""A Label Studio of one's own: its environment, which is not this project's, and its server on this machine.

Label Studio pins its own versions of what this project uses too, so it is installed beside, never into, this project's
environment. The server listens on 127.0.0.1 only, keeps everything in one folder, and sends nothing to its makers.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from da2k.errors import BadInput, Da2kError, Unreachable
from da2k.files import home, write_atomically

VERSION = "1.23.2"
"""Of Label Studio: the one that everything here was tested with."""

DATABASE = "label_studio.sqlite3"
LOG = "label-studio.log"
LOGIN = "login.json"
"""What `run` keeps in its folder of data: the database, what the server writes, and the first user's login."""
ADMIN = "admin@localhost"

_HOST = "127.0.0.1"
_LOCK = ".lock.sqlite"
_WHOLE = ".whole"
_ANNOUNCEMENT = "Starting development server at http://"
_PIP_SETTINGS = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PIP_CONSTRAINT", "PIP_REQUIREMENT")

# Runs inside Label Studio's environment. Its standard input is a pipe that ends when the process at the other end does,
# however that ends, so that no server is left behind.
_PROGRAM = """
import os, signal, sys, threading
pipe = os.dup(0)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
def end_with_the_other_end():
    while os.read(pipe, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end_with_the_other_end, daemon=True).start()
signal.signal(signal.SIGINT, signal.SIG_IGN)
from label_studio.server import main
sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A Label Studio server that runs.

    Attributes:
        url: where it is, without a slash at its end.
        email, password: of its first user, who may do everything. The password is the one it was made with.
        log: what the server writes.
    """

    url: str
    email: str
    password: str = field(repr=False)
    log: Path
    _process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the server still runs."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait until the server ends, which it does not of itself.

        Raises:
            Da2kError: it ended.
        """
        self._process.wait()
        raise _ended(self._process, self.log)


def default_folder() -> Path:
    """Where Label Studio's environment is: `DA2K_LABEL_STUDIO` if it is set, else beside the downloaded data."""
    chosen = os.environ.get("DA2K_LABEL_STUDIO")
    return Path(chosen).expanduser().absolute() if chosen else home() / "label-studio"


def is_prepared(folder: Path) -> bool:
    """Whether `prepare` has nothing to do."""
    environment = folder / VERSION
    return _is_installed(environment) and (environment / "template" / DATABASE).is_file()


def prepare(folder: Path, say: Callable[[str], object] | None = None) -> Path:
    """Install Label Studio (300 MB are downloaded, once) and make the empty database that new servers begin with.

    What was cut short is done again, and only that. Two processes do not get into each other's way.

    Args:
        folder: is made; FOLDER/<version> holds the environment.
        say: told what is done now, in one line.

    Returns:
        The environment, for `run`.

    Raises:
        Unreachable: the packages could not be installed.
        BadInput: the folder cannot be written to, or this Python can make no environment.
    """
    environment = (folder / VERSION).absolute()
    if is_prepared(folder):
        return environment
    say = say or (lambda _: None)
    try:
        environment.mkdir(parents=True, exist_ok=True)
        with _alone(environment, 1800.0, "another process prepares it, and does not finish"):
            if not _is_installed(environment):
                say(f"installing Label Studio {VERSION} into {environment} (once, a minute or two)")
                _install(environment)
            if not (environment / "template" / DATABASE).is_file():
                say("making the empty database that new servers begin with (once, half a minute)")
                _make_template(environment)
    except OSError as e:
        raise BadInput(f"{environment}: cannot be written ({e.strerror or e})") from None
    return environment


@contextmanager
def run(environment: Path, data: Path, *, port: int, document_root: Path, patience: float = 120.0) -> Iterator[Running]:
    """Run a Label Studio server as long as the block does; it ends with this process, however that ends.

    Its first user is made when the folder of data is new, with a password of its own; legacy tokens are on, so that
    the user's token can be copied from Account & Settings. Nothing of the caller's environment reaches the server.

    Args:
        environment: what `prepare` made.
        data: everything the server writes, the login too; only the owner may read it. Is made if it is not there.
        port: of 127.0.0.1.
        document_root: a folder that the server may show files of, those in its sub-folders; made if it is not there.
        patience: seconds that the server may take to start.

    Raises:
        BadInput: the port is busy, a server runs on this folder of data already, or a folder cannot be used.
        Da2kError: the server did not start; the message tells the end of its log.
    """
    environment, data, document_root = environment.absolute(), data.absolute(), document_root.absolute()
    if data.resolve().is_relative_to(document_root.resolve()):
        raise BadInput(
            f"{data}: lies in the folder whose files the server shows ({document_root}), so that people could read the "
            "server's own database; choose another"
        )
    try:
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(0o700)
        document_root.mkdir(parents=True, exist_ok=True)
        for folder in (data / "home", data / "tmp"):
            folder.mkdir(exist_ok=True)
        with _alone(data, 0.0, "a Label Studio server runs on this folder already"):
            _require_free(port)
            email, password = _login(data)
            if not (data / DATABASE).exists():
                _put_template(environment, data)
            given = {
                **_environment(data),
                "LABEL_STUDIO_USERNAME": email,
                "LABEL_STUDIO_PASSWORD": password,
                "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(document_root),
                "LABEL_STUDIO_ALLOWED_HOSTS": f"{_HOST},localhost",
            }
            options = ("start", "--no-browser", "--internal-host", _HOST, "--port", str(port))
            with _started(environment, options, given, data / LOG) as process:
                _await(process, port, data / LOG, patience)
                yield Running(f"http://{_HOST}:{port}", email, password, data / LOG, process)
    except OSError as e:
        raise BadInput(f"{e.filename or data}: {e.strerror or e}") from None


def _python(environment: Path) -> Path:
    folder, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return environment / "venv" / folder / name


def _is_installed(environment: Path) -> bool:
    # The Python that an environment was made with can be removed from under it.
    return (environment / "venv" / _WHOLE).is_file() and _python(environment).exists()


def _install(environment: Path) -> None:
    venv, log = environment / "venv", environment / "install.log"
    shutil.rmtree(venv, ignore_errors=True)
    given = {name: value for name, value in os.environ.items() if name not in _PIP_SETTINGS}
    pip = ("-m", "pip", "install", "--disable-pip-version-check", "--no-input", f"label-studio=={VERSION}")
    with log.open("wb") as f:
        for python, *rest in ((sys.executable, "-m", "venv", str(venv)), (str(_python(environment)), *pip)):
            command = [python, "-I", *rest]
            done = subprocess.run(command, env=given, stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.STDOUT)
            if done.returncode and "venv" in rest:
                raise BadInput(f"{venv}: {sys.executable} can make no environment: {_last_line(log)}; see {log}")
            if done.returncode:
                raise Unreachable(f"Label Studio {VERSION} was not installed: {_last_line(log)}; see {log}")
    write_atomically(venv / _WHOLE, lambda f: f.write(VERSION.encode()))


def _make_template(environment: Path) -> None:
    """A database with all tables and no user: the keys and the first user are each server's own."""
    half, whole, log = environment / "half-template", environment / "template", environment / "template.log"
    for folder in (half, whole):
        shutil.rmtree(folder, ignore_errors=True)
    (half / "home").mkdir(parents=True)
    (half / "tmp").mkdir()
    log.unlink(missing_ok=True)
    with _started(environment, ("init", "--quiet"), _environment(half), log) as process:
        if process.wait():
            raise _ended(process, log)
    whole.mkdir()
    (half / DATABASE).replace(whole / DATABASE)
    shutil.rmtree(half)


def _environment(data: Path) -> dict[str, str]:
    """All that the server finds in its environment: it reads many names there, some as common as PORT or DEBUG."""
    machine = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
    own = {
        "BASE_DATA_DIR": str(data),
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "ENABLE_LEGACY_API_TOKEN": "true",
        "LOCAL_FILES_SERVING_ENABLED": "true",
        "CORS_ALLOW_ALL_ORIGINS": "false",
        "LATEST_VERSION_CHECK": "false",
        "COLLECT_ANALYTICS": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "LOG_LEVEL": "WARNING",
        "DEBUG": "false",
        "HOST": "",
    }
    folders = {name: str(data / "home") for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    return {
        "PATH": os.defpath,
        "GIT_DIR": os.devnull,  # it takes a repository around its environment for its own, and writes that down
        "LANG": "C.UTF-8",
        **machine,
        **folders,
        **{name: str(data / "tmp") for name in ("TMPDIR", "TEMP", "TMP")},
        **{f"LABEL_STUDIO_{name}": value for name, value in own.items()},
    }


@contextmanager
def _started(
    environment: Path, options: tuple[str, ...], given: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Label Studio's; it is ended with the block, and no other is touched."""
    if not _is_installed(environment):
        raise _unprepared(environment)
    # Not in the caller's directory, which may be removed; nor in its group, to which a terminal sends Ctrl-C.
    command = [str(_python(environment)), "-I", "-B", "-u", "-X", "utf8", "-c", _PROGRAM, *options]
    with (
        log.open("wb") as f,
        subprocess.Popen(
            command,
            env=given,
            cwd=given["HOME"],
            stdin=subprocess.PIPE,
            stdout=f,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _await(process: subprocess.Popen[bytes], port: int, log: Path, patience: float) -> None:
    """Wait until the server answers: it, and not another one that took the port meanwhile."""
    for _ in range(int(patience / 0.1)):
        if process.poll() is not None:
            raise _ended(process, log)
        told = log.read_text(encoding="utf-8", errors="replace")
        where = told.partition(_ANNOUNCEMENT)[2].partition("\n")[0].strip().rstrip("/")
        if where and where != f"{_HOST}:{port}":
            raise BadInput(f"port {port} is busy; choose another with --port")
        if where and _is_healthy(port):
            return
        time.sleep(0.1)
    raise Da2kError(f"Label Studio did not start within {patience:g} s; see {log}")


def _is_healthy(port: int) -> bool:
    connection = HTTPConnection(_HOST, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _require_free(port: int) -> None:
    if not 1 <= port <= 65535:
        raise BadInput(f"port {port}: a port is a number from 1 to 65535")
    with socket.socket() as listener:
        if os.name != "nt":  # there, this lets two listen on one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
            listener.listen()
        except OSError as e:
            why = "is busy" if not isinstance(e, PermissionError) else "may not be used"
            raise BadInput(f"port {port} {why}; choose another with --port") from None


def _put_template(environment: Path, data: Path) -> None:
    try:
        template = (environment / "template" / DATABASE).read_bytes()
    except FileNotFoundError:
        raise _unprepared(environment) from None
    write_atomically(data / DATABASE, lambda f: f.write(template))


def _login(data: Path) -> tuple[str, str]:
    """The first user's e-mail address and password, made before there is a database."""
    path = data / LOGIN
    if not path.exists() and not (data / DATABASE).exists():
        made = {"email": ADMIN, "password": secrets.token_urlsafe(15)}
        half = path.with_suffix(".half")
        half.unlink(missing_ok=True)
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as f:
            json.dump(made, f)
            f.flush()
            os.fsync(f.fileno())
        half.replace(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return str(content["email"]), str(content["password"])
    except (ValueError, KeyError, TypeError, FileNotFoundError):
        what = '{"email": "' + ADMIN + '", "password": …}'
        raise BadInput(f"{path}: has to hold the first user's login, {what}; put it back") from None


def _unprepared(environment: Path) -> BadInput:
    return BadInput(f"{environment}: holds no Label Studio {VERSION}, or only a part; prepare it again")


@contextmanager
def _alone(folder: Path, patience: float, otherwise: str) -> Iterator[None]:
    """Hold a folder; the lock is SQLite's, so that it goes with the process however that ends."""
    try:
        held = sqlite3.connect(folder / _LOCK, isolation_level=None, timeout=patience)
        held.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as e:
        raise BadInput(f"{folder}: {otherwise if 'locked' in str(e) else e}") from None
    try:
        yield
    finally:
        held.close()


def _ended(process: subprocess.Popen[bytes], log: Path) -> Da2kError:
    code = process.returncode
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    return Da2kError(f"Label Studio {how}: {_last_line(log)}; see {log}")


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return next((line[:200] for line in reversed(errors or lines) if line), "it wrote nothing")
