"""The examples of reports in the OpenAPI document: the same incident as in the others, after its end."""

from __future__ import annotations

from service.api.examples import Json

_BEGAN, _SEEN = "2026-01-31T12:00:00Z", "2026-01-31T12:00:15Z"
_ASKED, _ACTED, _DONE = "2026-01-31T12:00:20Z", "2026-01-31T12:01:12Z", "2026-01-31T12:01:40Z"
_QUOTE: Json = {
    "document": "postgres-connection-failures", "start": 1840, "end": 1873, "quote": "Restart the database process once"
}  # fmt: skip
_ATTEMPT: Json = {
    "execution": "EXE-1c9e", "runbook": "postgres-connection-failures", "action": "restart-database",
    "title": "Restart the database process", "uses": "process/restart", "target": "process:postgres", "risk": "medium",
    "probability": 0.82, "place": 1, "verdict": "needs_approval", "mode": "approve",
    "reason": "the environment 'sandbox' is in mode approve", "policies": ["people-may-approve"],
    "requested_by": None, "state": "succeeded", "ended_at_stage": None, "why": "healthy after 27.9 s",
    "words": [
        {"by": "key:ada", "role": "approver", "approved": True, "at": "2026-01-31T12:01:10Z", "waited_seconds": 50.0}
    ],
    "created_at": _ASKED, "acted_at": _ACTED, "closed_at": _DONE, "health": "healthy", "verified_in_seconds": 27.9,
    "measured": [
        {
            "subject": 'pg_up{process="postgres"}', "condition": "== 1",
            "before": {"at": _ASKED, "values": [0.0], "passed": False, "detail": "0"},
            "after": {"at": _DONE, "values": [1.0], "passed": True, "detail": "1"},
        }
    ],
    "has_rollback": False,
}  # fmt: skip
REPORT: Json = {
    "incident": "INC-7", "title": "PostgresDown on orders-db", "severity": "critical", "status": "resolved",
    "environment": "sandbox", "services": ["orders-db"], "impact": "shop fails",
    "cause": "orders-db (90%): all dependents fail", "citations": [_QUOTE],
    "episodes": [
        {
            "number": 1, "ended_as": "resolved", "ended_at": _DONE, "ended_by": "suture",
            "ending": "verified healthy after the remediation", "handed_over": None, "refusals": [],
            "times": {
                "started_at": _BEGAN, "detect": {"at": _SEEN, "seconds": 15.0, "by": "suture"},
                "acknowledge": {"at": _SEEN, "seconds": 15.0, "by": "suture"},
                "mitigate": {"at": _ACTED, "seconds": 72.0, "by": "suture"},
                "resolve": {"at": _DONE, "seconds": 100.0, "by": "suture"},
            },
            "recommended": [
                {
                    "id": "REC-7-1", "at": _SEEN, "abstained": None,
                    "offers": [
                        {
                            "runbook": "postgres-connection-failures", "action": "restart-database",
                            "title": "Restart the database process", "probability": 0.82, "citations": [_QUOTE],
                        }
                    ],
                }
            ],
            "attempts": [_ATTEMPT],
            "learnings": [
                "Approval of 'Restart the database process' (process/restart on process:postgres) took 50.0 s of the "
                "1 min 40 s until it was resolved."
            ],
            "timeline": [{"at": _BEGAN, "kind": "seen", "text": "alert `PostgresDown`", "by": "alertmanager"}],
        }
    ],
}  # fmt: skip
TRACK_RECORD: Json = {
    "runbook": "postgres-connection-failures", "action": "restart-database", "environment": "sandbox",
    "uses": "process/restart", "runs": 12, "verified": 11, "failed": 0, "rolled_back": 1, "uncertain": 0,
    "lower_bound": 0.66, "last_at": _DONE,
}  # fmt: skip
