import json
import stat
from datetime import timedelta

from service.cli.checkup import CHECKS, examine
from service.settings import load_settings


def test_secrets_are_masked_and_references_shown(suture, monkeypatch, tmp_path):
    file = tmp_path / "suture.yaml"
    file.write_text(
        "port: 9000\n"
        "ticketing: {name: webhook, config: {url: 'https://ada:pass@x', secret: env:HOOK}}\n"
        "executors: {http: {token: 's3cret', targets: [{password: s3cret}]}}\n"
    )
    monkeypatch.setenv("SUTURE_CONFIG", str(file))
    monkeypatch.setenv("SUTURE_MODEL_API_KEY", "s3cret")
    monkeypatch.setenv("SUTURE_DATABASE_URL", "postgresql://suture:s3cret@db/suture")
    done = suture("config", "--json", "--data", str(tmp_path))
    assert done.exit_code == 0, done.stderr
    for text in (done.stdout, suture("config").stdout):
        assert "s3cret" not in text
        assert ":pass@" not in text
        assert "env:HOOK" in text
    settings = json.loads(done.stdout)
    assert settings["port"] == {"value": 9000, "from": f"{file}:1"}
    assert settings["database_url"]["from"] == "SUTURE_DATABASE_URL"
    assert settings["state_dir"]["from"] == "command line"
    assert settings["host"]["from"] == "default"


def finding(name, **overrides):
    check = dict(CHECKS)[name]
    return examine(name, lambda: check(load_settings(**overrides)), timeout=30)


def test_doctor_finds_nothing_wrong_with_an_installation(installation):
    for name in (
        "settings",
        "state",
        "database",
        "replicas",
        "policies",
        "topology",
        "runbooks",
        "executors",
        "scraping",
        "source",
    ):
        found = finding(name, state_dir=installation)
        assert found.ok, found


def test_doctor_names_what_is_broken(installation, tmp_path):
    (tmp_path / "book.md").write_text("---\nid: Not An Id\n---\n")
    (tmp_path / "topology.yaml").write_text("services: [\n")
    (tmp_path / "rules.cedar").write_text("permit (principal, action\n")
    assert "book.md:2" in finding("runbooks", runbooks=(tmp_path,)).detail
    assert "topology.yaml:" in finding("topology", topology=tmp_path / "topology.yaml").detail
    assert "rules.cedar" in finding("policies", policies=tmp_path).detail
    unreachable = {"process": {"servers": {"main": {"url": "http://127.0.0.1:1/RPC2"}}, "allow": {"main": ["shop"]}}}
    assert not finding("executors", executors=unreachable).ok
    (installation / "admin.key").write_text("x")
    (installation / "admin.key").chmod(0o644)
    assert "chmod 600" in finding("state", state_dir=installation).detail


def test_doctor_looks_at_what_is_outside(tmp_path, monkeypatch):
    assert not finding("scraping", scrape=({"url": "http://127.0.0.1:1/metrics"},)).ok
    assert "warmpu" in finding("detector", detector={"name": "lockstep", "config": {"warmpu": 1}}).detail
    webhook = {"name": "webhook", "config": {"url": "http://127.0.0.1:1", "secret": "env:SECRET_THAT_IS_NOT_SET"}}
    assert "SECRET_THAT_IS_NOT_SET" in finding("ticketing", ticketing=webhook).detail
    monkeypatch.setenv("SUTURE_MODEL_WIGHT", "1")
    assert "SUTURE_MODEL_WIGHT" in finding("settings").detail
    (tmp_path / "file").touch()
    assert "is a file" in finding("state", state_dir=tmp_path / "file" / "state").detail


def test_doctor_finds_tables_of_another_revision(installation, stored):
    with stored() as state, state.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    found = finding("database", state_dir=installation)
    assert not found.ok
    assert "0000" in found.detail


def test_doctor_tells_which_workers_are_alive(installation, stored):
    from service.store.replicas import Replicas

    assert "no worker runs" in finding("replicas", state_dir=installation).detail
    with stored() as state:
        Replicas(state.database, state.audit, timedelta(seconds=30)).add("a", home="b", host="suture-1", version="3")
    assert finding("replicas", state_dir=installation).detail.startswith("suture-1 alive, last sign ")


def test_a_check_that_hangs_is_reported():
    import threading

    gate = threading.Event()
    found = examine("slow", lambda: str(gate.wait(10)), timeout=0.05)
    gate.set()
    assert (found.ok, found.detail) == (False, "no answer within 0.05 s")


def test_doctor_changes_nothing(folder):
    finding("database", state_dir=folder)
    finding("state", state_dir=folder)
    assert not folder.exists()


def test_the_admin_key_file_passes_when_it_is_private(installation):
    (installation / "admin.key").touch(mode=0o600)
    assert stat.S_IMODE((installation / "admin.key").stat().st_mode) == 0o600
    assert finding("state", state_dir=installation).ok
