import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

BROKEN = "---\nid: broken\ntitle: Broken\nactions:\n  - {id: x, title: X, uses: process/restart}\n---\nIts text.\n"


@pytest.fixture
def serve(tmp_path):
    """Starts `suture serve` with those arguments; what it says goes to files."""
    started = []

    def start(*arguments, **environment):
        command = [sys.executable, "-c", "from service.cli.main import run; run()", "serve", *arguments]
        with (tmp_path / "said").open("w") as said:
            process = subprocess.Popen(
                command, cwd=tmp_path, stdout=said, stderr=said, env={**os.environ, **environment}
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def said(tmp_path):
    return (tmp_path / "said").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "{busy}"], "another program listens on 127.0.0.1:{busy}; choose another port with --port"),
        (["--host", "203.0.113.1"], "203.0.113.1 is no address of this machine"),
        (["--port", "0", "--data", "file/state"], "cannot hold the state: a file is in its place"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_2(serve, tmp_path, arguments, words):
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        busy = listener.getsockname()[1]
        process = serve(*(argument.format(busy=busy) for argument in arguments))
        assert process.wait(30) == 2
        assert said(tmp_path).startswith("suture: ")
        assert words.format(busy=busy) in said(tmp_path)
        assert said(tmp_path).count("\n") == 1
    assert not (tmp_path / "suture-state").exists()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_broken_runbook_is_said_once_the_rest_is_served_and_the_end_is_clean(serve, tmp_path, end):
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "broken.md").write_text(BROKEN)
    (tmp_path / "books" / "plain.md").write_text("# Plain\n\nIts text.\n")
    process = serve("--port", "0", SUTURE_RUNBOOKS='["books"]')
    deadline = time.monotonic() + 30
    while "INFO service.serving: role all at " not in said(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    url = said(tmp_path).split("role all at ")[1].split(",")[0]
    key = (tmp_path / "suture-state" / "admin.key").read_text().strip()
    request = urllib.request.Request(f"{url}/v1/runbooks", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        corpus = json.load(answer)
    assert {item["id"] for item in corpus["items"]} == {"broken", "plain"}
    assert [(each["file"], each["line"]) for each in corpus["problems"]] == [("books/broken.md", 5)]
    process.send_signal(end)
    assert process.wait(20) == 0
    assert said(tmp_path).count("books/broken.md:5: ") == 1
    assert "Traceback" not in said(tmp_path)
