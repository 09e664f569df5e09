"""One symptom, three causes: telemetry tells them apart only where it is asked."""

from __future__ import annotations

from evals.diagnosis import CAUSES, VARIATIONS, incidents, run


def test_the_right_action_comes_first_with_active_diagnosis_and_by_chance_without():
    active, off = run("active"), run("off")
    assert active["n"] == off["n"] == len(CAUSES) * VARIATIONS
    assert active["right_first"] >= 0.95
    assert off["right_first"] < 0.5
    assert off["asked"] < active["asked"] <= 8, "as many as tell, not all"
    assert [row.id for row in incidents()] == [row.id for row in incidents()]
