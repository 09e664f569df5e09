import pytest

from service.ports import Effect, ExecutorError

KEY = "suture.dev/key"


@pytest.mark.parametrize(("verb", "closed"), [("cordon", True), ("uncordon", False)])
def test_cordon_and_uncordon_set_the_field_and_nothing_else(cluster, executor, node, call, verb, closed):
    cluster.edit(node, "w1", lambda thing: thing["spec"].update(unschedulable=not closed), namespace=None)
    assert executor.observe(call(verb)) is Effect.ABSENT
    assert executor.act(call(verb)) == {"name": "w1", "unschedulable": closed, "changed": True}
    thing = cluster.see(node, "w1", None)
    assert thing["spec"] == {"podCIDR": "10.0.0.0/24", "unschedulable": closed}
    assert thing["metadata"]["annotations"] == {KEY: "exec-1:act"}
    assert executor.observe(call(verb)) is Effect.HAPPENED
    assert executor.act(call(verb))["changed"] is False
    assert len(cluster.requests_of("PUT")) == 1


def test_a_dry_cordon_changes_nothing(cluster, executor, node, call):
    assert executor.dry_run(call("cordon")) == "would cordon node w1, as service account suture/actor"
    assert executor.dry_run(call("uncordon")).startswith("would uncordon node w1, which already is so")
    assert executor.snapshot(call("cordon"))["unschedulable"] is False
    assert "unschedulable" not in cluster.see(node, "w1", None)["spec"]


def test_a_drain_cordons_evicts_and_leaves_what_belongs_to_the_node(cluster, executor, node, pod, call):
    pod("web-1"), pod("job-1", namespace="other", controller="Job")
    pod("logger", "DaemonSet"), pod("api", None, metadata={"annotations": {"kubernetes.io/config.mirror": "x"}})
    pod("elsewhere", spec={"nodeName": "w2"}), pod("done", None, status={"phase": "Succeeded"})
    one = call("drain")
    assert executor.observe(one) is Effect.ABSENT
    outputs = executor.act(one)
    assert sorted(outputs["evicted"]) == ["other/job-1", "shop/done", "shop/web-1"]
    assert sorted(outputs["left"]) == ["shop/api", "shop/logger"]
    assert cluster.see(node, "w1", None)["spec"]["unschedulable"] is True
    assert not cluster.objects["v1/pods", "shop", "elsewhere"].deleted
    assert cluster.requests_of("DELETE") == [], "evictions only: budgets hold"
    assert executor.observe(one) is Effect.HAPPENED


def test_a_drain_waits_for_the_disruption_budget(cluster, executor, node, pod, call):
    pod("web-1"), pod("web-2")
    cluster.budget["shop"] = 1

    def freed(request, when):
        # The replacement of the first pod is ready after the second was refused once.
        if request.subresource == "eviction" and when == "before" and len(cluster.requests_of("POST", "eviction")) == 3:
            cluster.budget["shop"] = 1

    cluster.faults.append(freed)
    assert sorted(executor.act(call("drain"))["evicted"]) == ["shop/web-1", "shop/web-2"]
    assert len(cluster.requests_of("POST", "eviction")) == 3


def test_a_budget_that_never_frees_ends_the_drain_in_time_and_leaves_it_to_a_person(cluster, executor, node, pod, call):
    pod("web-1"), pod("web-2")
    cluster.budget["shop"] = 1
    words = r"is cordoned, 1 pods were evicted; then: shop/web-2 \(held back by a disruption budget\) still ran there"
    with pytest.raises(ExecutorError, match=words) as caught:
        executor.act(call("drain"))
    assert (caught.value.effect, caught.value.retriable) == (Effect.UNKNOWN, False)
    assert executor.observe(call("drain")) is Effect.UNKNOWN, "done in part"
    assert executor.observe(call("drain", key="exec-2:act")) is Effect.ABSENT, "another act's drain"


def test_a_pod_that_does_not_end_is_waited_for_and_evicted_once(cluster, executor, node, pod, call):
    pod("web-1")
    cluster.linger.add("web-1")
    with pytest.raises(ExecutorError, match=r"shop/web-1 \(still ending\)"):
        executor.act(call("drain"))
    assert len(cluster.requests_of("POST", "eviction")) == 1


@pytest.mark.parametrize(
    ("controller", "more", "words", "permit"),
    [
        (None, {}, "shop/bare has no controller", "unmanaged"),
        ("ReplicaSet", {"spec": {"volumes": [{"emptyDir": {}}]}}, "shop/bare has emptyDir volumes", "empty_dir_data"),
    ],
)
def test_pods_that_would_be_lost_stop_a_drain_before_it_begins(
    cluster, executor, node, pod, call, controller, more, words, permit
):
    pod("web-1"), pod("bare", controller, **more)
    for attempt in (executor.dry_run, executor.snapshot, executor.act):
        with pytest.raises(ExecutorError, match=words) as caught:
            attempt(call("drain"))
        assert caught.value.effect is Effect.ABSENT
    assert "unschedulable" not in cluster.see(node, "w1", None)["spec"]
    assert cluster.requests_of("POST", "eviction") == []
    assert len(executor.act(call("drain", **{permit: True}))["evicted"]) == 2


def test_a_dry_drain_asks_for_each_eviction_and_tells_what_is_held(cluster, executor, node, pod, call):
    pod("web-1"), pod("job-1", namespace="other"), pod("logger", "DaemonSet")
    cluster.budget["shop"] = 0
    words = executor.dry_run(call("drain"))
    assert words.startswith("would cordon node w1 and evict 2 pods (")
    assert "; 1 stay; held back by a disruption budget now: shop/web-1" in words
    assert all(query["dryRun"] == "All" for _, method, _, query in cluster.log if method in ("PUT", "PATCH", "DELETE"))
    assert "unschedulable" not in cluster.see(node, "w1", None)["spec"]
    assert not cluster.objects["v1/pods", "other", "job-1"].deleted


def test_a_person_stops_a_drain_between_two_pods(cluster, executor, node, pod, call):
    for number in range(3):
        pod(f"web-{number}")
    one = call("drain", cancelled=lambda: len(cluster.requests_of("POST", "eviction")) >= 2)
    with pytest.raises(ExecutorError, match="2 pods were evicted; then: a person asked to stop") as caught:
        executor.act(one)
    assert caught.value.effect is Effect.UNKNOWN
    assert len(cluster.requests_of("POST", "eviction")) == 2


def test_a_drain_goes_on_after_a_crash_and_after_a_lost_connection(cluster, executor, node, pod, call):
    pod("web-1"), pod("web-2")
    cluster.budget["shop"] = 1
    with pytest.raises(ExecutorError, match="held back"):
        executor.act(call("drain"))
    cluster.budget["shop"] = 9
    dropped = []

    def lost(request, when):
        if request.subresource == "eviction" and when == "after" and not dropped:
            dropped.append(1)
            return "drop"
        return None

    cluster.faults.append(lost)
    assert executor.act(call("drain"))["left"] == []
    assert dropped
    assert executor.observe(call("drain")) is Effect.HAPPENED


def test_a_pod_is_deleted_by_its_uid_and_awaited(cluster, executor, pod, call):
    pod("web")
    one = call("delete-pod")
    before = executor.snapshot(one)
    assert before == {"uid": "uid-web", "node": "w1", "controller": "ReplicaSet/owner"}
    assert executor.observe(call("delete-pod", before=before)) is Effect.ABSENT
    assert executor.act(call("delete-pod", before=before, grace_seconds=5)) == {"name": "web", **before}
    assert executor.observe(call("delete-pod", before=before)) is Effect.HAPPENED


def test_a_new_pod_of_the_same_name_is_left_alone(cluster, executor, pod, call):
    pod("web")
    before = executor.snapshot(call("delete-pod"))
    pod("web", metadata={"uid": "uid-new"})
    assert executor.act(call("delete-pod", before=before))["uid"] == "uid-web"
    assert not cluster.objects["v1/pods", "shop", "web"].deleted
    assert executor.observe(call("delete-pod", before=before)) is Effect.HAPPENED


def test_a_pod_that_hangs_in_its_end_counts_as_deleted(cluster, executor, pod, call):
    pod("web")
    cluster.linger.add("web")
    with pytest.raises(ExecutorError, match="pod shop/web was still ending") as caught:
        executor.act(call("delete-pod"))
    assert caught.value.effect is Effect.HAPPENED
    assert executor.observe(call("delete-pod", before={"uid": "uid-web"})) is Effect.HAPPENED
    assert executor.observe(call("delete-pod")) is Effect.UNKNOWN, "without a snapshot nothing tells the pods apart"


def test_a_pod_without_a_controller_is_deleted_only_when_asked(cluster, executor, pod, call):
    pod("web", None)
    with pytest.raises(ExecutorError, match="has no controller that would make it anew") as caught:
        executor.act(call("delete-pod"))
    assert caught.value.effect is Effect.ABSENT
    assert executor.dry_run(call("delete-pod", unmanaged=True)).startswith(
        "would delete pod shop/web on w1; nothing makes a new one"
    )
    assert not cluster.objects["v1/pods", "shop", "web"].deleted
    executor.act(call("delete-pod", unmanaged=True))
    assert cluster.objects["v1/pods", "shop", "web"].deleted


def test_a_mirror_pod_is_refused(executor, pod, call):
    pod("web", metadata={"annotations": {"kubernetes.io/config.mirror": "x"}})
    with pytest.raises(ExecutorError, match="the API cannot end it"):
        executor.act(call("delete-pod", unmanaged=True))
