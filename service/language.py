"""The transport to a language model: LiteLLM, through LangChain. What is asked and believed is `models.language`'s."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Mapping
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from models.domain.base import format_duration
from models.domain.errors import Unavailable

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from service.settings import Settings

MAX_TOKENS = 1_200
"""Of the answer: eight candidates with two quoted sentences each."""

MAX_REASON = 200
"""Characters of a provider's words that are shown."""

NO_KEY = "not-needed"
"""Sent to a server of one's own that has no key: LiteLLM would else send it the provider's key from the environment."""

_SECRET = re.compile(r"\b(?:sk|pk|gsk|key)[-_][\w.*-]{6,}|\bBearer \S+")


class LiteLLMModel:
    """A model by its LiteLLM name (`openai/gpt-4o-mini`, `ollama/llama3`, …), implementing the LanguageModel port."""

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: timedelta = timedelta(seconds=20),
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        """`timeout` bounds the whole call, the one retry of a failed connection included."""
        self.name = name
        self._base_url = base_url
        self._api_key = api_key or (NO_KEY if base_url else None)
        self._timeout = timeout
        self._max_tokens = max_tokens

    def complete(self, system: str, user: str, schema: Mapping[str, Any]) -> str:
        """The model's text. Raises Unavailable, with the reason in one line, on any failure and after the timeout.

        The first call of a process also imports LiteLLM: seconds that the timeout does not count.
        """
        chat = self.chat(schema)
        answers: SimpleQueue[str | Exception] = SimpleQueue()
        # A thread, because a client's own timeout counts from byte to byte: a server that drips never reaches it.
        # A daemon, so that a call that is given up cannot hold the process.
        threading.Thread(
            target=self._ask, args=(chat, system, user, answers), name="language-model", daemon=True
        ).start()
        try:
            answer = answers.get(timeout=self._timeout.total_seconds())
        except Empty:
            raise Unavailable(f"{self.name} gave no answer within {format_duration(self._timeout)}") from None
        if isinstance(answer, Exception):
            # Not chained: a provider's error may hold the request with its key, and tracebacks are logged.
            raise Unavailable(f"{self.name}: {self._reason(answer)}") from None
        return answer

    def chat(self, schema: Mapping[str, Any]) -> BaseChatModel:
        """The LangChain chat model that is asked; itself a Runnable. Imports LiteLLM, which takes seconds."""
        litellm = load_litellm()
        from langchain_litellm import ChatLiteLLM

        options: dict[str, Any] = {
            "max_retries": 0,
            "drop_params": True,
            **_response_format(litellm, self.name, schema),
        }
        return ChatLiteLLM(
            model=self.name,
            api_base=self._base_url,
            api_key=self._api_key,
            request_timeout=self._timeout.total_seconds(),
            temperature=0.0,
            max_tokens=self._max_tokens,
            # Attempts, not retries. Neither this loop nor LiteLLM's tells a lost connection from a timeout, after which
            # a second request would run on, unread and paid for: hence the retry in `_ask`.
            max_retries=1,
            model_kwargs=options,
        )

    @staticmethod
    def _ask(chat: BaseChatModel, system: str, user: str, answers: SimpleQueue[str | Exception]) -> None:
        from langchain_core.messages import HumanMessage, SystemMessage

        for attempt in (1, 2):
            try:
                reply = chat.invoke([SystemMessage(system), HumanMessage(user)])
                answers.put(reply.text)
            except Exception as error:  # noqa: BLE001  (crosses to the caller's thread, which raises Unavailable)
                if attempt == 1 and _connection_failed(error):
                    continue
                answers.put(error)
            return

    def _reason(self, error: Exception) -> str:
        """The error in one line, without the key in whole or in the part that providers repeat."""
        kind = type(error).__name__
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        words = re.sub(rf"(?:(?:litellm\.)?{kind}:\s*)+", "", first).strip()
        if self._api_key and self._api_key != NO_KEY:
            words = words.replace(self._api_key, "…")
        words = f"{kind}: {_SECRET.sub('…', words)}"
        return words if len(words) <= MAX_REASON else words[: MAX_REASON - 1] + "…"


def _connection_failed(error: BaseException) -> bool:
    """Whether the server was not reached or hung up: asking again at once costs nothing and often helps."""
    import httpx

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, httpx.NetworkError | httpx.RemoteProtocolError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def language_model(settings: Settings) -> LiteLLMModel | None:
    """The model that the settings name; None where they name none."""
    if settings.model is None:
        return None
    key = settings.model_api_key
    return LiteLLMModel(
        settings.model,
        base_url=settings.model_base_url,
        api_key=key.get_secret_value() if key else None,
        timeout=settings.model_timeout,
    )


def load_litellm() -> Any:
    """LiteLLM, imported so that it neither fetches its price list nor prints."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return litellm


def _response_format(litellm: Any, model: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """JSON of the schema where the provider can hold the model to it, else JSON of any kind, else nothing."""
    if litellm.supports_response_schema(model):
        return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}}
    if "response_format" in (litellm.get_supported_openai_params(model) or ()):
        return {"response_format": {"type": "json_object"}}
    return {}
