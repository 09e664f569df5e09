import logging

import pytest

from models.domain.errors import BadInput
from service.security.secrets import resolve_secret


def test_a_variable_s_value(monkeypatch):
    monkeypatch.setenv("TOKEN", " 8c1f\n")
    assert resolve_secret("env:TOKEN") == " 8c1f\n"
    assert resolve_secret("env:TOKEN", {"TOKEN": "other"}) == "other"


@pytest.mark.parametrize(
    ("content", "value"), [("abc\n", "abc"), ("abc\r\n", "abc"), ("a\nb\n\n", "a\nb\n"), ("abc", "abc")]
)
def test_a_file_s_value_is_without_its_last_line_end(tmp_path, caplog, content, value):
    path = tmp_path / "key"
    path.write_bytes(content.encode())
    path.chmod(0o600)
    assert resolve_secret(f"file:{path}") == value
    assert caplog.records == []


def test_a_file_that_others_can_read_is_warned_about_without_its_value(tmp_path, caplog):
    path = tmp_path / "key"
    path.write_text("hunter2")
    path.chmod(0o640)
    with caplog.at_level(logging.WARNING):
        assert resolve_secret(f"file:{path}") == "hunter2"
    assert f"{path} can be read by others (mode 640); chmod 600" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    "reference",
    ["hunter2", "", "env:", "env:hunter2=x", "env:A B", "file:hunter2", "file:", "ENV:A", "vault:hunter2", "env:A\n"],
)
def test_a_value_in_place_of_a_reference_is_refused_and_not_repeated(reference):
    with pytest.raises(BadInput, match="given by reference, env:NAME or file:/absolute/path") as caught:
        resolve_secret(reference, {})
    assert "hunter2" not in str(caught.value)


def test_what_cannot_be_read_says_why(tmp_path):
    def problem(reference: str, environment: dict | None = None) -> str:
        with pytest.raises(BadInput) as caught:
            resolve_secret(reference, environment or {})
        assert caught.value.__cause__ is None or "hunter2" not in str(caught.value.__cause__)
        return str(caught.value)

    assert "GONE is not set" in problem("env:GONE")
    assert "BLANK is empty" in problem("env:BLANK", {"BLANK": ""})
    assert "No such file" in problem(f"file:{tmp_path}/none")
    assert "not a regular file" in problem(f"file:{tmp_path}")
    for content, words in (
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"hunter2\xff", "not UTF-8"),
        (b"x" * 70_000, "larger"),
    ):
        path = tmp_path / "key"
        path.write_bytes(content)
        assert words in problem(f"file:{path}")
