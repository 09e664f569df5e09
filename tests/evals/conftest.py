import json

import pytest

from service.settings import load_settings

RUNBOOK = """\
---
id: {id}
title: {title}
services: ["*"]
triggers:
  - signal.kind == "alert" && signal.name == "{alert}"
parameters:
  process: {{type: string, from: incident.labels.process, pattern: "^[a-z]+$"}}
diagnose: [{diagnose}]
actions:
  - id: {action}
    title: {title}, mended
    uses: process/restart
    with: {{name: "{{{{ process }}}}"}}
    risk: low
    reversible: true
    preconditions: [{precondition}]
    verify:
      - {{query: "up", is: "== 1", within: 30s}}
---
# {title}

## Mitigation

{text}
"""


@pytest.fixture
def books(tmp_path):
    """Writes runbooks into one folder, which is returned."""
    folder = tmp_path / "books"
    folder.mkdir()

    def write(name, title, alert, text, *, action="restart", precondition="", diagnose=""):
        (folder / f"{name}.md").write_text(
            RUNBOOK.format(
                id=name, title=title, alert=alert, text=text, action=action, precondition=precondition,
                diagnose=diagnose,
            )
        )  # fmt: skip
        return folder

    return write


@pytest.fixture
def two_books(books):
    books(
        "database-down", "The database refuses connections", "DatabaseDown",
        "Restart PostgreSQL; clients connect again within seconds.", precondition='{query: "pg_up", is: "== 0"}',
    )  # fmt: skip
    return books("queue-full", "The queue of orders grows", "QueueGrows", "Restart the consumer that hangs.")


@pytest.fixture
def settings(tmp_path):
    def made(folder):
        return load_settings(state_dir=tmp_path / "state", runbooks=(folder,))

    return made


@pytest.fixture
def write_rows(tmp_path):
    def written(rows, name="rows.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(one) + "\n" for one in rows))
        return path

    return written
