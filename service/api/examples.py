"""The examples of the OpenAPI document: one incident, told from its first sample to its ticket."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_BEGAN, _SEEN, _DONE = "2026-01-31T12:00:00Z", "2026-01-31T12:00:15Z", "2026-01-31T12:01:10Z"
_LABELS = {"service": "orders-db", "process": "postgres", "environment": "sandbox"}
_HASH = "3f1d0c5a9be24c7d8a6f7b0e5c4d3a2b1f0e9d8c7b6a59483726150493827160"

# Bodies name no time, so that they can be sent as they are: without one, it is now.
TELEMETRY: Json = {"samples": [{"labels": {"__name__": "pg_up", **_LABELS}, "value": 0}]}
TELEMETRY_REPORT: Json = {
    "accepted": 1,
    "refused": [{"path": "$.samples[1].value", "problem": 'write a number, "NaN", "+Inf" or "-Inf"'}],
}

LOGS: Json = {
    "logs": [
        {"service": "shop", "level": "error", "message": "payment of order 4711 failed: connection refused by 10.0.0.7",
         "labels": {"environment": "sandbox"}},
    ]
}  # fmt: skip
LOG_REPORT: Json = {
    "accepted": 1, "cut": 0, "by_level_only": 0, "late": 0, "dropped": 0, "templates_left": 0,
    "refused": [{"path": "$.logs[1].message", "problem": "missing"}],
}  # fmt: skip
TRACES: Json = {
    "resourceSpans": [
        {"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]},
         "scopeSpans": [{"spans": [{"traceId": "5b8efff798038103d269b633813fc60c", **span}]}]}
        for name, span in (
            ("shop", {"spanId": "eee19b7ec3c1b174"}),
            ("orders-db", {"spanId": "1f2e3d4c5b6a7988", "parentSpanId": "eee19b7ec3c1b174"}),
        )
    ]
}  # fmt: skip
TRACE_REPORT: Json = {
    "accepted": 2, "calls": 1, "edges_refused": 0,
    "refused": [{"path": "$.resourceSpans[1].resource.attributes", "problem": "service.name must be a text"}],
    "partialSuccess": {"rejectedSpans": 1, "errorMessage": "service.name must be a text"},
}  # fmt: skip
TOPOLOGY: Json = {
    "services": {
        "shop": {"depends_on": ["orders-db"], "environment": None, "instances": [], "labels": {}},
        "orders-db": {"depends_on": [], "environment": None, "instances": [], "labels": {}},
    },
    "edges": [
        {"caller": "shop", "callee": "orders-db", "sources": ["traces"], "used": True, "reason": "", "calls": 42.0,
         "first_at": _BEGAN, "last_at": _SEEN},
    ],
}  # fmt: skip
LOG_TEMPLATE: Json = {
    "service": "shop", "environment": "sandbox", "id": "17", "level": "error",
    "template": "payment of order <num> failed: connection refused by <ip>", "count": 42, "first_at": _BEGAN,
    "last_at": _SEEN, "example": "payment of order <num> failed: connection refused by <ip>",
}  # fmt: skip
NEW_EVENT: Json = {
    "kind": "deployment", "service": "shop", "environment": "sandbox", "text": "shop 2026.1.3 by ada",
    "labels": {"version": "2026.1.3"},
}  # fmt: skip
EVENT: Json = {**NEW_EVENT, "id": "EVT-5", "at": _BEGAN, "by": "key:ci"}

SIGNAL: Json = {
    "kind": "alert", "name": "PostgresDown", "at": _BEGAN, "metric": "pg_up", "severity": "critical", "value": 0,
    "labels": _LABELS, "text": "PostgreSQL does not answer",
}  # fmt: skip
SIGNALS: list[Json] = [{name: value for name, value in SIGNAL.items() if name != "at"}]
SIGNAL_REPORT: Json = {
    "accepted": [
        {"path": "$[0]", "fingerprint": "8d2f0b6a1c3e4f57", "incident": "INC-7", "note": "opened INC-7"},
    ],
    "refused": [{"path": "$[1].kind", "problem": "must be 'anomaly', 'alert', 'slo', 'policy' or 'ticket'"}],
}

INCIDENT: Json = {
    "id": "INC-7", "title": "PostgresDown on orders-db", "severity": "critical", "status": "awaiting_approval",
    "environment": "sandbox", "services": ["orders-db"], "labels": _LABELS, "signals": [SIGNAL],
    "impact": {"services": ["orders-db"], "downstream": ["shop"], "failing_share": 0.97, "summary": "shop fails"},
    "culprits": [{"service": "orders-db", "metric": "pg_up", "probability": 0.9, "reason": "all dependents fail"}],
    "started_at": _BEGAN, "detected_at": _SEEN, "updated_at": _SEEN, "version": 3,
    "timeline": [{"at": _SEEN, "kind": "opened", "text": "PostgresDown on orders-db", "data": {}}],
}  # fmt: skip
INCIDENT_FILE: Json = {
    "title": "orders-db refuses connections", "severity": "critical", "services": ["orders-db"], "labels": _LABELS,
    "started_at": _BEGAN, "signals": [SIGNAL],
}  # fmt: skip

_CITATION: Json = {
    "document": "postgres-connection-failures", "start": 1840, "end": 1873, "quote": "Restart the database process once"
}  # fmt: skip
_CHECK_BEFORE: Json = {"query": 'pg_up{process="postgres"}', "is": "== 0", "within": "0s", "hold": "0s"}
_CHECK_AFTER: Json = {"query": 'pg_up{process="postgres"}', "is": "== 1", "within": "1m30s", "hold": "20s"}
CANDIDATE: Json = {
    "incident": "INC-7", "environment": "sandbox", "service": "orders-db", "runbook": "postgres-connection-failures",
    "action": "restart-database", "title": "Restart the database process", "uses": "process/restart",
    "arguments": {"name": "postgres"}, "target": "process:postgres", "parameters": {"process": "postgres"},
    "risk": "medium", "reversible": True, "approval": "policy", "timeout": "1m", "preconditions": [_CHECK_BEFORE],
    "verify": [_CHECK_AFTER], "rollback": None,
}  # fmt: skip
_JUSTIFICATION = (
    "A trigger of postgres-connection-failures matches the signals. Its precondition holds now: pg_up == 0."
)
STORED_RECOMMENDATION: Json = {
    "id": "REC-5b1f", "incident": "INC-7", "created_at": _SEEN, "abstained": None, "advice": [], "gaps": [],
    "candidates": [
        {"candidate": CANDIDATE, "probability": 0.82, "justification": _JUSTIFICATION, "citations": [_CITATION]}
    ],
    "model": None,
}  # fmt: skip

DECISION: Json = {
    "candidate_hash": _HASH, "verdict": "needs_approval", "mode": "approve", "policies": ["people-may-approve"],
    "reason": "the environment 'sandbox' is in mode approve; 1 approval by role approver needed",
    "approver_role": "approver", "approvals_needed": 1, "decided_at": _SEEN,
}  # fmt: skip
_DECISION_VIEW: Json = {name: value for name, value in DECISION.items() if name not in {"candidate_hash", "decided_at"}}
RECOMMENDATION: Json = {
    "incident": {
        "title": "orders-db refuses connections", "severity": "critical", "environment": "sandbox",
        "services": ["orders-db"], "labels": _LABELS, "started_at": _BEGAN,
        "culprits": [{"service": "orders-db", "metric": "pg_up", "probability": 0.9, "reason": "all dependents fail"}],
    },
    "abstained": None,
    "candidates": [
        {
            "runbook": "postgres-connection-failures", "action": "restart-database",
            "title": "Restart the database process", "probability": 0.82, "risk": "medium", "uses": "process/restart",
            "target": "process:postgres", "parameters": {"process": "postgres"}, "decision": _DECISION_VIEW,
            "justification": _JUSTIFICATION, "citations": [_CITATION],
        }
    ],
    "advice": [], "gaps": [], "dropped": [], "similar": [], "model": None,
}  # fmt: skip

EVENTS = """\
id: 1
event: evidence
data: {"incident": {"title": "orders-db refuses connections"}, "candidates": [], "model": null}

id: 2
event: statement
data: {"runbook": "postgres-connection-failures", "action": "restart-database", "target": "process:postgres", \
"text": "Restart the database process.", "citations": []}

id: 3
event: done
data: {"incident": {"title": "orders-db refuses connections"}, "candidates": [], "model": {"name": "openai/gpt-4o"}}

"""
MODEL_USAGE: Json = {
    "model": "openai/gpt-4o-mini",
    "budget": {
        "tokens_per_incident": 50_000, "tokens_per_day": 2_000_000, "cost_per_incident": None, "cost_per_day": 5.0,
        "prompt_price": None, "answer_price": None,
    },
    "days": [
        {
            "day": "2026-01-31", "model": "openai/gpt-4o-mini", "calls": 41, "failed": 1, "cached": 7,
            "prompt_tokens": 181_220, "completion_tokens": 17_904, "cost": 0.0379,
        }
    ],
}  # fmt: skip

EXECUTION: Json = {
    "id": "EXE-1c9e", "incident": "INC-7", "candidate": CANDIDATE, "probability": 0.82, "decision": DECISION,
    "state": "pending", "steps": [{"name": "decided", "state": "done", "at": _SEEN, "detail": "", "data": {}}],
    "outputs": {}, "verification": None, "created_at": _SEEN, "started_at": None, "ended_at": None,
}  # fmt: skip
APPROVAL: Json = {
    "id": "APP-0a1b2c3d4e5f", "execution": "EXE-1c9e", "candidate_hash": _HASH, "approved": True, "by": "key:ada",
    "role": "approver", "comment": "go on", "at": _DONE, "expires_at": "2026-01-31T13:01:10Z",
    "signature": "b7e23ec29af22b0b4e41da31e868d57226121c84f1b7a2f0b0a5e3d6c9f8e7d6",
}  # fmt: skip

DOCUMENT_SUMMARY: Json = {
    "id": "postgres-connection-failures", "kind": "runbook", "title": "PostgreSQL refuses connections",
    "path": "runbooks/library/postgres-connection-failures.md", "actions": ["restart-database"],
}  # fmt: skip
DOCUMENT: Json = {
    "id": "postgres-checklist", "kind": "runbook", "title": "PostgreSQL checklist", "path": "team/postgres.md",
    "text": "# PostgreSQL checklist\n\nLook at the disk first.\n", "body_start": 0, "runbook": None, "metadata": {},
}  # fmt: skip
CORPUS_PROBLEM: Json = {
    "file": "team/disk.md", "line": 7, "message": "the verb process/reboot does not exist",
    "mend": "use one of process/restart, process/start, process/stop",
}  # fmt: skip

KEY: Json = {
    "id": "9f86d081884c7d65", "name": "alertmanager", "role": "sender", "created_at": _BEGAN, "revoked_at": None,
}  # fmt: skip
MAINTENANCE: Json = {
    "id": "MNT-3", "service": "orders-*", "environment": "*", "starts_at": _BEGAN, "ends_at": _DONE,
    "reason": "new disks", "by": "key:ada", "ended_at": None, "ended_by": None,
}  # fmt: skip
SILENCE: Json = {
    "id": "SIL-2", "starts_at": _BEGAN, "ends_at": _DONE, "reason": "known, the disk comes on Monday", "by": "key:ada",
    "matchers": [
        {"label": "service", "op": "=", "value": "orders-db"}, {"label": "alertname", "op": "=~", "value": "Disk.*"}
    ],
    "ended_at": None, "ended_by": None, "count": 12,
    "signals": [
        {"fingerprint": "8d2f0b6a1c3e4f57", "name": "DiskFull", "service": "orders-db", "count": 12, "last_at": _SEEN}
    ],
}  # fmt: skip
_CLASS: Json = {"family": "pg_connections", "service": "orders-db"}
FEEDBACK: Json = {
    "id": "FBK-1", "incident": "INC-7", "verdict": "not-an-incident", "note": "the nightly backup",
    "classes": [_CLASS], "by": "key:ada", "at": _DONE, "undone_at": None, "undone_by": None,
}  # fmt: skip
_TOLERANCE: Json = {"series": _CLASS, "tolerance": 1.5, "feedback": [FEEDBACK]}
DETECTOR: Json = {
    "name": "lockstep", "as_of": _DONE, "full": False, "feedback": [_TOLERANCE],
    "summary": {"series": 412, "max_series": 100_000, "reported": 1, "warming_up": 0},
}  # fmt: skip
SERIES_EXPLANATION: Json = {
    "series": {
        "labels": {"__name__": "pg_connections", **_LABELS}, "last_at": _DONE, "observed": 96.0, "expected": 21.5,
        "lower": 9.8, "upper": 33.2, "score": 21.0, "p_value": 3.1e-16, "threshold": 1.4e-7,
        "component": "sum of departures upwards from the slow level", "scored": 512, "warming_up": False,
        "departs_for": 3, "reported": True, "tolerance": 1.5,
    },
    "feedback": _TOLERANCE,
}  # fmt: skip
REPLICA: Json = {
    "id": "0b4f1c2d3e5a69788796a5b4c3d2e1f0", "host": "suture-1", "version": "3", "state": "alive",
    "beat_seconds_ago": 2.4, "taken_by": None,
}  # fmt: skip
AUDIT_ENTRY: Json = {
    "number": 41, "at": _DONE, "actor": "key:ada", "event": "approval.given", "subject": "EXE-1c9e",
    "data": {"candidate": _HASH, "comment": "go on", "role": "approver"},
    "hash": "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9",
}  # fmt: skip
TICKET: Json = {
    "reference": "TCK-3", "incident": "INC-7", "title": "PostgresDown on orders-db", "severity": "critical",
    "body": "shop fails: 97 % of its requests", "labels": _LABELS, "status": "open", "resolution": None,
    "opened_at": _SEEN, "closed_at": None,
    "comments": [{"kind": "comment", "text": "restart-database waits for an approval", "at": _SEEN}],
}  # fmt: skip

AUTONOMY: Json = {
    "runbook": "postgres-connection-failures", "action": "restart-database", "environment": "sandbox",
    "level": "approve", "ceiling": "auto", "effective": "approve", "since": _DONE,
    "reason": "EXE-6a02 was not verified healthy", "by": "suture", "verified": 9, "failed": 0, "agreed": 9,
    "disagreed": 0, "following": "auto", "successes": 9, "trials": 9, "lower_bound": 0.717, "sequential_bound": 0.617,
    "bar": 0.8, "missing": "11 more verified successes in a row",
}  # fmt: skip
SHADOW: Json = {
    "incident": "INC-7", "episode": 1, "runbook": "postgres-connection-failures", "action": "restart-database",
    "environment": "sandbox", "agreed": True, "by": "key:ada", "at": _DONE,
}  # fmt: skip

SLO: Json = {
    "id": "shop-availability", "title": "Requests of the shop succeed", "service": "shop", "target": 0.999,
    "window": "30d", "state": "page", "budget_left": 0.61, "exhausted_at": "2026-02-01T01:30:00Z", "events": 8_640_000,
    "measured": 1.0, "measured_until": "2026-01-31T12:04:00Z", "problem": None,
    "alerts": [
        {"factor": 14.4, "long": "1h", "short": "5m", "page": True, "burn_long": 32.5, "burn_short": 410.0,
         "firing": True, "too_few": False},
    ],
}  # fmt: skip

CHECK: Json = {
    "id": "shop-certificate", "title": "The shop's certificate is renewed in time", "service": "shop", "every": "1h",
    "severity": "warning", "state": "violated", "measured_at": _SEEN, "problem": None, "since": _BEGAN,
    "seen": "served.days_left is 6.5",
    "violations": [
        {"labels": {"service": "shop", "check": "shop-certificate"}, "text": "renew it: served.days_left is 6.5"},
    ],
}  # fmt: skip
