import json

from models.domain.base import utc_now
from service.discovery.settings import DiscoverySettings
from service.store.topology import Edges


def test_each_dependency_is_shown_with_where_it_comes_from(suture, installation, stored, tmp_path, monkeypatch):
    file = tmp_path / "topology.yaml"
    file.write_text("services:\n  shop:\n    depends_on: [orders-db]\n")
    monkeypatch.setenv("SUTURE_TOPOLOGY", str(file))
    limits = DiscoverySettings()
    with stored() as state:
        calls = {("shop", "ads"): 2.0, ("web", "shop"): 40.0}
        Edges(state.database, limits.max_edges).add(calls, "traces", utc_now(), limits.fade)
    data = ("--data", str(installation))
    rows = [line.split() for line in suture("topology", "show", *data).stdout.splitlines()]
    assert [row[:4] for row in rows[1:]] == [
        ["shop", "ads", "traces", "no:"],
        ["shop", "orders-db", "file", "yes"],
        ["web", "shop", "traces", "yes"],
    ]
    shown = json.loads(suture("topology", "show", "--json", *data).stdout)
    assert shown["services"]["web"]["depends_on"] == ["shop"]
    assert [one["calls"] for one in shown["edges"]] == [2.0, None, 40.0]
