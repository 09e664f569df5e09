"""Times over many incidents."""

import pytest

from service.incident_report import Record, report
from service.reporting.fleet import fleet_times


def test_medians_and_the_share_without_a_person(record, reopened, at):
    alone = Record(record.incident, record.recommendations, record.executions)
    found = fleet_times(map(report, [alone, record, reopened]), at(0))
    assert (found.incidents, found.episodes, found.ended, found.resolved) == (3, 4, 4, 4)
    # An approval is a person's act, and so is the resolution of the reopened one.
    assert (found.resolved_without_a_person, found.share_without_a_person) == (1, 0.25)
    assert (found.mitigate.reached, found.mitigate.median_seconds) == (3, 625)
    assert (found.detect.median_seconds, found.detect.p90_seconds) == (60, 60)
    assert found.resolve.median_seconds == 641
    assert found.resolve.p90_seconds == pytest.approx(641)


def test_nothing_to_count(at):
    found = fleet_times([], at(0))
    assert (found.incidents, found.share_without_a_person, found.detect.median_seconds) == (0, None, None)
