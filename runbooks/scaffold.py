"""The commented runbook that `suture runbook new` writes. It lints clean; every line is there to be changed."""

from __future__ import annotations

import re

_TEMPLATE = """\
---
id: @ID@                     # also the file's name
title: @TITLE@
services: ["*"]              # globs: for which services; "*" for all
severity: warning            # info | warning | critical
# CEL over `signal` (kind, name, metric, labels, value, text, direction, severity, service, environment, score).
# Any one of them speaks for this runbook. Use single quotes around an expression that holds ": ".
triggers:
  - signal.kind == "anomaly" && signal.metric == "up" && signal.direction == "down"
  - signal.kind == "alert" && signal.name == "ServiceDown"
# What the templates below may use. `from` is CEL over `incident` (id, title, severity, environment, service, services,
# labels, culprit); without a value there, `default`; without either, the action is not offered, and says why.
parameters:
  service: {type: string, from: incident.service, pattern: "^[a-z0-9][a-z0-9-]{0,62}$"}
  process: {type: string, from: incident.labels.process, pattern: "^[a-z0-9][a-z0-9_-]{0,62}$"}
# Read-only PromQL: what it measures is evidence for one action, or against it.
diagnose:
  - {query: 'up{service="{{ service }}",process="{{ process }}"}', is: "== 0", supports: restart-process}
actions:
  - id: restart-process
    title: Restart the process
    uses: process/restart    # executor/verb; `with` are its inputs
    with: {name: "{{ process }}"}
    risk: low                # low | medium | high
    reversible: true         # then a rollback says how
    approval: policy         # policy | always | two-person
    timeout: 60s
    # All must hold, or the action is not run.
    preconditions:
      - {query: 'up{service="{{ service }}",process="{{ process }}"}', is: "== 0"}
    # All must become true within their time and stay so for `hold`, or the rollback runs.
    verify:
      - {query: 'up{service="{{ service }}",process="{{ process }}"}', is: "== 1", within: 60s, hold: 5s}
    rollback: {uses: process/stop, with: {name: "{{ process }}"}}
---
# @TITLE@

What is broken, in one sentence.

## Symptoms

- What the person on call sees first: the metric, the words in the log.

## Diagnosis

1. The command that tells this apart from what looks alike, and what its answer means.

## Mitigation

- When to take the action above, and when not.

## Escalation

Whom to call, when, and what to hand over.
"""


def scaffold(identifier: str) -> str:
    """The text of a new runbook of that id, which must be a valid one."""
    title = re.sub("-+", " ", identifier).capitalize()
    return _TEMPLATE.replace("@ID@", identifier).replace("@TITLE@", title)
