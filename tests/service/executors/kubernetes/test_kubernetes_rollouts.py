import pytest

from service.ports import Effect, ExecutorError

KEY = "suture.dev/key"
RESTARTED = "kubectl.kubernetes.io/restartedAt"


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
def test_a_restart_changes_the_template_and_waits_for_the_pods(cluster, executor, workload, call, kind):
    resource = workload(kind)
    outputs = executor.act(call("rollout-restart", kind=kind))
    thing = cluster.see(resource, "web")
    marks = thing["spec"]["template"]["metadata"]["annotations"]
    assert marks[KEY] == thing["metadata"]["annotations"][KEY] == "exec-1:act"
    assert RESTARTED in marks
    assert (outputs["ready_replicas"], outputs["updated_replicas"], outputs["changed"]) == (3, 3, True)
    assert outputs["revision"] == (2 if kind == "deployment" else None)
    assert thing["spec"]["selector"] == {"matchLabels": {"app": "web"}}, "the rest of the object is as it was"
    assert thing["spec"]["template"]["spec"]["containers"] == [{"name": "web", "image": "web:1"}]


def test_a_restart_again_with_the_same_key_restarts_nothing(cluster, executor, workload, call):
    resource = workload()
    executor.act(call("rollout-restart"))
    first = cluster.see(resource, "web")["spec"]
    assert executor.act(call("rollout-restart"))["changed"] is False
    assert cluster.see(resource, "web")["spec"] == first
    executor.act(call("rollout-restart", key="exec-2:act"))
    assert cluster.see(resource, "web")["metadata"]["generation"] == 3


def test_observe_tells_by_the_key(cluster, executor, workload, call):
    resource = workload()
    one = call("rollout-restart")
    assert executor.observe(one) is Effect.ABSENT
    executor.act(one)
    assert executor.observe(one) is Effect.HAPPENED
    assert executor.observe(call("rollout-restart", key="exec-2:act")) is Effect.ABSENT
    cluster.edit(resource, "web", lambda thing: thing["metadata"]["annotations"].pop(KEY))
    assert executor.observe(one) is Effect.HAPPENED, "the pod template still has it"
    cluster.objects[resource, "shop", "web"].delete()
    assert executor.observe(one) is Effect.UNKNOWN


def test_a_change_by_somebody_else_in_between_is_kept(cluster, executor, workload, call):
    resource = workload()
    raced = []

    def scaled_meanwhile(request, when):
        if request.method == "PUT" and when == "before" and len(raced) < 2:
            raced.append(1)
            cluster.edit(resource, "web", lambda thing: thing["spec"].update(replicas=5 + len(raced)))

    cluster.faults.append(scaled_meanwhile)
    executor.act(call("rollout-restart"))
    assert len(cluster.requests_of("PUT")) == 3, "two conflicts, then the write with the newest version"
    assert cluster.see(resource, "web")["spec"]["replicas"] == 7


def test_conflicts_without_end_are_given_up_within_the_time(cluster, executor, workload, call):
    resource = workload()

    def always(request, when):
        if request.method == "PUT" and when == "before":
            cluster.edit(resource, "web", lambda thing: None)

    cluster.faults.append(always)
    with pytest.raises(ExecutorError, match="409") as caught:
        executor.act(call("rollout-restart", seconds=3))
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, True)


def test_a_rollout_that_does_not_end_in_time_has_happened_all_the_same(cluster, executor, workload, call):
    workload()
    cluster.hold_rollouts = True
    with pytest.raises(ExecutorError, match="its controller has not seen the change") as caught:
        executor.act(call("rollout-restart"))
    assert caught.value.effect is Effect.HAPPENED


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"updatedReplicas": 1, "availableReplicas": 3, "replicas": 4}, "1 of 3 pods"),
        ({"updatedReplicas": 3, "availableReplicas": 3, "replicas": 5}, "2 old pods are still there"),
        ({"updatedReplicas": 3, "availableReplicas": 2, "replicas": 3}, "2 of 3 pods are available"),
        ({"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}, "its own deadline is over"),
    ],
)  # fmt: skip
def test_what_a_deployment_waits_for_is_said(cluster, executor, workload, call, status, words):
    resource = workload()
    cluster.hold_rollouts = True

    def stuck(request, when):
        if request.method == "PUT" and when == "after":
            cluster.edit(resource, "web", lambda thing: thing.update(status={"observedGeneration": 2, **status}))

    cluster.faults.append(stuck)
    with pytest.raises(ExecutorError, match=words) as caught:
        executor.act(call("rollout-restart"))
    assert caught.value.effect is Effect.HAPPENED


@pytest.mark.parametrize(
    ("kind", "spec", "status", "words"),
    [
        ("statefulset", {}, {"updateRevision": "b", "currentRevision": "a", "updatedReplicas": 1}, "1 of 3 pods"),
        ("statefulset", {}, {"updateRevision": "b", "currentRevision": "b", "readyReplicas": 2}, "2 of 3 pods"),
        ("statefulset", {"partition": 1}, {"updatedReplicas": 1, "readyReplicas": 3}, "1 of 2 pods are updated"),
        ("statefulset", {"partition": 1}, {"updatedReplicas": 2, "readyReplicas": 3}, None),
        ("daemonset", {}, {"desiredNumberScheduled": 4, "updatedNumberScheduled": 3}, "3 of 4 pods are updated"),
        ("daemonset", {}, {"desiredNumberScheduled": 4, "updatedNumberScheduled": 4, "numberAvailable": 1}, "1 of 4"),
        ("daemonset", {}, {"desiredNumberScheduled": 0}, None),
    ],
)  # fmt: skip
def test_what_the_other_kinds_wait_for_is_said(cluster, executor, workload, call, kind, spec, status, words):
    resource = workload(kind, updateStrategy={"type": "RollingUpdate", "rollingUpdate": spec})
    cluster.hold_rollouts = True

    def partly(request, when):
        if request.method == "PUT" and when == "after":
            cluster.edit(resource, "web", lambda thing: thing.update(status={"observedGeneration": 2, **status}))

    cluster.faults.append(partly)
    if words is None:
        assert executor.act(call("rollout-restart", kind=kind))["changed"] is True
        return
    with pytest.raises(ExecutorError, match=words):
        executor.act(call("rollout-restart", kind=kind))


def test_a_person_can_stop_the_wait_but_not_the_rollout(cluster, executor, workload, call):
    workload()
    cluster.hold_rollouts = True
    with pytest.raises(ExecutorError, match="a person asked to stop") as caught:
        executor.act(call("rollout-restart", cancelled=lambda: bool(cluster.requests_of("PUT"))))
    assert caught.value.effect is Effect.HAPPENED


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("deployment", {"paused": True}, "is paused"),
        ("daemonset", {"updateStrategy": {"type": "OnDelete"}}, "OnDelete"),
    ],
)
@pytest.mark.parametrize("verb", ["rollout-restart", "rollout-undo"])
def test_a_rollout_that_would_not_come_about_is_refused(cluster, executor, workload, call, verb, kind, spec, words):
    workload(kind, ("web:1", "web:2"), **spec)
    for attempt in (executor.dry_run, executor.act):
        with pytest.raises(ExecutorError, match=words) as caught:
            attempt(call(verb, kind=kind))
        assert caught.value.effect is Effect.ABSENT
    assert cluster.requests_of("PUT") == []


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "daemonset"])
@pytest.mark.parametrize(("revision", "image"), [(None, "web:2"), (1, "web:1")])
def test_undo_puts_back_the_previous_or_a_named_revision(cluster, executor, workload, call, kind, revision, image):
    resource = workload(kind, ("web:1", "web:2", "web:3"))
    one = call("rollout-undo", kind=kind, revision=revision)
    before = executor.snapshot(one)
    assert (before["to_revision"], before["revision"]) == (revision or 2, 3)
    outputs = executor.act(one)
    thing = cluster.see(resource, "web")
    assert thing["spec"]["template"]["spec"]["containers"][0]["image"] == image
    assert "pod-template-hash" not in thing["spec"]["template"]["metadata"]["labels"]
    assert "$patch" not in thing["spec"]["template"]
    assert (outputs["before_revision"], outputs["revision"]) == (3, 4), "the old revision became the newest"
    assert thing["metadata"]["annotations"][KEY] == "exec-1:act"
    assert executor.observe(one) is Effect.HAPPENED


def test_undo_again_after_a_crash_does_not_flip_back(cluster, executor, workload, call):
    resource = workload(images=("web:1", "web:2"))
    before = executor.snapshot(call("rollout-undo"))
    executor.act(call("rollout-undo", before=before))
    assert executor.act(call("rollout-undo", before=before))["changed"] is False
    assert cluster.see(resource, "web")["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"


def test_undo_goes_to_what_was_the_previous_when_it_was_begun(cluster, executor, workload, call):
    resource = workload(images=("web:1", "web:2"))
    before = executor.snapshot(call("rollout-undo"))
    cluster.edit(resource, "web", lambda thing: thing["metadata"].update(generation=3))
    cluster.edit(
        resource, "web", lambda thing: thing["spec"]["template"]["spec"]["containers"][0].update(image="web:3")
    )
    executor.snapshot(call("rollout-undo"))  # the controller sees the third revision
    executor.act(call("rollout-undo", before=before))
    assert cluster.see(resource, "web")["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"


def test_undo_to_the_current_revision_changes_nothing(cluster, executor, workload, call):
    workload(images=("web:1", "web:2"))
    assert executor.act(call("rollout-undo", revision=2))["changed"] is False
    assert cluster.requests_of("PUT") == []


def test_undo_takes_the_change_cause_of_the_revision_along(cluster, executor, workload, call):
    resource = workload(images=("web:1", "web:2"))
    cause = "kubernetes.io/change-cause"
    cluster.edit("apps/v1/replicasets", "web-1", lambda rs: rs["metadata"]["annotations"].update({cause: "first"}))
    cluster.edit(resource, "web", lambda thing: thing["metadata"]["annotations"].update({cause: "second"}))
    executor.act(call("rollout-undo"))
    assert cluster.see(resource, "web")["metadata"]["annotations"][cause] == "first"


@pytest.mark.parametrize(
    ("images", "revision", "words"),
    [
        (("web:1",), None, "has no revision to go back to; it has 1"),
        (("web:1", "web:2"), 7, "has no revision 7; it has 1, 2"),
    ],
)
def test_undo_to_nowhere_is_refused(executor, workload, call, images, revision, words):
    workload(images=images)
    with pytest.raises(ExecutorError, match=words) as caught:
        executor.act(call("rollout-undo", revision=revision))
    assert caught.value.effect is Effect.ABSENT


def test_revisions_of_another_workload_with_the_same_labels_are_left_alone(cluster, executor, workload, call):
    workload(images=("web:1", "web:2"))

    def given_away(rs):
        rs["metadata"]["ownerReferences"][0]["uid"] = "another"

    cluster.edit("apps/v1/replicasets", "web-1", given_away)
    with pytest.raises(ExecutorError, match="has no revision to go back to; it has 2"):
        executor.act(call("rollout-undo"))


@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
@pytest.mark.parametrize("replicas", [0, 5])
def test_scale_sets_the_number_through_the_subresource_alone(cluster, executor, workload, call, kind, replicas):
    resource = workload(kind)
    one = call("scale", kind=kind, replicas=replicas)
    assert executor.observe(one) is Effect.ABSENT
    assert executor.snapshot(one)["replicas"] == 3
    outputs = executor.act(one)
    assert outputs == {"name": "web", "before_replicas": 3, "replicas": replicas, "ready_replicas": replicas}
    assert cluster.see(resource, "web")["spec"]["replicas"] == replicas
    assert [path.rsplit("/", 1)[1] for _, _, path, _ in cluster.requests_of("PUT")] == ["scale"]
    assert executor.observe(one) is Effect.HAPPENED


def test_scale_again_writes_nothing_and_remembers_the_first_number(cluster, executor, workload, call):
    workload()
    before = executor.snapshot(call("scale", replicas=5))
    executor.act(call("scale", replicas=5, before=before))
    assert executor.act(call("scale", replicas=5, before=before))["before_replicas"] == 3
    assert len(cluster.requests_of("PUT")) == 1


def test_scale_that_is_not_ready_in_time_has_happened(cluster, executor, workload, call):
    workload()
    cluster.hold_rollouts = True
    with pytest.raises(ExecutorError, match="3 of 5 pods of deployment shop/web were ready") as caught:
        executor.act(call("scale", replicas=5))
    assert caught.value.effect is Effect.HAPPENED


@pytest.mark.parametrize(
    ("verb", "more", "words"),
    [
        ("rollout-restart", {}, "would restart deployment shop/web: 3 pods"),
        ("rollout-undo", {}, "would take deployment shop/web from revision 2 back to revision 1"),
        ("scale", {"replicas": 5}, "would scale deployment shop/web from 3 to 5 pods"),
    ],
)
def test_a_dry_run_is_the_api_servers_own_and_changes_nothing(cluster, executor, workload, call, verb, more, words):
    resource = workload(images=("web:1", "web:2"))
    before = cluster.see(resource, "web")
    assert executor.dry_run(call(verb, **more)).startswith(words)
    (put,) = cluster.requests_of("PUT")
    assert put[3] == {"dryRun": "All", "fieldManager": "suture"}
    assert cluster.see(resource, "web") == before
