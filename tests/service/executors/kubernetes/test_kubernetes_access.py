import logging
import os
import threading
from dataclasses import replace

import pytest
import yaml

from models.domain.base import utc_now
from models.domain.errors import BadInput
from service.executors.kubernetes import KubernetesExecutor
from service.executors.kubernetes_transport import account_client
from service.ports import Call, Context, Effect, ExecutorError
from tests.service.taken_over import TakenOver, refused

CONTEXT = Context(clock=utc_now, secret=lambda reference: reference)


def only_tokens(who, method, path):
    """The base identity may ask for tokens, and nothing else."""
    return who == "base" and not path.endswith("/serviceaccounts/actor/token")


def test_each_act_has_a_token_of_its_own_and_the_base_identity_does_nothing_else(cluster, executor, workload, call):
    workload()
    cluster.forbidden = only_tokens
    executor.act(call("rollout-restart", seconds=30))
    executor.act(call("scale", replicas=5, seconds=1800))
    assert cluster.token_lives == [600, 1860], "at least what the API grants; the act's time and a minute more"
    by = [who for who, _, path, _ in cluster.log if not path.endswith("/token")]
    assert set(by) == {"suture/actor#1", "suture/actor#2"}
    first = by.index("suture/actor#2")
    assert "suture/actor#1" not in by[first:]


def test_an_account_gets_nothing_of_the_identity_that_asked_for_its_token(cluster):
    from kubernetes.client import ApiClient, Configuration

    base = Configuration(host=cluster.url_, ssl_ca_cert="/ca", cert_file="/certificate", key_file="/key")
    base.api_key = {"BearerToken": "Bearer base-token"}
    base.tls_server_name = "api.internal"
    made = account_client(ApiClient(base), "suture/actor", 600, (5, 5)).configuration
    assert (made.host, made.ssl_ca_cert, made.tls_server_name) == (cluster.url_, "/ca", "api.internal")
    assert (made.cert_file, made.key_file, made.username, made.refresh_api_key_hook) == (None, None, None, None)
    assert made.api_key == {"BearerToken": "Bearer token-1"}


def test_without_an_account_the_base_identity_acts_and_a_dry_run_says_so(cluster, config, workload, call):
    workload()
    config["clusters"]["default"]["accounts"] = {"scale": "suture/actor"}
    executor = KubernetesExecutor.build(config, CONTEXT)
    words = executor.dry_run(call("rollout-restart"))
    assert words.endswith("as Suture's own identity there: no service account is configured for rollout-restart")
    assert {who for who, _, _, _ in cluster.log} == {"base"}
    assert executor.dry_run(call("scale", replicas=4)).endswith("as service account suture/actor")


def test_a_token_that_expires_in_mid_act_is_asked_for_again(cluster, executor, workload, call):
    resource = workload()

    def expired(request, when):
        if request.method == "PUT" and when == "after":
            cluster.tokens = {token: who for token, who in cluster.tokens.items() if who == "base"}

    cluster.faults.append(expired)
    assert executor.act(call("rollout-restart"))["changed"] is True
    assert len(cluster.token_lives) == 2
    assert cluster.see(resource, "web")["metadata"]["generation"] == 2, "restarted once"


def test_a_base_identity_that_expired_changes_nothing(cluster, executor, workload, call):
    workload()
    cluster.tokens.clear()
    with pytest.raises(ExecutorError, match=r"no token for service account suture/actor: .* 401") as caught:
        executor.act(call("rollout-restart"))
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, False)


@pytest.mark.parametrize("refused", ["/token", "/web"])
def test_missing_rights_are_told_in_the_api_servers_words(cluster, executor, workload, call, refused):
    workload()
    cluster.forbidden = lambda who, method, path: path.endswith(refused)
    with pytest.raises(ExecutorError, match=r"answered 403: User .* cannot") as caught:
        executor.act(call("rollout-restart"))
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, False)
    assert executor.observe(call("rollout-restart")) is Effect.UNKNOWN


def test_a_right_that_is_missing_after_the_change_does_not_hide_the_change(cluster, executor, workload, call):
    workload()
    cluster.forbidden = lambda who, method, path: method == "GET" and bool(cluster.requests_of("PUT"))
    with pytest.raises(ExecutorError, match="403") as caught:
        executor.act(call("rollout-restart"))
    assert caught.value.effect is Effect.HAPPENED


@pytest.mark.parametrize(("when", "effect", "seen"), [("before", 1, Effect.ABSENT), ("after", 2, Effect.HAPPENED)])
def test_a_connection_lost_in_the_write_leaves_the_effect_open_until_the_object_is_asked(
    cluster, executor, workload, call, when, effect, seen
):
    resource = workload()
    cluster.faults.append(lambda request, now: "drop" if (request.method, now) == ("PUT", when) else None)
    with pytest.raises(ExecutorError, match="broke off at PUT") as caught:
        executor.act(call("rollout-restart"))
    assert caught.value.effect is Effect.UNKNOWN
    assert cluster.see(resource, "web")["metadata"]["generation"] == effect
    assert executor.observe(call("rollout-restart")) is seen
    cluster.faults.clear()
    executor.act(call("rollout-restart"))
    assert cluster.see(resource, "web")["metadata"]["generation"] == 2, "restarted once in all"


def test_an_api_server_that_is_away_during_the_wait_is_outlasted(cluster, executor, workload, call):
    workload()
    dropped = []

    def away(request, when):
        if request.method == "GET" and cluster.requests_of("PUT") and len(dropped) < 2:
            dropped.append(1)
            return "drop"
        return None

    cluster.faults.append(away)
    assert executor.act(call("rollout-restart"))["ready_replicas"] == 3
    assert len(dropped) == 2


@pytest.mark.parametrize(
    ("status", "effect", "retriable"),
    [(422, Effect.ABSENT, False), (429, Effect.ABSENT, True), (500, Effect.UNKNOWN, True), (503, Effect.UNKNOWN, True)],
)
def test_what_an_error_says_about_the_effect(cluster, executor, workload, call, status, effect, retriable):
    from mock_cluster import Refusal

    workload()
    cluster.faults.append(lambda request, when: Refusal(status, "X", "no") if request.method == "PUT" else None)
    with pytest.raises(ExecutorError, match=f"answered {status}: no") as caught:
        executor.act(call("rollout-restart"))
    assert caught.value.effect is effect
    assert caught.value.retriable is (retriable and effect is Effect.ABSENT)


def test_nobody_there_means_that_nothing_was_done(executor, call):
    with pytest.raises(ExecutorError, match="cannot be reached") as caught:
        executor.act(call("rollout-restart", cluster="gone"))
    assert (caught.value.effect, caught.value.retriable) == (Effect.ABSENT, True)
    assert executor.observe(call("rollout-restart", cluster="gone")) is Effect.UNKNOWN


def test_no_token_is_in_logs_errors_or_outputs(cluster, executor, workload, call, caplog):
    workload()
    caplog.set_level(logging.DEBUG)
    said = [executor.dry_run(call("rollout-restart")), str(executor.act(call("rollout-restart")))]
    cluster.forbidden = lambda who, method, path: True
    with pytest.raises(ExecutorError) as caught:
        executor.act(call("rollout-restart"))
    assert not any("token-" in text or "base-token" in text for text in [*said, str(caught.value), caplog.text])


@pytest.mark.parametrize(
    ("verb", "more", "words"),
    [
        (
            "rollout-restart",
            {"namespace": "kube-system"},
            "kube-system/web of cluster default is not allowed",
        ),
        ("delete-pod", {"namespace": "other"}, "pod other/web of cluster default is not allowed"),
        ("cordon", {"name": "master"}, "node master of cluster default is not allowed"),
        ("patch", {"kind": "namespace", "namespace": "", "fields": {"a": 1}}, "namespace web of .* is not allowed"),
        ("rollout-restart", {"cluster": "east"}, "no cluster 'east' is configured; there is default, gone"),
        ("explode", {}, "there is no kubernetes/explode"),
        ("rollout-restart", {"name": "../../secrets/x"}, "do not fit: name"),
        ("rollout-restart", {"name": "web?dryRun=All"}, "do not fit: name"),
        ("rollout-restart", {"namespace": "shop/pods"}, "do not fit: namespace"),
        ("rollout-restart", {"kind": "secret"}, "do not fit: kind"),
        ("rollout-restart", {"name": "web\n"}, "do not fit: name"),
        ("scale", {"replicas": -1}, "do not fit: replicas"),
        ("rollout-undo", {"revision": 0}, "do not fit: revision"),
        ("delete-pod", {"grace_seconds": 0}, "do not fit: grace_seconds"),
        ("cordon", {"namespace": "shop"}, "do not fit: namespace"),
        ("patch", {"namespace": "", "fields": {"a": 1}}, "needs a namespace"),
    ],
)
def test_what_is_not_allowed_is_refused_before_anything_is_sent(cluster, executor, call, verb, more, words):
    for attempt in (executor.dry_run, executor.snapshot, executor.act):
        with pytest.raises(ExecutorError, match=words) as caught:
            attempt(call(verb, **more))
        assert caught.value.effect is Effect.ABSENT
    assert cluster.log == []


def test_a_target_is_one_word_with_one_spelling(executor, call):
    assert executor.target("scale", call("scale", replicas=1).arguments) == "kubernetes:default/shop/deployment/web"
    assert executor.target("rollout-undo", call("rollout-undo").arguments | {"cluster": "default"}) == (
        "kubernetes:default/shop/deployment/web"
    )
    assert executor.target("drain", call("drain").arguments) == "kubernetes:default/node/w1"
    assert executor.target("delete-pod", call("delete-pod").arguments) == "kubernetes:default/shop/pod/web"


def test_several_threads_act_at_once_each_with_its_own_token(cluster, executor, workload, call):
    resource = workload()
    results = []

    def restart(number):
        results.append(executor.act(call("rollout-restart", key=f"exec-{number}:act"))["changed"])

    threads = [threading.Thread(target=restart, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [True] * 4
    assert len(cluster.token_lives) == 4
    assert cluster.see(resource, "web")["metadata"]["generation"] == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(clusters={}), "clusters"),
        (lambda c: c.update(clusters={"default": {}}), "needs either kubeconfig or in_cluster"),
        (lambda c: c["clusters"]["default"].update(in_cluster=True), "needs either kubeconfig or in_cluster"),
        (lambda c: c["clusters"]["default"].update(kubeconfig="/nowhere"), "clusters.default: .*cannot be used"),
        (lambda c: c["clusters"]["default"].update(context="west"), "clusters.default: .*west"),
        (lambda c: c["clusters"]["default"].update(accounts={"scale": "actor"}), "accounts.scale"),
        (lambda c: c["clusters"]["default"].update(accounts={"explode": "a/b"}), "accounts.explode"),
        (lambda c: c.update(allow=[]), "allow"),
        (lambda c: c.update(allow=[{"kinds": ["deployment"], "names": ["*"]}]), "needs namespaces"),
        (lambda c: c.update(allow=[{"kinds": ["pods"], "names": ["*"], "namespaces": ["*"]}]), "there is no kind pods"),
        (lambda c: c.update(patch={"secret": ["/data"]}), "patch"),
        (lambda c: c.update(patch={"deployment": ["spec.replicas"]}), "is not a JSON pointer"),
        (lambda c: c.update(token="abc"), "token"),
    ],
)
def test_wrong_settings_name_the_key(config, change, words):
    change(config)
    with pytest.raises(BadInput, match=words) as caught:
        KubernetesExecutor.build(config, CONTEXT)
    assert str(caught.value).startswith("executors.kubernetes")


def test_a_kind_without_namespaces_must_be_named_in_full(cluster, config, node, call):
    config["allow"] = [{"namespaces": ["*"], "kinds": ["*"], "names": ["*"]}]
    with pytest.raises(ExecutorError, match="node w1 of cluster default is not allowed"):
        KubernetesExecutor.build(config, CONTEXT).act(call("drain"))


def test_in_cluster_needs_a_pod(config):
    config["clusters"] = {"default": {"in_cluster": True}}
    with pytest.raises(BadInput, match=r"clusters\.default: .*Service host/port is not set"):
        KubernetesExecutor.build(config, CONTEXT)


def test_a_missing_client_library_names_the_extra(config, monkeypatch):
    monkeypatch.setattr("service.executors.kubernetes.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'suture\[kubernetes\]'"):
        KubernetesExecutor.build(config, CONTEXT)


def test_a_changed_kubeconfig_is_used_by_the_next_act(cluster, executor, kubeconfig, workload, call):
    workload()
    content = yaml.safe_load(kubeconfig.read_text())
    cluster.tokens = {"rotated": "base"}
    content["users"][0]["user"]["token"] = "rotated"
    kubeconfig.write_text(yaml.safe_dump(content))
    assert executor.act(call("rollout-restart"))["changed"] is True


def test_verbs_are_listed_without_the_client_library():
    import subprocess
    import sys

    code = (
        "import sys; from service.executors.kubernetes import KubernetesExecutor as K;"
        "print(len(K.verbs), 'kubernetes' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": "."}
    )
    assert run.stdout.split() == ["8", "False"]


def test_every_verb_can_be_dry_run_snapshot_and_observed(cluster, executor, workload, pod, node, call):
    workload(images=("web:1", "web:2")), pod("web")
    more = {"scale": {"replicas": 2}, "patch": {"fields": {"spec": {"replicas": 2}}}}
    for verb in executor.verbs:
        one: Call = call(verb, **more.get(verb, {}))
        assert executor.dry_run(one).startswith("would ")
        before = executor.snapshot(one)
        happened = Effect.HAPPENED if verb == "uncordon" else Effect.ABSENT
        assert executor.observe(call(verb, before=before, **more.get(verb, {}))) is happened
    writes = [query for _, method, path, query in cluster.log if method != "GET" and not path.endswith("/token")]
    assert len(writes) >= 7
    assert all(query["dryRun"] == "All" for query in writes)


def test_nothing_is_changed_by_a_worker_that_was_paused_until_another_took_over(cluster, executor, workload, call):
    workload()
    with pytest.raises(TakenOver):
        executor.act(replace(call("scale", replicas=5), confirm=refused))
    assert not [method for _, method, path, _ in cluster.log if method != "GET" and not path.endswith("/token")]
    assert executor.dry_run(replace(call("scale", replicas=5), confirm=refused))
