import pytest

from service.ports import Effect, ExecutorError

KEY = "suture.dev/key"
REPLICAS = {"spec": {"replicas": 5}}


def memory(limit: str) -> dict:
    containers = [{"name": "web", "resources": {"limits": {"memory": limit}}}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def test_a_patch_is_applied_in_sutures_name_with_the_version_that_was_read(cluster, executor, workload, call):
    resource = workload()
    version = executor.snapshot(call("patch", fields=REPLICAS))["resource_version"]
    one = call("patch", fields=memory("2Gi") | {"metadata": {"labels": {"tier": "gold"}}})
    assert executor.observe(one) is Effect.ABSENT
    outputs = executor.act(one)
    assert outputs["fields"] == [
        "/spec/template/spec/containers/web/resources/limits/memory", "/metadata/labels/tier",
    ]  # fmt: skip
    thing = cluster.see(resource, "web")
    assert thing["spec"]["template"]["spec"]["containers"] == [
        {"name": "web", "image": "web:1", "resources": {"limits": {"memory": "2Gi"}}}
    ]
    assert thing["metadata"]["labels"] == {"tier": "gold"}
    assert thing["metadata"]["annotations"][KEY] == "exec-1:act"
    assert outputs["resource_version"] == thing["metadata"]["resourceVersion"] != version
    assert executor.observe(one) is Effect.HAPPENED
    (sent,) = cluster.requests_of("PATCH")
    assert sent[3] == {"fieldManager": "suture"}, "not forced"
    owned = {path for path, owner in cluster.owners["deployments", "shop", "web"].items() if owner == "suture"}
    limits = ("spec", "template", "spec", "containers", "[web]")
    assert owned == {
        (*limits, "name"), (*limits, "resources", "limits", "memory"), ("metadata", "labels", "tier"),
        ("metadata", "annotations", KEY),
    }, "the fields that were asked for and no other"  # fmt: skip


def test_a_second_patch_keeps_what_the_first_set(cluster, executor, workload, call):
    resource = workload()
    executor.act(call("patch", fields=memory("2Gi")))
    executor.act(call("patch", fields=REPLICAS, key="exec-2:act"))
    executor.act(call("patch", fields={"metadata": {"labels": {"tier": "gold"}}}, key="exec-3:act"))
    thing = cluster.see(resource, "web")
    assert thing["spec"]["replicas"] == 5
    assert thing["spec"]["template"]["spec"]["containers"][0]["resources"] == {"limits": {"memory": "2Gi"}}
    executor.act(call("patch", fields=memory("3Gi"), key="exec-4:act"))
    limits = cluster.see(resource, "web")["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"memory": "3Gi"}


def test_what_others_manage_is_refused_unless_forced(cluster, executor, workload, call):
    resource = workload()
    cluster.owners["deployments", "shop", "web"] = {("spec", "replicas"): "autoscaler"}
    for attempt in (executor.dry_run, executor.act):
        with pytest.raises(ExecutorError, match=r'\.spec\.replicas: conflict with "autoscaler"') as caught:
            attempt(call("patch", fields=REPLICAS))
        assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, False)
    assert cluster.see(resource, "web")["spec"]["replicas"] == 3
    assert "taken over" in executor.dry_run(call("patch", fields=REPLICAS, force=True))
    executor.act(call("patch", fields=REPLICAS, force=True))
    assert cluster.see(resource, "web")["spec"]["replicas"] == 5


def test_a_change_meanwhile_is_read_again(cluster, executor, workload, call):
    resource = workload()
    raced = []

    def meanwhile(request, when):
        if request.method == "PATCH" and when == "before" and not raced:
            raced.append(1)
            cluster.edit(resource, "web", lambda thing: thing["metadata"].update(labels={"a": "b"}))

    cluster.faults.append(meanwhile)
    executor.act(call("patch", fields=REPLICAS))
    assert len(cluster.requests_of("PATCH")) == 2
    assert cluster.see(resource, "web")["metadata"]["labels"] == {"a": "b"}


def test_a_patch_again_with_the_same_key_sends_nothing(cluster, executor, workload, call):
    resource = workload()
    executor.act(call("patch", fields=REPLICAS))
    cluster.edit(resource, "web", lambda thing: thing["spec"].update(replicas=7))
    executor.act(call("patch", fields=REPLICAS))
    assert cluster.see(resource, "web")["spec"]["replicas"] == 7
    assert len(cluster.requests_of("PATCH")) == 1


def test_a_dry_patch_changes_nothing_and_shows_no_value(cluster, executor, workload, call):
    resource = workload()
    before = cluster.see(resource, "web")
    words = executor.dry_run(call("patch", fields=memory("2Gi")))
    assert words == (
        "would set /spec/template/spec/containers/web/resources/limits/memory of deployment shop/web, "
        "as service account suture/actor"
    )
    assert cluster.see(resource, "web") == before
    assert cluster.requests_of("PATCH")[0][3]["dryRun"] == "All"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"spec": {"replicas": 5, "paused": True}}, "/spec/paused is not allowed"),
        ({"spec": {}}, "/spec is not allowed"),
        ({"spec": {"template": {"spec": {"containers": []}}}}, "needs items that each have a name"),
        ({"spec": {"template": {"spec": {"containers": [{"resources": {}}]}}}}, "needs items that each have a name"),
        ({"spec": {"template": {"spec": {"containers": [{"name": "web"}]}}}}, "containers/web sets nothing"),
        ({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "evil"}]}}}}, "/image is not allowed"),
        ({"spec": {"template": {"spec": {"containers": "web"}}}}, "/containers is not allowed"),
        ({"spec": {"template": {"spec": {"containers": [{"name": "a/resources", "image": "x"}]}}}}, "is not allowed"),
        ({"spec.replicas": 5}, "/spec.replicas is not allowed"),
        ({"spec/replicas": 5}, "/spec~1replicas is not allowed"),
        ({"spec": {"replicas": None}}, "/spec/replicas is null"),
        ({"metadata": {"labels": {}}}, "/metadata/labels can never be patched"),
        ({"metadata": {"finalizers": []}}, "/metadata/finalizers can never be patched"),
        ({"metadata": {"name": "other"}}, "/metadata/name can never be patched"),
        ({"metadata": {"ownerReferences": {"a": "b"}}}, "can never be patched"),
        ({"metadata": {"annotations": {KEY: "forged"}}}, "can never be patched"),
        ({"metadata": {"annotations": {"a": "b"}}}, "/metadata/annotations/a is not allowed"),
        ({"status": {"replicas": 5}}, "/status/replicas can never be patched"),
        ({"kind": "Secret"}, "/kind can never be patched"),
        ({}, "at least 1"),
    ],
)
def test_only_allowed_fields_are_sent(cluster, executor, workload, call, fields, words):
    workload()
    with pytest.raises(ExecutorError, match=words) as caught:
        executor.act(call("patch", fields=fields))
    assert caught.value.effect is Effect.ABSENT
    assert cluster.log == [], "refused before anything was sent"


def test_a_kind_without_allowed_fields_cannot_be_patched(cluster, executor, call):
    with pytest.raises(ExecutorError, match=r"add it to|/data/a is not allowed"):
        executor.act(call("patch", kind="configmap", fields={"data": {"a": "b"}}))
    assert cluster.log == []


def test_an_object_that_is_not_there_is_not_made(cluster, executor, call):
    with pytest.raises(ExecutorError, match="404") as caught:
        executor.act(call("patch", fields=REPLICAS))
    assert caught.value.effect is Effect.ABSENT
    assert cluster.requests_of("PATCH") == []
