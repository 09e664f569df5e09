"""Renews TLS certificates, and sees that the new one is what is served."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from models.domain.base import Clock, Frozen, Time
from service.executors.arguments import read_arguments, refused
from service.executors.certificate_issuer import Issuer, issuer_of, require_libraries, secret_of
from service.executors.certificate_pair import (
    Pair,
    check,
    forget_previous,
    install,
    new_key,
    new_request,
    put_previous_back,
    read_pair,
    serial_of,
)
from service.executors.certificate_served import served, served_and_valid
from service.executors.certificate_settings import Certificate, CertificateConfig, Name
from service.executors.reloading import perform, require_running
from service.ports import Call, Context, Effect, ExecutorError, Verb
from service.validation import read_config, require_secret

_POLL = 0.1
_PUT_BACK_SECONDS = 15.0
"""Time for putting the old pair back, over and above the call's: leaving it half done would be worse than late."""


class RenewInputs(Frozen):
    """Which of the configured certificates."""

    name: Name


class RenewOutputs(Frozen):
    """The certificate that is served now. Serials in hexadecimal; `before_serial` is None where there was none."""

    name: str
    serial: str
    before_serial: str | None
    not_after: Time


VERBS = {"renew": Verb("renew", "Renew a certificate and serve it", RenewInputs, RenewOutputs, True, True)}


@dataclass(frozen=True)
class _Attempt:
    """One renewal of one certificate within one time limit, in seconds of the monotonic clock."""

    name: str
    settings: Certificate
    call: Call
    clock: Clock
    secret: Callable[[str], str]
    deadline: float

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def installed(self) -> Pair | None:
        return read_pair(self.settings.certificate, self.settings.key)

    def issuer(self) -> Issuer:
        return issuer_of(self.settings.authority, self.secret, self.clock(), self.left, self.call.cancelled)

    def issued(self) -> Pair:
        """A new pair, checked. Nothing of the installed one was changed, whatever is raised."""
        try:
            key, pem = new_key(self.settings.key_type)
            pair = Pair(self.issuer().issue(new_request(key, self.settings.names)), pem)
            check(pair, self.settings, self.clock())
        except ExecutorError as error:
            raise ExecutorError(str(error), retriable=error.retriable, effect=Effect.ABSENT) from error
        return pair

    def cut_off(self) -> Pair | None:
        """The pair that an earlier attempt of this call installed, which nobody saw served yet."""
        pair = self.installed()
        if pair is None or "installed" not in self.call.before or serial_of(pair.leaf) == self.call.before["installed"]:
            return None
        try:
            check(pair, self.settings, self.clock())
        except ExecutorError:
            return None
        return pair

    def install(self, pair: Pair) -> None:
        if self.call.cancelled():
            raise refused("it was asked to stop")
        if self.left() <= 0:
            raise refused(f"no time left to install the certificate of {self.name}")
        self.call.confirm()
        old = self.installed()
        try:
            install(pair, self.settings)
        except ExecutorError as error:
            raise refused(str(error)) from error
        except OSError as error:  # a full disk, say, or a folder that may not be written; between two files perhaps
            effect = Effect.ABSENT if self._has(old) else Effect.UNKNOWN
            raise ExecutorError(f"the new pair cannot be installed: {error.strerror}", effect=effect) from error

    def _has(self, pair: Pair | None) -> bool:
        try:
            return self.installed() == pair
        except ExecutorError:
            return False

    def serve(self, serial: str) -> None:
        """Reload, and see that the certificate of this serial is served, verified as a client does."""
        perform(self.settings.reload, key=self.call.key, seconds=self.left())
        self._until_served(serial, lambda: served_and_valid(self.settings, self.left()))

    def serve_old(self, serial: str) -> None:
        """The same for a certificate that may have expired."""
        perform(self.settings.reload, key=self.call.key, seconds=self.left())
        self._until_served(serial, lambda: serial_of(served(self.settings, self.left())))

    def _until_served(self, serial: str, ask: Callable[[], str]) -> None:
        until = min(self.deadline, time.monotonic() + self.settings.within.total_seconds())
        while True:
            try:
                found = ask()
                words = f"{self.settings.serves} still serves the serial {found}, not {serial}"
            except ExecutorError as error:
                found, words = "", str(error)
            if found == serial:
                return
            if time.monotonic() + _POLL > until:
                raise ExecutorError(words)
            time.sleep(_POLL)


class CertificateExecutor:
    """Renews through an authority, installs, reloads, and asks the server. Safe to use from several threads.

    Least privilege: write access to the folders of the certificate and the key (and where these belong to another
    user, the right to give files to that user); leave to run the reload, or to signal the server; a connection to the
    server. For a local authority the reading of its key: prefer an intermediate that may sign these names alone
    (name constraints). For ACME an account key of its own, and either the writing of the challenge folder or the port.
    """

    name = "certificate"
    verbs = VERBS

    def __init__(self, config: CertificateConfig, clock: Clock, secret: Callable[[str], str]) -> None:
        self._certificates = config.certificates
        self._locks = {name: Lock() for name in config.certificates}
        self._clock = clock
        self._secret = secret

    @classmethod
    def build(cls, config: Mapping[str, Any], context: Context) -> CertificateExecutor:
        """The executor of a settings section. Raises BadInput on a wrong one, and where a secret cannot be resolved."""
        settings = read_config(CertificateConfig, config, where="executors.certificate")
        for name, certificate in settings.certificates.items():
            require_libraries(certificate.authority.kind)
            key, reference = secret_of(certificate.authority)
            where = f"executors.certificate.certificates.{name}.authority.{key}"
            require_secret(context.secret, reference, where=where)
        return cls(settings, context.clock, context.secret)

    @staticmethod
    def target(verb: str, arguments: Mapping[str, Any]) -> str:  # noqa: ARG004  (one verb)
        """`certificate:NAME`."""
        return f"certificate:{read_arguments(RenewInputs, arguments).name}"

    def dry_run(self, call: Call) -> str:
        """What would be renewed, when it expires, and by whom; the authority was asked whether it is there."""
        attempt = self._attempt(call)
        settings = attempt.settings
        require_running(settings.reload)
        for folder in {settings.certificate.parent, settings.key.parent}:
            if not os.access(folder, os.W_OK | os.X_OK):
                raise refused(f"files in {folder} cannot be replaced")
        return f"would renew {attempt.name} ({self._expiry(attempt)}) through {attempt.issuer().words}"

    def snapshot(self, call: Call) -> dict[str, Any]:
        """`installed` and `served`: the serials in the file and at the server; None where there is none."""
        attempt = self._attempt(call)
        pair = attempt.installed()
        return {"installed": serial_of(pair.leaf) if pair else None, "served": _served_serial(attempt)}

    def act(self, call: Call) -> dict[str, Any]:
        """Issue, check, install, reload, and see by a handshake that it is served; else the old pair returns.

        Where an earlier attempt of this call was cut off after it installed a new pair, that pair is brought to be
        served: the authority is not asked for a second one.
        """
        attempt = self._attempt(call)
        lock = self._locks[attempt.name]
        if not lock.acquire(timeout=max(0.0, attempt.left())):
            raise ExecutorError(f"{attempt.name} is being renewed by another", retriable=True, effect=Effect.ABSENT)
        try:
            return self._renew(attempt)
        finally:
            lock.release()

    def observe(self, call: Call) -> Effect:
        """By what is served now, against the snapshot.

        HAPPENED where another certificate than before is served, and a client takes it. ABSENT where the one of before
        is, and is installed. UNKNOWN where the files are changed, and where the server or the snapshot does not tell:
        another act goes on where this one stopped.
        """
        try:
            attempt = self._attempt(call)
            now = serial_of(served(attempt.settings, attempt.left()))
            if "served" not in call.before:
                return Effect.UNKNOWN
            if now in (call.before["served"], call.before["installed"]):
                pair = attempt.installed()
                as_before = (serial_of(pair.leaf) if pair else None) == call.before["installed"]
                return Effect.ABSENT if as_before else Effect.UNKNOWN
            return Effect.HAPPENED if served_and_valid(attempt.settings, attempt.left()) == now else Effect.UNKNOWN
        except ExecutorError:
            return Effect.UNKNOWN

    def _renew(self, attempt: _Attempt) -> dict[str, Any]:
        require_running(attempt.settings.reload)
        old = attempt.installed()
        before = attempt.call.before.get("installed") or (serial_of(old.leaf) if old else None)
        pair = attempt.cut_off()
        if pair is None:
            pair = attempt.issued()
            attempt.install(pair)
        serial = serial_of(pair.leaf)
        try:
            attempt.serve(serial)
        except ExecutorError as error:
            raise _put_back(attempt, error) from error
        try:
            forget_previous(attempt.settings)
        except OSError as error:
            words = f"{serial} is served, but the pair before it cannot be removed: {error.strerror}"
            raise ExecutorError(words, effect=Effect.HAPPENED) from error
        outputs = RenewOutputs(
            name=attempt.name, serial=serial, before_serial=before, not_after=pair.leaf.not_valid_after_utc
        )
        return outputs.model_dump(mode="json")

    def _expiry(self, attempt: _Attempt) -> str:
        pair = attempt.installed()
        if pair is None:
            return "there is none yet"
        ends = pair.leaf.not_valid_after_utc
        word = "expires" if ends > self._clock() else "expired"
        return f"serial {serial_of(pair.leaf)}, {word} {ends:%Y-%m-%dT%H:%MZ}"

    def _attempt(self, call: Call) -> _Attempt:
        if call.verb not in VERBS:
            raise refused(f"there is no certificate/{call.verb}")
        inputs = read_arguments(RenewInputs, call.arguments)
        settings = self._certificates.get(inputs.name)
        if settings is None:
            words = f"no certificate {inputs.name} is configured; add it to executors.certificate.certificates"
            raise refused(words)
        deadline = time.monotonic() + call.timeout.total_seconds()
        return _Attempt(inputs.name, settings, call, self._clock, self._secret, deadline)


def _served_serial(attempt: _Attempt) -> str | None:
    try:
        return serial_of(served(attempt.settings, attempt.left()))
    except ExecutorError:
        return None  # a server that is down may be why the certificate is renewed


def _put_back(attempt: _Attempt, error: ExecutorError) -> ExecutorError:
    """Install the pair before, and let it be served; the error to raise, with what is known of the effect."""
    late = replace(attempt, deadline=time.monotonic() + _PUT_BACK_SECONDS)
    try:
        old = put_previous_back(attempt.settings)
        if old is None:
            return ExecutorError(f"{error}; there was no pair before, the new one stays in place")
        late.serve_old(serial_of(old.leaf))
    except (ExecutorError, OSError) as second:
        return ExecutorError(f"{error}; the old pair could not be brought back: {second}")
    return ExecutorError(f"{error}; the old pair is in place again", effect=Effect.ABSENT)
