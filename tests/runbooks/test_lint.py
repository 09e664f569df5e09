from __future__ import annotations

import pytest

from runbooks.lint import lint
from runbooks.scaffold import scaffold


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_a_good_runbook_and_the_scaffold_are_clean(tmp_path, write, good, catalogue):
    write("restart-it.md", good)
    write("my-new-one.md", scaffold("my-new-one"))
    assert lint([tmp_path], catalogue) == []


CASES = {
    "unknown verb": (
        "uses: process/restart",
        "uses: process/restrt",
        "restrt",
        "error",
        "did you mean process/restart?",
    ),
    "rollback's verb": (
        "uses: process/stop",
        "uses: process/undo",
        "process/undo",
        "error",
        "there is no process/undo",
    ),
    "unknown input": ("with: {name: ", "with: {host: x, name: ", "host: x", "error", "takes no such argument: host"),
    "missing input": (
        'with: {name: "{{ process }}"}\n    rev',
        "with: {}\n    rev",
        "with: {}",
        "error",
        "name: Field",
    ),
    "bad constant": (
        '{name: "{{ process }}"}\n    rev',
        "{name: a b}\n    rev",
        "a b",
        "error",
        "takes no such argument",
    ),
    "undefined name": (
        'up{process="{{ process }}"}\', is: "== 0"}\n    v',
        'up{p="{{ proces }}"}\', is: "== 0"}\n    v',
        "proces }}",
        "error",
        "did you mean 'process'?",
    ),
    "statement": (
        '{name: "{{ process }}"}\n    rev',
        '{name: "{% if 1 %}a{% endif %}"}\n    rev',
        "endif",
        "error",
        "not allowed in a template",
    ),
    "promql": (
        '\'up{process="{{ process }}"}\', is: "== 0"}\n    v',
        "'up{process=', is: \"== 0\"}\n    v",
        "up{process='",
        "error",
        "not PromQL",
    ),
    "cel": ('signal.metric == "up"', "signal.metric ==", "signal.metric ==", "error", "not a CEL expression"),
    "cel field": ('signal.metric == "up"', 'signal.metrik == "up"', "metrik", "error", "no field 'metrik'"),
    "cel variable": ('signal.metric == "up"', 'alert.metric == "up"', "alert.", "error", "there is no 'alert'"),
    "cel function": ('signal.metric == "up"', 'signal.name.lower() == "up"', "lower", "error", "no function 'lower'"),
    "from field": ("from: incident.service", "from: incident.servce", "servce", "error", "no field 'servce'"),
    "pattern": ('pattern: "^[a-z-]+$"', 'pattern: "^[a-z"', '"^[a-z"', "error", "not a regular expression"),
    "default": ("from: incident.service", "default: 'A B'", "A B", "error", "default of 'service' is refused"),
    "no value": ("from: incident.service, ", "", "  service:", "error", "neither `from` nor `default`"),
    "bounds": (
        "from: incident.service",
        "from: incident.service, minimum: 1",
        "  service:",
        "error",
        "bounds on a string",
    ),
    "same check": (
        'up{service="{{ service }}",process="{{ process }}"}\', is: "== 1"',
        'up{process="{{ process }}"}\', is: "== 0"',
        "within: 60s",
        "error",
        "is also a precondition",
    ),
    "one instant": (", within: 60s", "", '"== 1"', "warning", "measured once"),
    "no undo": (
        '    rollback: {uses: process/stop, with: {name: "{{ process }}"}}\n',
        "",
        "reversible",
        "error",
        "has no rollback",
    ),
    "undo of the irreversible": ("reversible: true", "reversible: false", "rollback:", "warning", "is not reversible"),
    "no precondition": (
        '    preconditions:\n      - {query: \'up{process="{{ process }}"}\', is: "== 0"}\n',
        "",
        "- id: restart",
        "warning",
        "nothing is checked before",
    ),
    "timeout 0": ("    reversible: true", "    reversible: true\n    timeout: 0s", "timeout", "error", "timeout is 0"),
    "timeout long": ("    reversible: true", "    reversible: true\n    timeout: 3h", "timeout", "warning", "an hour"),
    "file name": ("id: restart-it", "id: restart-that", "id: restart-that", "warning", "differs from the file's name"),
    "section": ("## Escalation\n", "", "# It is down", "warning", "no section Escalation"),
    "unused": ("parameters:\n", "parameters:\n  spare: {default: 1, type: integer}\n", "spare", "warning", "not used"),
    "schema": ("reversible: true", "reversible: maybe", "maybe", "error", "valid boolean"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_mistake_is_found_on_its_line(tmp_path, write, good, catalogue, case):
    old, new, marked, level, words = CASES[case]
    assert old in good
    text = good.replace(old, new, 1)
    path = write("restart-it.md", text)
    findings = lint([tmp_path], catalogue)
    found = [finding for finding in findings if words in f"{finding.message}; {finding.mend}"]
    assert found, findings
    assert [(finding.file, finding.line, finding.level) for finding in found] == [
        (str(path), line_of(text, marked), level)
    ]
    assert all(finding.mend for finding in findings)
    # One mistake, one finding: what follows from it is not told again.
    assert [finding for finding in findings if finding.level == "error"] == [f for f in found if f.level == "error"]


def test_a_parameter_of_any_text_in_a_programs_arguments_is_an_error(tmp_path, write, good, catalogue):
    program = "uses: script/run\n    with: {program: p, args: ['{{ service }}']}\n    rev"
    text = good.replace('uses: process/restart\n    with: {name: "{{ process }}"}\n    rev', program)
    write("restart-it.md", text)
    assert lint([tmp_path], catalogue) == []
    write("restart-it.md", text.replace(', pattern: "^[a-z-]+$"', ""))
    (finding,) = lint([tmp_path], catalogue)
    assert (finding.line, finding.level) == (line_of(text, "args: ["), "error")
    assert "'service' goes into the arguments of script/run" in finding.message


def test_plain_files_are_left_alone_unless_a_key_is_misspelt(tmp_path, write, catalogue):
    write("plain.md", "# text\n")
    write("foreign.md", "---\ntitle: x\nweight: 20\n---\n")
    write("misspelt.md", "---\ntitle: x\naction: []\n---\n")
    (finding,) = lint([tmp_path], catalogue)
    assert (finding.line, finding.level, finding.mend) == (3, "warning", "did you mean `actions`?")


def test_an_id_used_twice_is_an_error_in_the_second_file(tmp_path, write, good, catalogue):
    write("a/restart-it.md", good)
    second = write("b/restart-it.md", good)
    (finding,) = lint([tmp_path], catalogue)
    assert (finding.file, finding.line, finding.level) == (str(second), 2, "error")


def test_every_fault_of_a_file_is_listed(tmp_path, write, good, catalogue):
    write("restart-it.md", good.replace("hold: 5s", "hold: x").replace("uses: process/restart", "uses: 7"))
    assert [finding.line for finding in lint([tmp_path], catalogue)] == [15, 21]
