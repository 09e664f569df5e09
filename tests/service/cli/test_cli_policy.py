"""`suture policy`: what holds, why it was decided so, and what a change would have done."""

import json

import pytest

ALONE = '@id("alone") permit (principal == Autopilot::"suture", action, resource);\n'
TWO = '@id("two")\n@approvals("2")\npermit (principal in Role::"approver", action, resource);\n'
NIGHT = '@id("never") forbid (principal, action, resource);\n'


@pytest.fixture
def policies(tmp_path):
    def write(text):
        folder = tmp_path / "policies"
        folder.mkdir(exist_ok=True)
        (folder / "own.cedar").write_text(text)
        return str(folder)

    return write


def test_check_lists_what_holds(suture, policies):
    folder = policies(ALONE + TWO + NIGHT)
    shown = suture("policy", "check", folder)
    assert shown.exit_code == 0
    assert [line.split()[:2] for line in shown.stdout.splitlines()[1:]] == [
        ["alone", "permit"], ["two", "permit"], ["never", "forbid"], ["suture-tells-people", "permit"],
    ]  # fmt: skip
    assert "never may also stop messages" in shown.stderr
    listed = {one["id"]: one for one in json.loads(suture("policy", "check", folder, "--json").stdout)}
    assert (listed["two"]["approvals"], listed["two"]["where"]) == (2, f"{folder}/own.cedar:2")


@pytest.mark.parametrize("command", [["check"], ["test"]])
def test_a_wrong_policy_is_told_with_file_and_line(suture, policies, installation, command):
    folder = policies(ALONE + TWO.replace('"2"', '"many"'))
    answer = suture("policy", *command, folder, *(["--data", str(installation)] if command == ["test"] else []))
    assert answer.exit_code == 2
    assert "own.cedar:2: @approvals is how many people" in answer.stderr


def test_explain_shows_a_decision_in_full(suture, installation):
    shown = suture("policy", "explain", "EXE-1", "--data", str(installation))
    assert shown.exit_code == 0
    assert "decision: needs approval: mode approve" in shown.stdout
    assert "verified_success = 0.0" in shown.stdout
    assert "\x1b" not in shown.stdout
    explained = json.loads(suture("policy", "explain", "INC-1", "--data", str(installation), "--json").stdout)
    assert [one["execution"] for one in explained] == ["EXE-1"]
    assert explained[0]["recomputed"] is True
    assert explained[0]["context"]["risk"] == "low"


def test_explain_of_what_was_never_decided(suture, installation):
    assert suture("policy", "explain", "EXE-9", "--data", str(installation)).exit_code == 1
    assert suture("policy", "explain", "INC-9", "--data", str(installation)).exit_code == 1


@pytest.mark.parametrize(
    ("text", "would_be", "people"), [(TWO, "needs_approval", 2), (ALONE + NIGHT, "forbid", 0), (ALONE, "forbid", 0)]
)
def test_a_change_is_tried_on_what_happened(suture, policies, installation, text, would_be, people):
    answer = suture("policy", "test", policies(text), "--data", str(installation), "--json")
    assert answer.exit_code == 0
    told = json.loads(answer.stdout)
    [change] = told["changed"]
    assert (change["incident"], change["was"]["verdict"]) == ("INC-1", "needs_approval")
    assert (change["would_be"]["verdict"], change["would_be"]["approvals_needed"]) == (would_be, people)
    assert told["summary"] == {"same": 0, f"needs_approval -> {would_be}": 1, "recomputed": 1}


def test_what_changes_nothing_says_so(suture, policies, installation):
    folder = policies(TWO.replace('@approvals("2")\n', ""))
    answer = suture("policy", "test", folder, "--data", str(installation))
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "1 decisions, 0 would be different" in answer.stderr
    later = suture("policy", "test", policies(NIGHT), "--since", "2999-01-01", "--data", str(installation), "--json")
    assert json.loads(later.stdout)["decisions"] == 0
    for since in ("soon", "99999999d"):
        assert suture("policy", "test", folder, "--since", since, "--data", str(installation)).exit_code == 2
