"""Right before what cannot be taken back an executor asks whether it may still act; where not, nothing is done."""

from dataclasses import replace

import pytest

from tests.service.executors import script_parts, test_http_executor
from tests.service.executors.script_parts import program
from tests.service.taken_over import TakenOver, refused


def test_a_program_is_not_started(tmp_path):
    mark = tmp_path / "ran"
    executor = script_parts.make(touch=program(tmp_path, "touch", f"open({str(mark)!r}, 'w')"))
    call = replace(script_parts.call("touch"), confirm=refused)
    with pytest.raises(TakenOver):
        executor.act(call)
    assert not mark.exists()
    executor.act(replace(call, confirm=lambda: None))
    assert mark.exists()


def test_a_request_is_not_sent(loopback):
    executor = test_http_executor.make(loopback.url)
    with pytest.raises(TakenOver):
        executor.act(replace(test_http_executor.call("post"), confirm=refused))
    assert loopback.received == []
