from models.localisation.excess import NodeExcess, rank_by_excess

CALLS = {"web": ("shop", "ads"), "shop": ("db",), "ads": (), "db": ()}


def rank(**excess):
    nodes = {name: NodeExcess(excess=value, noise=1.0) for name, value in excess.items()}
    return rank_by_excess(nodes, CALLS, "web")


def test_deepest_node_that_explains_its_callers_comes_first():
    assert [name for name, _ in rank(web=100, shop=95, db=90, ads=0)][:3] == ["db", "web", "shop"]


def test_a_callee_with_a_small_part_explains_nothing():
    assert rank(web=100, shop=95, db=20, ads=0)[0][0] == "shop"


def test_a_node_behind_a_healthy_one_is_not_reached():
    ranked = dict(rank(web=100, shop=0, db=80, ads=60))
    assert ranked["db"] == 0.0
    assert max(ranked, key=ranked.__getitem__) == "ads"


def test_a_new_callee_is_a_change_of_its_caller():
    nodes = {
        "web": NodeExcess(100, 1.0),
        "shop": NodeExcess(100, 1.0),
        "db": NodeExcess(100, 1.0, known=False),
    }
    assert rank_by_excess(nodes, CALLS, "web")[0][0] == "shop"


def test_order_of_nodes_is_no_evidence():
    ranked = dict(rank(web=0, shop=0, db=0, ads=0))
    assert set(ranked.values()) == {0.0}
