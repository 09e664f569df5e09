"""A mock API server (kmock) on a loopback port, with what kmock lacks and this executor relies on.

kmock keeps the objects and serves reads. Added here, after the API's documentation: resource versions and generations
with 409 on a stale one, PUT, dryRun=All, label and field selectors, tokens (TokenRequest, expiry, who may do what), the
`scale` and `eviction` subresources with disruption budgets, deletion by uid, server-side apply with field owners, and
the controllers that roll out Deployments, StatefulSets and DaemonSets. Not a cluster: it proves the client's side only.
"""

import copy
import itertools
import json
from collections.abc import Callable
from typing import Any

import aiohttp.web
import kmock
from mock_apply import applied, conflicts
from mock_controllers import settle

BASE = "base-token"


class Refusal(kmock.KubernetesError):
    """As `KubernetesError`; raised in the handler, rendered by kmock as a Status object."""


class Cluster(kmock.KubernetesEmulator):
    """See the module."""

    def prepare(self) -> None:
        self.url_ = ""
        self.versions = itertools.count(100)
        self.tokens: dict[str, str] = {BASE: "base"}
        self.token_lives: list[int] = []
        self.log: list[tuple[str, str, str, dict[str, str]]] = []  # who, method, path, query; refused ones too
        self.forbidden: Callable[[str, str, str], bool] = lambda who, method, path: False
        self.faults: list[Callable[[Any, str], Any]] = []  # called with the request and "before" or "after"
        self.budget: dict[str, int] = {}  # namespace: disruptions that are allowed now
        self.hold_rollouts = False
        self.linger: set[str] = set()  # pods that do not end when they are deleted
        self.owners: dict[tuple[str, str | None, str], dict[tuple[str, ...], str]] = {}

    def put(self, resource: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Store an object as it is, with a new version and uid where it has none."""
        meta = thing["metadata"]
        meta.setdefault("uid", f"uid-{meta['name']}")
        meta["resourceVersion"] = str(next(self.versions))
        self.objects[resource, meta.get("namespace"), meta["name"]] = thing
        return thing

    def see(self, resource: str, name: str, namespace: str | None = "shop") -> dict[str, Any]:
        """The object now, as a plain dict."""
        return json.loads(json.dumps(self.objects[resource, namespace, name].raw, default=dict))

    def edit(self, resource: str, name: str, change: Callable[[Any], None], namespace: str | None = "shop") -> None:
        """Somebody else changes the object."""
        thing = self.see(resource, name, namespace)
        change(thing)
        self.put(resource, thing)

    def requests_of(self, method: str, ends: str = "") -> list[tuple[str, str, str, dict[str, str]]]:
        return [entry for entry in self.log if entry[1] == method and entry[2].endswith(ends)]

    async def _handle(self, request: Any) -> aiohttp.web.StreamResponse:
        path = str(request.url.path)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        who = self.tokens.get(token, "nobody")
        method = str(request.method.value)
        self.log.append((who, method, path, dict(request.params)))
        self._fault(request, "before")
        if who == "nobody":
            raise Refusal(401, "Unauthorized", "Unauthorized")
        if self.forbidden(who, method, path):
            raise Refusal(403, "Forbidden", f'User "{who}" cannot {method} {path}')
        answer = await self._serve(request, method)
        self._fault(request, "after")
        return answer

    def _fault(self, request: Any, when: str) -> None:
        for fault in list(self.faults):
            error = fault(request, when)
            if error == "drop":
                request._raw_request.transport.abort()
                raise ConnectionResetError
            if error is not None:
                raise error

    async def _serve(self, request: Any, method: str) -> aiohttp.web.StreamResponse:
        if method == "GET" and not request.subresource:
            if request.name is None:
                return self._list(request)
            self._controllers(request)
            return await super()._handle(request)
        answers = {
            ("POST", "token"): self._token, ("POST", "eviction"): self._evict, ("GET", "scale"): self._get_scale,
            ("PUT", "scale"): self._put_scale, ("PUT", None): self._put, ("PATCH", None): self._apply,
            ("DELETE", None): self._delete,
        }  # fmt: skip
        if method == "PATCH" and request.headers["Content-Type"] != "application/apply-patch+yaml":
            raise Refusal(415, "UnsupportedMediaType", request.headers["Content-Type"])
        return answers[method, request.subresource](request)

    def _live(self, request: Any) -> dict[str, Any]:
        key = (request.resource, request.namespace, request.name)
        if key not in self.objects or self.objects[key].deleted:
            raise Refusal(404, "NotFound", f'{request.resource.plural} "{request.name}" not found')
        return json.loads(json.dumps(self.objects[key].raw, default=dict))

    def _store(self, request: Any, thing: dict[str, Any]) -> aiohttp.web.Response:
        """Write it unless this is a dry run; the generation counts the changes of the spec."""
        live = self._live(request)
        if live.get("spec") != thing.get("spec"):
            thing["metadata"]["generation"] = live["metadata"].get("generation", 1) + 1
        if request.params.get("dryRun") == "All":
            return aiohttp.web.json_response(thing)
        resource = f"{request.resource.group}/{request.resource.version}/{request.resource.plural}".lstrip("/")
        return aiohttp.web.json_response(self.put(resource, thing))

    def _put(self, request: Any) -> aiohttp.web.Response:
        live = self._live(request)
        if request.data["metadata"].get("resourceVersion") != live["metadata"]["resourceVersion"]:
            raise Refusal(409, "Conflict", "the object has been modified")
        return self._store(request, {**copy.deepcopy(request.data), "status": live.get("status", {})})

    def _get_scale(self, request: Any) -> aiohttp.web.Response:
        live = self._live(request)
        meta = {name: live["metadata"][name] for name in ("name", "namespace", "resourceVersion")}
        replicas = live["spec"].get("replicas", 1)
        spec = {"replicas": replicas} if replicas else {}
        return aiohttp.web.json_response({"kind": "Scale", "metadata": meta, "spec": spec})

    def _put_scale(self, request: Any) -> aiohttp.web.Response:
        live = self._live(request)
        if request.data["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]:
            raise Refusal(409, "Conflict", "the object has been modified")
        live["spec"]["replicas"] = request.data["spec"]["replicas"]
        return self._store(request, live)

    def _token(self, request: Any) -> aiohttp.web.Response:
        life = request.data["spec"]["expirationSeconds"]
        if life < 600:
            raise Refusal(422, "Invalid", "may not specify a duration less than 10 minutes")
        self.token_lives.append(life)
        token = f"token-{len(self.token_lives)}"
        self.tokens[token] = f"{request.namespace}/{request.name}#{len(self.token_lives)}"
        return aiohttp.web.json_response({"kind": "TokenRequest", "status": {"token": token}}, status=201)

    def _list(self, request: Any) -> aiohttp.web.Response:
        wanted = dict(part.split("=") for part in request.params.get("labelSelector", "").split(",") if part)
        node = request.params.get("fieldSelector", "").removeprefix("spec.nodeName=")
        items = []
        for (resource, namespace, _), thing in self.objects.items():
            if resource != request.resource or thing.deleted or request.namespace not in (None, namespace):
                continue
            raw = json.loads(json.dumps(thing.raw, default=dict))
            labels = raw["metadata"].get("labels", {})
            if wanted.items() <= labels.items() and (not node or raw["spec"].get("nodeName") == node):
                items.append(raw)
        return aiohttp.web.json_response({"items": items})

    def _evict(self, request: Any) -> aiohttp.web.Response:
        pod = self._live(request)
        options = request.data["deleteOptions"]
        self._same(pod, options)
        if self.budget.get(request.namespace, 99) <= 0:
            raise Refusal(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
        if request.params.get("dryRun") != "All":
            self.budget[request.namespace] = self.budget.get(request.namespace, 99) - 1
            self._end(pod)
        return aiohttp.web.json_response({"status": "Success"}, status=201)

    def _delete(self, request: Any) -> aiohttp.web.Response:
        pod = self._live(request)
        self._same(pod, request.data)
        if request.params.get("dryRun") != "All":
            self._end(pod)
        return aiohttp.web.json_response(pod)

    @staticmethod
    def _same(pod: dict[str, Any], options: dict[str, Any]) -> None:
        if options["preconditions"]["uid"] != pod["metadata"]["uid"]:
            raise Refusal(409, "Conflict", "the UID in the precondition does not match")

    def _end(self, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        if meta["name"] in self.linger:
            meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            self.put("v1/pods", pod)
        else:
            self.objects["v1/pods", meta["namespace"], meta["name"]].delete()

    def _apply(self, request: Any) -> aiohttp.web.Response:
        live, manager = self._live(request), request.params["fieldManager"]
        body = copy.deepcopy(request.data)
        if body["metadata"].get("resourceVersion") not in (None, live["metadata"]["resourceVersion"]):
            raise Refusal(409, "Conflict", "the object has been modified")
        key = (request.resource.plural, request.namespace, request.name)
        if "managedFields" in body["metadata"]:
            raise Refusal(400, "BadRequest", "metadata.managedFields must be nil")
        causes = conflicts(body, live, self.owners.get(key, {}), manager)
        if causes and request.params.get("force") != "true":
            raise Refusal(409, "Conflict", "Apply failed with conflicts", {"causes": causes})
        thing, owners = applied(body, live, self.owners.get(key, {}), manager)
        if request.params.get("dryRun") != "All":
            self.owners[key] = owners
        return self._store(request, thing)

    def _controllers(self, request: Any) -> None:
        """What the controllers of the cluster would have done meanwhile."""
        if self.hold_rollouts or request.resource.plural not in ("deployments", "statefulsets", "daemonsets"):
            return
        thing = self._live(request)
        if thing.get("status", {}).get("observedGeneration") != thing["metadata"].get("generation"):
            settle(self, request.resource.plural, thing)
