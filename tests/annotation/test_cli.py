"""`da2k annotate` as people run it: what it prints, errors on one line, exit codes, and who sees the token."""

import fcntl
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import krippendorff
import numpy as np
import psutil
import pytest

from da2k.annotation.campaign import read_campaign
from da2k.annotation.push import push
from da2k.annotation.studio import ADMIN, LOGIN
from da2k.construction.pipeline import build
from da2k.construction.queue import add_manual_pairs, write_pairs
from da2k.construction.settings import FILE_NAME, change_settings, read_settings
from da2k.construction.workspace import open_workspace
from da2k.pairs import Point, pair_id
from tests.annotation.asked import choice, connect, marked
from tests.annotation.conftest import (
    CHOSEN,
    INDOOR,
    OBJECT,
    PAIRS,
    SIZES,
    MakeCampaign,
    _post_form,
    free_port,
    prepared_environment,
)
from tests.annotation.test_loop import BY_PYTHON, KEYS, Loop, released
from tests.annotation.test_secrets import files_below

TOKEN = "LABEL_STUDIO_API_KEY"
GOLD = {INDOOR: [((1, 1), (90, 90)), ((2, 50), (60, 7)), ((33, 3), (44, 99))]}
"""Pairs whose first point is the closer one."""
GOLD_KEYS = [pair_id(image, Point(*a), Point(*b)) for image, pairs in GOLD.items() for a, b in pairs]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A workspace, not open, in which all stages are done and five pairs wait for people."""
    folder = tmp_path_factory.mktemp("template")
    with ExitStack() as stack:
        workspace = MakeCampaign(folder, stack)()
        assert not any(report.failures for report in build(workspace))
        workspace.db.run("DELETE FROM pairs")
        with workspace.db.transaction():
            write_pairs(workspace, PAIRS)
        add_manual_pairs(workspace, [CHOSEN])
    return folder / "ws"


@pytest.fixture(scope="module")
def pushed(template, studio, tmp_path_factory):
    """The same, once its tasks were sent; copies of it share the projects."""
    folder = shutil.copytree(template, tmp_path_factory.mktemp("pushed") / "ws")
    with open_workspace(folder) as workspace:
        push(workspace, connect(studio), root=studio.root, kinds=["pairs"])
    return folder


@pytest.fixture
def ws(template, tmp_path):
    return shutil.copytree(template, tmp_path / "ws")


@pytest.fixture
def sent(pushed, tmp_path):
    return shutil.copytree(pushed, tmp_path / "ws")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """What the commands find around them: no token, unless one is given."""
    monkeypatch.setenv("DA2K_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(TOKEN, raising=False)

    def made(token=None):
        return {**os.environ, **({TOKEN: token} if token else {})}

    return made


@pytest.fixture
def da2k(tmp_path, environment):
    """Runs `da2k …` beside the workspace, without a terminal: its stdout and stderr as lines."""

    def call(*words, code=0, token=None):
        done = subprocess.run(
            [sys.executable, "-m", "da2k", *map(str, words)],
            env=environment(token),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=300,
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        assert not token or token not in done.stdout + done.stderr
        return done.stdout.splitlines(), done.stderr.splitlines()

    return call


@pytest.fixture
def annotate(da2k):
    return lambda *words, **more: da2k("annotate", *words, **more)


@pytest.fixture
def refused(annotate):
    """Runs `da2k annotate …`, which is refused: its one line."""

    def call(*words, **more):
        out, err = annotate(*words, code=1, **more)
        assert out == []
        assert len(err) == 1, err
        assert err[0].startswith("error: ")
        assert "<" not in err[0]
        return err[0]

    return call


@pytest.fixture
def place(studio):
    """The options that say where the server is, and from which folder it shows pictures."""
    return "--url", studio.url, "--root", studio.root


def row(lines, name):
    (found,) = [line.split() for line in lines if line.split()[:1] == [name]]
    return found[1:]


def write_gold(path, gold=GOLD):
    pairs = {
        image: [{"point1": a, "point2": b, "closer_point": "point1"} for a, b in pairs] for image, pairs in gold.items()
    }
    path.write_text(json.dumps(pairs))
    return path


def project_of(folder, kind="pairs"):
    with open_workspace(folder, read_only=True) as workspace:
        return read_campaign(workspace, kind).project


def tasks_of(studio, project):
    return tasks_at(studio.url, project, studio.token)


def command_lines():
    """Of all processes there are now."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return found


def alpha_of(said):
    """By a package that da2k does not use; `said` is pair → person → what the person says."""
    people = sorted({person for each in said.values() for person in each})
    words = ["point1", "point2", "cannot_tell", "bad_sample"]
    values = [[words.index(each[who]) if who in each else np.nan for each in said.values()] for who in people]
    return krippendorff.alpha(values, level_of_measurement="nominal")


def test_from_queued_pairs_to_a_release_with_three_people(annotate, da2k, studio, place, ws, tmp_path):
    out, err = annotate("gold", "ws", write_gold(tmp_path / "gold.json"), "--share", 0.25)
    assert out == ["gold: 3 pairs in the file: 3 new; 3 held now", "next: da2k annotate push ws"]
    assert err == ["da2k.yaml: annotation.gold = 0.25 (was 0.05)"]

    out, err = annotate("push", "ws", *place, token=studio.token)
    pairs, photos = project_of(ws), project_of(ws, "photos")
    assert out == [
        "pairs (which point is closer): 7 sent",  # five that are queued, and two of gold
        f"people answer here: {studio.url}/projects/{pairs}/data?labeling=1",
        "photos (pairs to choose by hand): 1 sent",
        f"people answer here: {studio.url}/projects/{photos}/data?labeling=1",
        "next, when people have answered: da2k annotate pull ws",
    ]
    assert err == []
    assert len(tasks_of(studio, pairs)) == 7
    assert not any("gold" in json.dumps(task["data"] | task["meta"]) for task in tasks_of(studio, pairs))

    people = {name: studio.person(name) for name in ("ann", "bo", "cy", "dee")}
    means = {
        "ann": {KEYS[1]: "point2"},
        "bo": {KEYS[1]: "point1", **dict.fromkeys(GOLD_KEYS, "point2")},
        "cy": {KEYS[1]: "point2", KEYS[2]: "cannot_tell"},
        "dee": {KEYS[1]: "point2"},
    }
    for each in means.values():
        each |= {KEYS[3]: "point2", KEYS[4]: "point2"}
    with open_workspace(ws, read_only=True) as workspace:
        loop = Loop(studio, workspace, people)
        for name in ("ann", "bo", "cy"):
            assert len(loop.answer(name, means[name])) == 7
        loop.hand_in("ann", next(loop.tasks("ann", "photos")), marked((70, 20), (4, 9), SIZES[OBJECT]))

    out, err = annotate("pull", "ws", token=studio.token)
    assert out == [
        "pairs: 21 annotations, 21 new; 21 answers count",
        "photos: 1 annotation, 1 new",
        "next: 2 of 6 queued pairs wait for people: da2k annotate push ws",
    ]
    assert [line for line in err if "chosen by hand" in line] == [
        "pairs chosen by hand and queued, to be pushed and checked: 1"
    ]
    assert not [line for line in err if "not queued" in line], "gold answers are expected"

    out, err = annotate("status", "ws")
    title = next(line for line in out if line.startswith("scenario ")).split()
    total = dict(zip(title[1:], row(out, "total"), strict=True))
    alpha = alpha_of({pair: each for pair, each in loop.said.items() if pair not in GOLD_KEYS})
    assert float(total.pop("alpha")) == pytest.approx(alpha, abs=0.006)
    assert total == {
        **{"queued": "6", "sent": "5", "open": "0", "unchecked": "1", "dissent": "1", "kept": "3", "dropped": "1"},
        **{"skipped": "0", "photos": "1/1"},
    }
    assert "dropped: 1 cannot tell" in out
    assert row(out, "ann@example.org")[:2] == ["8", "0"]
    assert row(out, "bo@example.org")[:2] == ["7", "0"]
    right = {name: re.search(rf"{name}@.* (\d/\d) ", "\n".join(out))[1] for name in ("ann", "bo", "cy")}
    assert right == {"ann": "2/2", "bo": "0/2", "cy": "2/2"}
    assert "gold pairs held: 3" in out

    found = json.loads("\n".join(annotate("status", "ws", "--json")[0]))
    assert found["total"]["agreement"]["alpha"] == pytest.approx(alpha, abs=1e-9)
    assert {each["person"]: each["answers"] for each in found["people"]} == {
        **{"ann@example.org": 8, "bo@example.org": 7, "cy@example.org": 7}
    }
    assert (found["campaigns"]["pairs"]["url"], found["campaigns"]["pairs"]["project"]) == (studio.url, pairs)
    tags = [read_tag(ws, kind) for kind in ("pairs", "photos")]
    assert not any(tag in json.dumps(found) for tag in tags)

    only_pairs = ("--only", "pairs")
    out, _ = annotate("push", "ws", "--root", studio.root, *only_pairs, token=studio.token)
    assert out[0] == (
        "pairs (which point is closer): 1 sent, 1 there already, 1 given to one more person, since people differ"
    )
    chosen = f"{OBJECT}#4,9-70,20"
    with open_workspace(ws, read_only=True) as workspace:
        loop.workspace = workspace
        loop.said[chosen] = {"ann": "point2"}
        assert loop.answer("ann", {}) == {}
        for name in ("bo", "cy"):
            assert {*loop.answer(name, {chosen: "point2"})} == {chosen}
        assert {*loop.answer("dee", means["dee"])} == {KEYS[1]}
    out, err = annotate("pull", "ws", *only_pairs, token=studio.token)
    assert out[0] == "pairs: 25 annotations, 4 new; 24 answers count"  # of who chose a pair, the marking counts
    assert out[-1] == "next: all 6 queued pairs are decided: da2k build release ws OUT"

    out, _ = da2k("build", "release", "ws", "out")
    assert row(out, "total") == ["3", "5", "3", "2", "0"]
    for key in GOLD_KEYS:
        loop.said.pop(key, None)
    assert released(tmp_path / "out") == loop.expected()
    assert len(loop.expected()) == 5
    assert not [path for path, data in files_below(tmp_path).items() if studio.token.encode() in data]


def read_tag(folder, kind):
    with open_workspace(folder, read_only=True) as workspace:
        return read_campaign(workspace, kind).tag


def test_one_of_the_two_into_a_project_of_one_s_own_in_another_mode(annotate, refused, studio, place, ws):
    made = studio.api("POST", "/api/projects/", json={"title": "ours"}).json()["id"]
    words = ("--only", "pairs", "--project", made, "--mode", "review")
    out, err = annotate("push", "ws", *place, *words, token=studio.token)
    assert out[0] == "pairs (which point is closer): 5 sent"
    assert out[1] == f"people answer here: {studio.url}/projects/{made}/data?labeling=1"
    assert not any("photos" in line for line in out)
    assert err[0] == "da2k.yaml: annotation.mode = review (was independent)"
    assert read_settings(ws / FILE_NAME).annotation.mode == "review"
    assert len(tasks_of(studio, made)) == 5
    assert studio.api("GET", f"/api/projects/{made}").json()["maximum_annotations"] == 1
    assert project_of(ws, "photos") is None


def test_usage_that_makes_no_sense(annotate, ws):
    for words, needle in [
        (["push", "ws", "--project", 3], "--only"),
        (["push", "ws", "--file", "out", "--url", "http://127.0.0.1:9"], "--url"),
        (["pull", "ws", "--file", "x.json", "--everything"], "other options"),
        (["push", "ws", "--token", "x"], "No such option"),
    ]:
        out, err = annotate(*words, code=2)
        assert out == []
        assert needle in " ".join(err), words
    assert not (ws.parent / "out").exists()
    assert read_settings(ws / FILE_NAME).annotation.mode == "independent"


def test_without_a_server_that_can_be_reached(annotate, studio, ws, tmp_path):
    """Only the import and the export, which people do by hand in the browser, ask it."""
    change_settings(ws / FILE_NAME, {"annotation.mode": "review", "checks.checks": 0})
    out, err = annotate("push", "ws", "--file", "files", "--only", "pairs", "--mode", "independent")
    assert err == ["da2k.yaml: annotation.mode = independent (was review)"]
    assert "import by hand: files/pairs" in out
    assert not (tmp_path / "files/photos").exists()
    xml = (tmp_path / "files/pairs/interface.xml").read_text()
    title = {"title": "by hand", "label_config": xml}
    project = studio.api("POST", "/api/projects/", json=title).json()["id"]
    tasks = json.loads((tmp_path / "files/pairs/tasks.json").read_text())
    assert sorted(task["meta"]["pair"] for task in tasks) == sorted(KEYS)
    assert all(task["data"]["image"].startswith("data:image/jpeg;base64,") for task in tasks)
    assert studio.api("POST", f"/api/projects/{project}/import", json=tasks).status_code == 201
    for task in tasks_of(studio, project):
        result = {"result": choice("tie" if task["meta"]["pair"] == BY_PYTHON else "A"), "lead_time": 2}
        done = studio.api("POST", f"/api/tasks/{task['id']}/annotations/", studio.person("ann").token, json=result)
        assert done.status_code == 201
    exported = studio.api("GET", f"/api/projects/{project}/export?exportType=JSON")
    (tmp_path / "export.json").write_bytes(exported.content)
    out, err = annotate("pull", "ws", "--file", "export.json")
    assert out[0] == "file: 5 annotations, 5 new; 5 answers count"
    assert "next: all 5 queued pairs are decided: da2k build release ws OUT" in out
    out, _ = annotate("status", "ws")
    assert row(out, "total")[5:7] == ["4", "1"]
    assert "dropped: 1 cannot tell" in out


def test_the_token_is_asked_for_on_a_terminal_and_not_shown(environment, studio, sent, tmp_path):
    shown, code, seen = on_a_terminal(["pull", "ws"], studio.token, environment(), tmp_path)
    assert code == 0, shown
    assert f"Token for {studio.url} (from {studio.url}/user/account):" in shown
    assert "pairs: 0 annotations; 0 answers count" in shown
    assert studio.token not in shown
    assert [line for line in seen if b"annotate\0pull" in line], "the command was seen"
    assert not [line for line in seen if studio.token.encode() in line]
    assert not [path for path, data in files_below(tmp_path).items() if studio.token.encode() in data]


def on_a_terminal(words, typed, given, folder):
    """Run `da2k annotate …` on a terminal of its own, and type a line once it is not shown any more.

    Returns what the terminal showed, the exit code, and the command lines of all processes just before and after.
    """
    screen, line = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "da2k", "annotate", *words],
        env=given,
        cwd=folder,
        stdin=line,
        stdout=line,
        stderr=line,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(line)
    shown, seen = b"", command_lines()
    while b"Token" not in shown:
        shown += os.read(screen, 4096)
    while termios.tcgetattr(screen)[3] & termios.ECHO:
        assert process.poll() is None
        time.sleep(0.01)
    os.write(screen, f"{typed}\n".encode())
    seen += command_lines()
    while True:
        try:
            more = os.read(screen, 4096)
        except OSError:  # Linux says so when the other end is closed
            break
        if not more:
            break
        shown += more
    os.close(screen)
    return " ".join(shown.decode().split()), process.wait(60), seen


def test_without_a_token_and_without_a_terminal(refused, ws):
    told = refused("push", "ws", "--url", "http://127.0.0.1:9")
    assert told == (
        f"error: no token: set {TOKEN}; make one in Label Studio, Account & Settings, Personal Access Token: "
        "http://127.0.0.1:9/user/account"
    )


def test_bad_input_is_one_line(refused, ws, tmp_path):
    nowhere = f"http://127.0.0.1:{free_port()}"
    before = {path: data for path, data in files_below(ws).items() if ".sqlite" not in path.name}
    for command in ("push", "serve"):
        told = refused(command, "absent", token="x")
        assert "absent/da2k.yaml: no such file" in told
        assert "da2k build init" in told
    assert "ws: nothing was pushed yet" in refused("pull", "ws", token="x")
    assert "nothing answers there" in refused("push", "ws", "--url", nowhere, token="x")
    assert '"foo" is no address of a server' in refused("push", "ws", "--url", "foo", token="x")
    assert "absent.json: No such file" in refused("pull", "ws", "--file", "absent.json")
    assert "absent.json" in refused("gold", "ws", "absent.json")
    assert "gold.json" in refused(
        "gold", "ws", write_gold(tmp_path / "gold.json", {"images/indoor/no.png": GOLD[INDOOR]})
    )
    after = {path: data for path, data in files_below(ws).items() if ".sqlite" not in path.name}
    assert after == before
    (tmp_path / "taken").write_text("a file")
    assert "taken" in refused("push", "ws", "--file", "taken")


def test_what_the_server_refuses_is_one_line(refused, studio, place, sent, template, tmp_path):
    token = "0123456789abcdef0123456789abcdef01234567"
    told = refused("pull", "ws", token=token)
    assert f"{studio.url}: the token is refused" in told
    assert token not in told
    xml = '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="x"/></Choices></View>'
    another = studio.api("POST", "/api/projects/", json={"title": "another", "label_config": xml}).json()["id"]
    two = shutil.copytree(template, tmp_path / "two")
    told = refused("push", "two", *place, "--only", "pairs", "--project", another, token=studio.token)
    assert f'project {another} "another"' in told
    assert "another interface" in told
    with open_workspace(two) as workspace:
        push(workspace, connect(studio), root=studio.root, kinds=["pairs"])
    gone = project_of(two)
    assert studio.api("DELETE", f"/api/projects/{gone}/").status_code == 204
    told = refused("push", "two", token=studio.token)
    assert f"project {gone} is not on {studio.url} any more" in told
    assert "--new-project" in told


def test_a_photograph_that_changed_stops_its_own_tasks_only(annotate, ws):
    (ws / INDOOR).write_bytes((ws / OBJECT).read_bytes())
    out, err = annotate("push", "ws", "--file", "files", "--only", "pairs", code=1)
    assert out[0] == "pairs (which point is closer): 3 written"
    (told,) = err
    assert told.startswith(f"failed: {INDOOR}: ")
    assert "not the file that was taken in any more" in told


def test_status_before_any_push_says_what_comes_next(annotate, ws):
    out, err = annotate("status", "ws")
    assert row(out, "total")[:3] == ["5", "0", "5"]
    assert out[-1] == "next: da2k annotate push ws --url URL, or first a server: da2k annotate serve ws"
    assert err == []
    with open_workspace(ws) as workspace:
        workspace.db.run("DELETE FROM pairs")
    assert annotate("status", "ws")[0] == ["nothing is queued; next: da2k build run ws"]


def test_a_refused_mode_leaves_the_settings_alone(refused, studio, place, sent):
    before = (sent / FILE_NAME).read_bytes()
    told = refused("push", "ws", *place, "--mode", "review", token=studio.token)
    assert "begun with annotation.mode independent" in told
    assert (sent / FILE_NAME).read_bytes() == before


def test_serve_and_ctrl_c_and_serve_again(annotate, environment, ws, tmp_path):
    port = free_port()
    with serving(port, environment(), tmp_path) as (process, told):
        url, email, password = told["Label Studio"], told["e-mail"], told["password"]
        assert (url, email) == (f"http://127.0.0.1:{port}", ADMIN)
        assert json.loads((ws / "label-studio" / LOGIN).read_text())["password"] == password
        token = log_in(url, email, password)
        out, _ = annotate("push", "ws", "--url", url, "--only", "pairs", token=token)
        assert out[0] == "pairs (which point is closer): 5 sent"
        lines = command_lines()
        assert [line for line in lines if b"annotate\0serve" in line], "the command was seen"
        assert not [line for line in lines if password.encode() in line or token.encode() in line]
        servers = psutil.Process(process.pid).children(recursive=True)
        assert servers
        with open_workspace(ws, read_only=True) as workspace:
            known = sorted(workspace.db.run("SELECT external_id FROM tasks"))
        tasks = tasks_at(url, project_of(ws), token)
        assert [(external_id(task),) for task in tasks] == known
    assert (process.returncode, told["stderr"]) == (0, "stopped\n")
    assert not psutil.wait_procs(servers, timeout=0)[1]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health", trust_env=False)

    with serving(port, environment(), tmp_path) as (process, told):
        assert (told["Label Studio"], told["e-mail"], told["password"]) == (url, email, password)
        assert log_in(url, email, password) == token
        out, _ = annotate("push", "ws", "--only", "pairs", token=token)
        assert out[0] == "pairs (which point is closer): 5 there already"
        assert tasks_at(url, project_of(ws), token) == tasks
    assert process.returncode == 0


def external_id(task):
    return task["data"]["external_id"]


def tasks_at(url, project, token):
    """All tasks of a project, with all there is of each."""
    given = {"Authorization": f"Token {token}"}
    what = {"project": project, "page_size": 1000, "fields": "all"}
    asked = httpx.get(f"{url}/api/tasks", params=what, headers=given, trust_env=False, timeout=60)
    return sorted(asked.json()["tasks"], key=external_id)


@contextmanager
def serving(port, given, folder):
    """`da2k annotate serve ws`, and what it says by the word before the colon; ended by Ctrl-C."""
    with subprocess.Popen(
        [sys.executable, "-m", "da2k", "annotate", "serve", "ws", "--port", str(port)],
        env={**given, "DA2K_LABEL_STUDIO": str(prepared_environment().parent)},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            told = {}
            for line in process.stdout:
                name, _, value = line.partition(":")
                told[name.strip()] = value.strip()
                if "Ctrl-C" in line:
                    break
            assert process.poll() is None, process.stderr.read()
            yield process, told
        finally:
            process.send_signal(signal.SIGINT)
            try:
                told["stderr"] = process.communicate(timeout=60)[1]
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def log_in(url, email, password):
    """Log in as a browser does, and give the token that Account & Settings shows."""
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as browser:
        _post_form(browser, "/user/login/", email=email, password=password)
        return browser.get("/api/current-user/token").json()["token"]


def test_a_busy_port_is_one_line(refused, ws, monkeypatch):
    monkeypatch.setenv("DA2K_LABEL_STUDIO", str(prepared_environment().parent))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert refused("serve", "ws", "--port", port) == f"error: port {port} is busy; choose another with --port"
