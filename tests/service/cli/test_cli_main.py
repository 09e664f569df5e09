import subprocess
import sys

HEAVY = "chromadb sqlalchemy litellm pandas sklearn onnxruntime dbos pydantic_settings fastapi numpy langchain_core"


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-c", "from service.cli.main import run; run()", *arguments],
        capture_output=True, text=True, timeout=60, check=False, **options,
    )  # fmt: skip


def test_the_start_imports_nothing_heavy():
    code = f"import sys, service.cli.main; print(*set({HEAVY.split()!r}) & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""


def test_bad_input_is_one_line_and_exit_2(tmp_path):
    done = run("incident", "list", "--data", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("suture: ")
    assert "--data" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "nowhere").exists()


def test_other_errors_are_one_line_and_exit_1(installation):
    done = run("incident", "show", "INC-99", "--data", str(installation))
    assert done.returncode == 1
    assert done.stderr == "suture: there is no incident INC-99\n"


def test_a_wrong_setting_names_its_variable(tmp_path):
    done = run("config", cwd=tmp_path, env={"SUTURE_PORT": "many", "PYTHONPATH": ":".join(sys.path)})
    assert done.returncode == 2
    assert "SUTURE_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_option_is_exit_2():
    assert run("serve", "--nonsense").returncode == 2


def test_the_version(suture):
    assert suture("--version").stdout.startswith("suture 0.")


COMMANDS = "demo serve recommend approve reject config doctor incident runbook execution kill-switch eval audit key"


def test_every_command_of_the_contract_is_there(suture):
    listed = suture("--help").stdout
    for name in COMMANDS.split():
        assert f" {name} " in listed, name
        assert suture(name, "--help").exit_code == 0, name
