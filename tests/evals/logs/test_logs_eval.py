from evals.logs.flow import Flow
from evals.logs.generator import INTERVAL, World
from evals.logs.grouping import figures, main


def test_equal_seeds_give_equal_lines_and_a_restart_changes_nothing():
    one, other, flow = World(3), World(3), Flow()
    at = 1_767_225_600.0
    for tick in range(20):
        lines = one.interval(at + tick * INTERVAL)
        assert lines == other.interval(at + tick * INTERVAL)
        flow.step(lines, at + (tick + 1) * INTERVAL)
    again = flow.copy()
    for tick in range(20, 60):
        lines = one.interval(at + tick * INTERVAL)
        flow.step(lines, at + (tick + 1) * INTERVAL)
        again.step(lines, at + (tick + 1) * INTERVAL)
    assert again.book.dump() == flow.book.dump()


def test_grouping_counts_only_groups_that_are_exactly_the_labelled_ones(tmp_path, capsys):
    rows = [
        {"Content": "disk sda is full", "EventId": "E1", "Level": "ERROR"},
        {"Content": "disk sdb is full", "EventId": "E1", "Level": "ERROR"},
        {"Content": "user ann logged in at 12:00:01", "EventId": "E2", "Level": "INFO"},
        {"Content": "user bob logged in at 12:00:02", "EventId": "E3", "Level": "INFO"},
    ]
    assert figures(rows) == {"accuracy": 0.5, "new_found": 0.667, "templates": 2, "labelled": 3}
    assert main(tmp_path) == 2
    assert "LogHub" in capsys.readouterr().err
