import pytest

from models.domain.errors import BadInput
from service.settings import load_settings
from service.topology import load_topology


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """What is said of a settings file, without the folder."""

    def load(text):
        file = tmp_path / "suture.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        monkeypatch.setenv("SUTURE_CONFIG", str(file))
        with pytest.raises(BadInput) as caught:
            load_settings()
        return str(caught.value).replace(f"{tmp_path}/", "")

    return load


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("port: 1\nscrap: []\n", "suture.yaml:2: there is no setting scrap (did you mean scrape?)"),
        ("scrape:\n  - url: http://x\n    label: {}\n", "suture.yaml:3: there is no setting scrape[0].label"),
        ("max_series: many\n", "suture.yaml:1: setting max_series: must be a whole number (it is 'many')"),
        ("scrape_interval: 15\n", "15 has no unit; write 15s"),
        ("retention: 0s\n", "must be greater than 0s"),
        ("scrape_interval: 15 sec\n", "'15 sec' is not a duration; write for example 90s"),
        ("modes:\n  prod: automatic\n", "suture.yaml:2: setting modes.prod: must be 'observe'"),
        ("scrape:\n  - url: localhost:80/metrics\n", "suture.yaml:2: setting scrape[0].url: must begin with http://"),
        ("runbooks: team\n", "must be a list (it is 'team'), for example"),
        ("detector: {name: off}\n", "must be a text in quotes"),
        ("mode: auto\nmode: observe\n", "suture.yaml:2: mode is given twice, first on line 1"),
        ("mode: [\n", "suture.yaml:2: not valid YAML"),
        ("mode: 2026-13-45\n", "put it in quotes"),
        ("- mode\n", "suture.yaml:1: the file must be a mapping"),
        ("mode\n", "suture.yaml:1: the file must be a mapping"),
        (b"\x80", "suture.yaml: is not UTF-8 text"),
    ],
)
def test_a_wrong_settings_file_is_named_with_its_line_and_the_mend(refused, text, words):
    assert words in refused(text)


def test_all_that_is_wrong_is_said_at_once(refused):
    said = refused("mode: x\nmax_series: y\n")
    assert "suture.yaml:1:" in said
    assert "suture.yaml:2:" in said


def test_a_secret_is_never_repeated(refused):
    assert "hunter2" not in refused("model_api_key: {a: hunter2}\nmodel_weight: 7\n")


def test_the_stronger_source_is_blamed(refused, monkeypatch):
    monkeypatch.setenv("SUTURE_MODE", "x")
    assert refused("mode: auto\n").startswith("SUTURE_MODE: setting mode:")


def test_a_list_in_the_environment_is_json(monkeypatch):
    monkeypatch.setenv("SUTURE_SCRAPE", "http://localhost")
    with pytest.raises(BadInput, match=r"SUTURE_SCRAPE: must be JSON, for example \[\{"):
        load_settings()


def test_a_topology_names_the_line_and_lists_services_without_details(tmp_path):
    file = tmp_path / "topology.yaml"
    file.write_text("services:\n  shop: {depends_on: [db]}\n  db:\n")
    assert load_topology(file).dependencies("shop") == ("db",)
    file.write_text("services:\n  shop:\n    depends: [db]\n")
    with pytest.raises(BadInput, match=r"topology.yaml:3: services.shop.depends: there is no such key"):
        load_topology(file)
