"""How the API server is reached: identities, tokens, one request, and what its answer or its silence means."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from models.domain.errors import BadInput
from service.executors.arguments import refused
from service.executors.kubernetes_kinds import KINDS, Object
from service.executors.kubernetes_settings import Cluster
from service.ports import Effect, ExecutorError

_LAST_WORDS = 500
"""Characters of an answer in an error's words."""
_LOADING_SECONDS = 30.0
"""Longest wait for other acts that read a kubeconfig: one whose `exec` program hangs shall not hold up all."""
_loading = threading.Lock()
"""The client library writes a kubeconfig's certificates to files that it shares between threads without a lock."""
_TRUST = ("ssl_ca_cert", "ca_cert_data", "verify_ssl", "tls_server_name", "assert_hostname", "retries")
"""What a client of another identity takes over from the one that it is made by: how the server is known."""


class ApiRefusal(ExecutorError):
    """The API server answered with an error.

    `causes`: of its Status object. `retry_after`: seconds, where it said so.
    """

    def __init__(self, status: int, words: str, *, writes: bool, answer: Object, retry_after: float | None) -> None:
        """`writes`: the request would have changed something."""
        # A 4xx was refused before it was carried out; after a 5xx a write may have been.
        effect = Effect.UNKNOWN if writes and status >= 500 else Effect.ABSENT
        super().__init__(words, retriable=status in (408, 409, 429, 500, 502, 503, 504), effect=effect)
        self.status_code = status
        self.causes: list[Object] = (answer.get("details") or {}).get("causes") or []
        self.retry_after = retry_after


@dataclass(frozen=True)
class Request:
    """One request. `writes`: it changes something, so that silence leaves its effect unknown."""

    method: str
    path: str
    writes: bool
    query: Mapping[str, str] = field(default_factory=dict)
    body: Object | None = None
    content_type: str = "application/json"


def send(client: Any, request: Request, times: tuple[float, float]) -> Object:
    """The answer's object. `times`: seconds to connect, and to wait for data. Raises ExecutorError."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

    content = {"Content-Type": request.content_type} if request.body is not None else {}
    serialised = client.param_serialize(
        request.method,
        request.path,
        query_params=list(request.query.items()),
        header_params={"Accept": "application/json", **content},
        body=request.body,
        auth_settings=["BearerToken"],
    )
    try:
        response = client.call_api(*serialised, _request_timeout=times)
        data = response.read()
    except (ConnectTimeoutError, NewConnectionError) as error:
        words = f"the API server cannot be reached: {_plain(error)}"
        raise ExecutorError(words, retriable=True, effect=Effect.ABSENT) from error
    except (HTTPError, ApiException) as error:  # the client says ApiException where TLS fails
        effect = Effect.UNKNOWN if request.writes else Effect.ABSENT
        words = f"the API server broke off at {request.method} {request.path}: {_plain(error)}"
        raise ExecutorError(words, retriable=True, effect=effect) from error
    return _read(request, response, data)


def base_configuration(cluster: Cluster) -> Any:
    """The client's configuration of the identity that the settings name, read anew. Raises BadInput."""
    from kubernetes import config
    from kubernetes.client import Configuration
    from yaml import YAMLError

    configuration = Configuration()
    configuration.retries = False  # what may be sent again is decided here; nor is a redirect followed
    loaders: Any = config  # untyped
    if not _loading.acquire(timeout=_LOADING_SECONDS):
        raise BadInput("the cluster's configuration cannot be used: another act is still reading one")
    try:
        if cluster.in_cluster:
            loaders.load_incluster_config(configuration, try_refresh_token=False)
        else:
            loaders.load_kube_config(str(cluster.kubeconfig), cluster.context, configuration, persist_config=False)
    except (loaders.ConfigException, YAMLError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"the cluster's configuration cannot be used: {_plain(error)}") from error
    finally:
        _loading.release()
    return configuration


def base_client(cluster: Cluster) -> Any:
    """A client of the identity that the settings name. Raises ExecutorError."""
    from kubernetes.client import ApiClient

    try:
        return ApiClient(base_configuration(cluster))
    except BadInput as error:
        raise refused(str(error)) from error


def account_client(base: Any, account: str, life: int, times: tuple[float, float]) -> Any:
    """A client with a token of the account (`NAMESPACE/NAME`) that lives `life` seconds, asked for by `base`.

    It has nothing of the identity that asked: neither its token nor its certificate. Raises ExecutorError.
    """
    from kubernetes.client import ApiClient, Configuration

    namespace, name = account.split("/")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": life}}
    request = Request("POST", KINDS["serviceaccount"].path(namespace, name, "token"), writes=False, body=body)
    try:
        token = send(base, request, times)["status"]["token"]
    except ExecutorError as error:
        raise ExecutorError(
            f"no token for service account {account}: {error}", retriable=error.retriable, effect=Effect.ABSENT
        ) from error
    except (KeyError, TypeError) as error:
        raise refused(f"no token for service account {account}: the API server's answer holds none") from error
    known = base.configuration
    configuration = Configuration(host=known.host, proxy=known.proxy, no_proxy=known.no_proxy)
    for setting in _TRUST:
        setattr(configuration, setting, getattr(known, setting))
    configuration.api_key = {"BearerToken": f"Bearer {token}"}
    return ApiClient(configuration)


def _read(request: Request, response: Any, data: bytes) -> Object:
    answer: Object = {}
    with suppress(ValueError):  # a proxy in between answers in HTML; the status then says it all
        parsed = json.loads(data)
        answer = parsed if isinstance(parsed, dict) else {}
    if 200 <= response.status <= 299:
        return answer
    words = str(answer.get("message") or response.reason or "")[:_LAST_WORDS]
    after = str(response.headers.get("Retry-After") or "")
    raise ApiRefusal(
        response.status,
        f"{request.method} {request.path} answered {response.status}: {words}",
        writes=request.writes,
        answer=answer,
        retry_after=float(after) if after.isdigit() else None,
    )


def _plain(error: Exception) -> str:
    return str(error).strip()[:_LAST_WORDS] or type(error).__name__
