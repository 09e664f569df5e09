"""What a program may be, and what may be passed to it: everything else is refused before anything runs."""

import os

import pytest

from models.domain.errors import BadInput
from service.ports import Effect, ExecutorError
from tests.service.executors.script_parts import call, make, program


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("unlisted", [], "unlisted is not allowed"),
        ("ok", ["a\0b"], "arguments do not fit: args.0"),
        ("ok", ["--force"], r"args\[0\] does not match"),
        ("ok", ["fine", "two words"], r"args\[1\] does not match"),
        ("ok", ["fine\n"], r"args\[0\] does not match"),
        ("ok", [""], r"args\[0\] does not match"),
        ("ok", ["x" * 4097], "arguments do not fit: args.0"),
        ("ok", ["x"] * 65, "arguments do not fit: args"),
        ("ok", ["x" * 4000] * 9, "longer than 32768 bytes"),
        ("../ok", [], "arguments do not fit: program"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_runs(tmp_path, name, args, words):
    executor = make(ok=program(tmp_path, "ok", f"open({str(tmp_path / 'ran')!r}, 'w')"))
    for method in (executor.act, executor.dry_run):
        with pytest.raises(ExecutorError, match=words) as caught:
            method(call(name, *args))
        assert caught.value.effect is Effect.ABSENT
    assert not (tmp_path / "ran").exists()


def test_a_program_that_is_replaced_by_a_link_out_of_its_folder_is_refused(tmp_path):
    inside, outside = tmp_path / "programs", tmp_path / "elsewhere"
    inside.mkdir()
    outside.mkdir()
    program(outside, "evil", "pass")
    executor = make(tool=program(inside, "tool", "pass"))
    executor.act(call("tool"))
    (inside / "tool").unlink()
    (inside / "tool").symlink_to(outside / "evil")
    with pytest.raises(ExecutorError, match="leads out of its folder"):
        executor.act(call("tool"))
    with pytest.raises(BadInput, match=r"programs\.tool\.path: .*leads out"):
        make(tool={"path": str(inside / "tool")})


def test_a_program_that_everybody_can_write_or_nobody_can_run_is_refused(tmp_path):
    config = program(tmp_path, "tool", "pass")
    executor = make(tool=config)
    (tmp_path / "tool").chmod(0o757)
    with pytest.raises(ExecutorError, match="chmod o-w"):
        executor.act(call("tool"))
    (tmp_path / "tool").chmod(0o644)
    with pytest.raises(ExecutorError, match="not a file that can be executed"):
        executor.act(call("tool"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_program_of_another_user_is_refused_and_so_is_one_in_a_folder_of_theirs(tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    executor = make(tool=program(folder, "tool", "pass"))
    for path in (folder / "tool", folder):
        os.chown(path, 12345, -1)
        with pytest.raises(ExecutorError, match=f"{path} belongs to user 12345") as caught:
            executor.act(call("tool"))
        assert caught.value.effect is Effect.ABSENT
        os.chown(path, 0, -1)
    executor.act(call("tool"))


def test_a_program_in_a_folder_that_everybody_can_write_is_refused(tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    executor = make(tool=program(folder, "tool", "pass"))
    folder.chmod(0o777)
    with pytest.raises(ExecutorError, match="programs can be written by everybody"):
        executor.act(call("tool"))
    folder.chmod(0o1777)
    executor.act(call("tool"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"path": "tool"}, "path: must be an absolute path"),
        ({"path": "/bin/../bin/sh"}, "path: must be an absolute path"),
        ({"path": "/nonexistent/tool"}, "cannot be found"),
        ({"args_pattern": "("}, "args_pattern: is not a regular expression"),
        ({"working_dir": "/nonexistent"}, "working_dir: /nonexistent is not a folder"),
        ({"shell": True}, "shell: there is no such key"),
        ({"env": ["A=B"]}, "env.0: "),
        ({"secrets": {"TOKEN": "8c1f-secret"}}, r"programs\.tool\.secrets\.TOKEN: .*given by reference"),
        ({"secrets": {"TOKEN": "env:NONE"}}, r"secrets\.TOKEN: the environment variable NONE is not set"),
        ({"secrets": {"A": "env:TOKEN"}, "env": ["A"]}, "A is given in another way already"),
        ({"secrets": {"SUTURE_IDEMPOTENCY_KEY": "env:TOKEN"}}, "is given in another way already"),
        ({"memory_limit": "1 KiB"}, "memory_limit: "),
        ({"cpu_seconds": 0}, "cpu_seconds: "),
    ],
)
def test_wrong_settings_name_their_key(tmp_path, change, words):
    with pytest.raises(BadInput, match=words):
        make(tool={**program(tmp_path, "tool", "pass"), **change})
