"""The token is seen nowhere but by the server: not printed, logged, stored, in no error and on no command line."""

import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from da2k.annotation.pull import pull
from da2k.annotation.push import push
from da2k.annotation.server import Patience, Server
from da2k.errors import Da2kError
from tests.annotation.fault_proxy import PAGE, fault_proxy
from tests.annotation.test_server import answering

CANARY = "ca4a12" * 6 + "cafe"
QUICK = Patience(timeout=0.5, attempts=2, wait=0.01)


def everything_about(error):
    """All that could be printed of an error: its chain, and the local variables of all frames of da2k's."""
    chain, each = [], error
    while each is not None and each not in chain:
        chain.append(each)
        each = each.__cause__ or each.__context__
    told = []
    for each in chain:
        traced = traceback.TracebackException.from_exception(each, capture_locals=True)
        frames = [str(frame.locals) for frame in traced.stack if f"{os.sep}da2k{os.sep}" in frame.filename]
        assert frames or each is not error
        told += [repr(each), str(each), str(vars(each)), *traceback.format_exception(each, chain=False), *frames]
    return "".join(told)


def files_below(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (401, b'{"detail": "Invalid token."}', {"Content-Type": "application/json"}),
        (403, b'{"detail": "Invalid token %s."}' % CANARY.encode(), {"Content-Type": "application/json"}),
        (400, b'{"validation_errors": {"token": ["%s"]}}' % CANARY.encode(), {"Content-Type": "application/json"}),
        (500, PAGE + CANARY.encode(), {"Content-Type": "text/html"}),
        (502, PAGE + CANARY.encode(), {"Content-Type": "text/html"}),
        (302, b"", {"Location": "http://127.0.0.1:9/"}),
        (200, PAGE + CANARY.encode(), {"Content-Type": "text/html"}),
    ],
)
def test_in_no_error_and_no_log(status, body, headers, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    with answering(status, body, headers) as (url, seen):
        with pytest.raises(Da2kError) as caught:
            Server(url, CANARY, QUICK)
        assert seen[0] == f"Token {CANARY}", "the canary was really sent"
    told = everything_about(caught.value)
    assert CANARY not in told
    assert "Something went wrong" not in told
    assert caplog.records, "something was logged"
    assert CANARY not in caplog.text
    assert CANARY not in "".join(capsys.readouterr())


def test_in_no_error_after_a_time_out_or_a_cut(studio, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    with fault_proxy(studio.url, delay=2) as proxy:
        for faults in (["slow"] * 2, ["before"] * 2, ["half"] * 2):
            proxy.faults = iter(faults)
            with pytest.raises(Da2kError) as caught:
                Server(proxy.url, studio.token, QUICK)
            assert studio.token not in everything_about(caught.value)
    assert studio.token not in caplog.text
    assert studio.token not in "".join(capsys.readouterr())


def test_a_server_does_not_show_it(studio):
    server = Server(studio.url, studio.token)
    assert studio.token not in repr(server)
    assert studio.token not in str(server)


def test_after_success_it_is_in_no_file_and_no_log(studio, campaign, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    server = Server(studio.url, studio.token)
    push(campaign, server, root=studio.root)
    pull(campaign, server)
    assert studio.token not in caplog.text
    assert "HTTP Request" in caplog.text, "requests were logged"
    assert studio.token not in "".join(capsys.readouterr())
    files = {**files_below(campaign.folder), **files_below(studio.root)}
    assert len(files) > 10
    assert not [path for path, data in files.items() if studio.token.encode() in data]


def test_on_no_command_line(studio, make_campaign):
    """The command itself, watched from outside while it runs."""
    folder = make_campaign().folder
    make_campaign.stack.close()
    seen: list[bytes] = []

    def look(*_):
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                try:
                    seen.append((process / "cmdline").read_bytes())
                except OSError:
                    continue

    with fault_proxy(studio.url) as proxy:
        proxy.on_request = look
        command = [sys.executable, "-m", "da2k", "annotate", "push", str(folder), "--url", proxy.url]
        done = subprocess.run(
            [*command, "--root", str(studio.root)],
            env={**os.environ, "LABEL_STUDIO_API_KEY": studio.token},
            capture_output=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()
    assert [line for line in seen if b"annotate" in line], "the command was seen"
    assert not [line for line in seen if studio.token.encode() in line]
    assert studio.token.encode() not in done.stdout + done.stderr
    assert not [path for path, data in files_below(folder).items() if studio.token.encode() in data]
