"""Issues certificates through an ACME authority (RFC 8555), control of the names shown by http-01.

The protocol is that of the `acme` library. A key of the account, an order, and a challenge for each name that the
authority has not seen lately; the challenges' answers are removed again at the end, whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from service.executors.arguments import refused
from service.executors.certificate_challenge import Answer, shown
from service.executors.certificate_settings import AcmeAuthority
from service.ports import Effect, ExecutorError

if TYPE_CHECKING:
    from acme import messages
    from acme.client import ClientNetwork
    from cryptography import x509
    from josepy.jwk import JWK
    from requests.adapters import HTTPAdapter

_REQUEST_SECONDS = 20
"""Longest wait for one answer of the authority, where so much time is left."""
_SLICE = timedelta(seconds=2)
"""How long the library waits before it is asked whether to go on; it polls every second."""
_WORTH_A_RETRY = {"serverInternal", "badNonce"}
"""Of RFC 8555 section 6.7. rateLimited is not: a retry in seconds makes it worse."""
_USER_AGENT = "suture"


class AcmeIssuer:
    """The authority, and an account with it. It holds the account's key: keep it no longer than an act."""

    def __init__(
        self, settings: AcmeAuthority, key: str, left: Callable[[], float], cancelled: Callable[[], bool]
    ) -> None:
        """Asks the authority for its directory. Raises ExecutorError (nothing was changed)."""
        from acme.client import ClientV2

        self._settings = settings
        self._left = left
        self._cancelled = cancelled
        self._key = _read_key(key)
        net = _network(settings, self._key, left)
        with _told(settings):
            self._client = ClientV2(ClientV2.get_directory(settings.directory, net), net)

    @property
    def words(self) -> str:
        """Who issues, for people."""
        return f"the ACME authority {self._settings.directory}"

    def issue(self, request: x509.CertificateSigningRequest) -> bytes:
        """The chain as PEM, the new certificate first. Raises ExecutorError, effect absent: nothing is installed."""
        from acme.messages import STATUS_VALID
        from cryptography.hazmat.primitives.serialization import Encoding

        with _told(self._settings):
            self._sign_in()
            order = self._client.new_order(request.public_bytes(Encoding.PEM))
            asked = [self._challenge(one) for one in order.authorizations if one.body.status != STATUS_VALID]
            answers = [Answer(one.chall, *one.response_and_validation(self._key)) for one in asked]
            with shown(self._settings.challenge, answers):
                for one, answer in zip(asked, answers, strict=True):
                    self._client.answer_challenge(one, answer.response)
                order = self._in_slices(lambda until: self._client.poll_authorizations(order, until))
            order = self._client.begin_finalization(order)
            order = self._in_slices(lambda until: self._client.poll_finalization(order, until))
            return str(order.fullchain_pem).encode()

    def _sign_in(self) -> None:
        from acme import errors, messages

        wanted = messages.NewRegistration.from_data(email=self._settings.contact, terms_of_service_agreed=True)
        try:
            self._client.new_account(wanted)
        except errors.ConflictError as known:  # the library's word for an account that is there already
            body = messages.Registration()
            self._client.net.account = messages.RegistrationResource(uri=known.location, body=body)

    def _challenge(self, authorization: messages.AuthorizationResource) -> messages.ChallengeBody:
        from acme.challenges import HTTP01

        for challenge in authorization.body.challenges:
            if isinstance(challenge.chall, HTTP01):
                return challenge
        name = authorization.body.identifier.value
        raise refused(f"{self._settings.directory} offers no http-01 challenge for {name}")

    def _in_slices(self, poll: Callable[[datetime], Any]) -> Any:
        """What `poll` gives, which waits until a time; between two waits it may be broken off."""
        from acme import errors

        while True:
            if self._cancelled():
                raise refused("it was asked to stop")
            if self._left() <= 0:
                raise refused(f"{self._settings.directory} did not issue in time")
            try:
                # The library compares with local time without a zone.
                return poll(datetime.now() + _SLICE)
            except errors.TimeoutError:
                continue


def _read_key(text: str) -> JWK:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from josepy.jwk import JWKEC, JWKRSA
    from josepy.util import ComparableECKey, ComparableRSAKey

    try:
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError):  # its words may quote the key
        raise refused("the account's key is not a PEM private key without a password") from None
    if isinstance(key, rsa.RSAPrivateKey):
        return JWKRSA(key=ComparableRSAKey(key))
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return JWKEC(key=ComparableECKey(key))
    raise refused("the account's key is neither RSA nor P-256")


def _network(settings: AcmeAuthority, key: JWK, left: Callable[[], float]) -> ClientNetwork:
    from acme.client import ClientNetwork
    from josepy.jwa import ES256, RS256
    from josepy.jwk import JWKEC

    algorithm = ES256 if isinstance(key, JWKEC) else RS256
    net = ClientNetwork(key, alg=algorithm, user_agent=_USER_AGENT, timeout=_REQUEST_SECONDS)
    if settings.ca is not None:
        net.verify_ssl = str(settings.ca)  # type: ignore[assignment]  # requests takes a path too
    net.session.mount("https://", _within(left))
    return net


def _within(left: Callable[[], float]) -> HTTPAdapter:
    """Sends as `requests` does, but waits no longer than there is time: an order takes a dozen requests."""
    from requests import Timeout
    from requests.adapters import HTTPAdapter

    class Within(HTTPAdapter):
        def send(self, *request: Any, **more: Any) -> Any:
            if (seconds := left()) <= 0:
                raise Timeout("no time left")
            return super().send(*request, **{**more, "timeout": min(seconds, _REQUEST_SECONDS)})

    return Within()


@contextmanager
def _told(settings: AcmeAuthority) -> Iterator[None]:
    """Turns what the library raises into ExecutorError, effect absent."""
    import josepy.errors
    import requests
    from acme import errors, messages

    where = settings.directory
    try:
        yield
    except messages.Error as error:
        words = f"{where} refuses: {error.detail or error.code}"
        raise ExecutorError(words, retriable=error.code in _WORTH_A_RETRY, effect=Effect.ABSENT) from error
    except requests.RequestException as error:
        raise ExecutorError(f"{where} cannot be reached: {error}", retriable=True, effect=Effect.ABSENT) from error
    except (errors.Error, josepy.errors.Error, ValueError) as error:
        raise refused(f"{where} did not issue: {error}") from error
