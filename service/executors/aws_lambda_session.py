"""Credentials for one act on one Lambda function, and what AWS's errors say of its effect."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from models.domain.errors import BadInput
from service.executors.arguments import refused
from service.executors.aws_lambda_settings import Function, LambdaConfig
from service.ports import Effect, ExecutorError

_SESSION_SECONDS = 900
"""The shortest life that STS gives to a session (STS API reference, AssumeRole)."""
_CONNECT_SECONDS = 10.0
"""Longest wait for a connection; one that is not there by then will not come."""
_RETRIABLE = frozenset({409, 429})
"""Of the statuses that refuse a request: a change that is under way, and throttling."""


def session_name(key: str) -> str:
    """The name of the session, as CloudTrail shows it: the call's key, in the letters and the length that STS takes."""
    plain = re.sub(r"[^A-Za-z0-9_+=,.@-]", "-", key)
    return f"suture-{plain[:40]}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def session_policy(action: str, resource: str) -> str:
    """The inline policy that leaves nothing of the role but `action` on `resource`."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass(frozen=True)
class Sessions:
    """Makes a client for one action on one function. No credentials are kept between two of them."""

    config: LambdaConfig
    secret: Callable[[str], str]
    monotonic: Callable[[], float] = time.monotonic

    def client(self, function: Function, operation: str, qualifier: str | None, key: str, deadline: float) -> Any:
        """A Lambda client that may do `operation` (for example `InvokeFunction`) on the function and nothing else.

        `deadline` is in seconds of `monotonic`. Raises ExecutorError with Effect.ABSENT.
        """
        resource = function.arn if qualifier is None else f"{function.arn}:{qualifier}"
        credentials = self._assume(function.region, session_policy(f"lambda:{operation}", resource), key, deadline)
        return self._client(
            "lambda",
            self.config.endpoint_url,
            function.region,
            deadline,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )

    def _assume(self, region: str, policy: str, key: str, deadline: float) -> dict[str, str]:
        from botocore.exceptions import BotoCoreError, ClientError

        config = self.config
        external = {"ExternalId": self._resolved(config.external_id)} if config.external_id else {}
        try:
            sts = self._client(
                "sts",
                config.sts_endpoint_url,
                region,
                deadline,
                aws_access_key_id=self._resolved(config.access_key_id),
                aws_secret_access_key=self._resolved(config.secret_access_key),
            )
            answer = sts.assume_role(
                RoleArn=config.role_arn,
                RoleSessionName=session_name(key),
                Policy=policy,
                DurationSeconds=_SESSION_SECONDS,
                **external,
            )
        except (BotoCoreError, ClientError) as error:
            words = f"{config.role_arn} cannot be assumed: {error}"
            raise ExecutorError(words, retriable=_later(error), effect=Effect.ABSENT) from error
        credentials: dict[str, str] = answer["Credentials"]
        return credentials

    def _resolved(self, reference: str | None) -> str | None:
        try:
            return None if reference is None else self.secret(reference)
        except BadInput as error:
            raise refused(str(error)) from error

    def _client(self, service: str, address: str | None, region: str, deadline: float, **credentials: Any) -> Any:
        from botocore.config import Config
        from botocore.session import Session

        left = deadline - self.monotonic()
        if left <= 0:
            raise refused("no time left to ask AWS")
        # One attempt: what a broken connection left behind is for `observe`, not for a blind second request.
        limits = Config(
            connect_timeout=min(left, _CONNECT_SECONDS),
            read_timeout=left,
            retries={"total_max_attempts": 1, "mode": "standard"},
            user_agent_extra="suture",
        )
        session = Session()  # a new one for each client: it keeps credentials
        session.register_component("data_loader", _descriptions())
        return session.create_client(service, region, endpoint_url=address, config=limits, **credentials)


@cache
def _descriptions() -> Any:
    """Botocore's descriptions of the services. Read once, a client takes a tenth of the time."""
    from botocore.loaders import create_loader

    return create_loader()


@contextmanager
def errors_as(what: str) -> Iterator[None]:
    """Turns what boto3 raises into an ExecutorError that begins with `what` and says whether anything changed."""
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    try:
        yield
    except ClientError as error:
        # 4xx: Lambda did not take the request (Lambda API reference, errors of each operation).
        effect = Effect.ABSENT if 400 <= _status(error) < 500 else Effect.UNKNOWN
        raise ExecutorError(f"{what}: {error}", retriable=_later(error), effect=effect) from error
    except (ParamValidationError, *_unconnected()) as error:
        raise ExecutorError(f"{what}: {error}", retriable=_later(error), effect=Effect.ABSENT) from error
    except BotoCoreError as error:
        raise ExecutorError(f"{what}: {error}") from error


def _unconnected() -> tuple[type[Exception], ...]:
    """The errors after which surely no request was sent."""
    from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError

    return ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError


def _later(error: Exception) -> bool:
    """Whether the same request may work later."""
    from botocore.exceptions import ClientError, HTTPClientError

    if isinstance(error, ClientError):
        status = _status(error)
        return status in _RETRIABLE or status >= 500 or "Throttl" in error.response["Error"].get("Code", "")
    return isinstance(error, (HTTPClientError, *_unconnected()))


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
