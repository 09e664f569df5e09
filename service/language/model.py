"""A language model by its LiteLLM name, as the `LanguageModel` port: redact, look it up, pay, ask, put back."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from models.domain.base import canonical_json, sha256_hex
from models.domain.errors import Unavailable
from models.language.parse import Unparsable, parse_object
from models.language.transport import Heard, Question, Reply
from models.redaction import Redaction, Restorer, redact
from service.language.calling import Failed, call, may_be_charged
from service.language.loading import load_litellm, response_format
from service.language.spending import Spent, check_budget, estimate, price, tokens_of
from service.language_settings import AnswerFormat, ModelBudget

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.runnables import Runnable

    from service.language.ledger import Ledger
    from service.settings import Settings

_log = logging.getLogger(__name__)

MAX_TOKENS = 1_200
"""Of the answer: eight candidates with two quoted sentences each."""

MAX_REASON = 200
"""Characters of a provider's words that are shown."""

NO_KEY = "not-needed"
"""Sent to a server of one's own that has no key: LiteLLM would else send it the provider's key from the environment."""

_SECRET = re.compile(r"\b(?:sk|pk|gsk|key)[-_][\w.*-]{6,}|\bBearer \S+")
_LAYOUT = 1
"""Of what a kept answer's key is made from."""


class LiteLLMModel:
    """A model by its LiteLLM name (`openai/gpt-4o-mini`, `ollama/llama3`, …), implementing the LanguageModel port."""

    def __init__(  # noqa: PLR0913  (each is a setting, given by its name)
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: timedelta = timedelta(seconds=20),
        max_tokens: int = MAX_TOKENS,
        retries: int = 1,
        answer_format: AnswerFormat = "auto",
        budget: ModelBudget | None = None,
        redaction: Redaction = Redaction(),  # noqa: B008  (frozen)
        ledger: Ledger | None = None,
    ) -> None:
        """`timeout` bounds the whole call, retries included. Without a ledger nothing is kept and nothing is added up:
        the budget then bounds each call alone.
        """
        self.name = name
        self._base_url = base_url
        self._api_key = api_key or (NO_KEY if base_url else None)
        self._timeout, self._retries = timeout, retries
        self._max_tokens = max_tokens
        self._format: AnswerFormat = answer_format
        self._budget = budget or ModelBudget()
        self._redaction = redaction
        self._ledger = ledger

    def ask(self, question: Question, heard: Heard | None = None) -> Reply:
        """The model's reply. Raises Unavailable, with the reason in one line, on any failure and after the timeout.

        The first call of a process also imports LiteLLM: seconds that the timeout does not count.
        """
        hidden = redact(question.user, self._redaction)
        sent = replace(question, user=hidden.text)
        key = self._key(sent)
        about = question.about or key[:16]
        kept = self._kept(key, about)
        if kept is not None:
            reply = Reply(kept, cached=True)
            if heard:
                heard(hidden.restore(kept, in_json=True))
        else:
            reply = self._answered(sent, about, Restorer(hidden, heard).hear if heard else None)
            self._keep(key, reply.text)
        return replace(reply, text=hidden.restore(reply.text, in_json=True), redacted=len(hidden.values))

    def chat(self, schema: Mapping[str, Any]) -> BaseChatModel:
        """The LangChain chat model that is asked; itself a Runnable. Imports LiteLLM, which takes seconds."""
        load_litellm()
        from langchain_litellm import ChatLiteLLM

        return ChatLiteLLM(
            model=self.name,
            api_base=self._base_url,
            api_key=self._api_key,
            request_timeout=self._timeout.total_seconds(),
            temperature=0.0,
            max_tokens=self._max_tokens,
            stream_options={"include_usage": True},
            # Attempts, not retries. Neither this loop nor LiteLLM's tells a lost connection from a timeout, after which
            # a second request would run on, unread and paid for: hence the retries in `calling`.
            max_retries=1,
            model_kwargs={
                "max_retries": 0,
                "drop_params": True,
                **response_format(self.name, schema, self._format),
            },
        )

    def runnable(self, schema: Mapping[str, Any]) -> Runnable[Question, AIMessage]:
        """Question in, message out, for answers of one schema: messages, then the chat model."""
        from langchain_core.runnables import RunnableLambda

        return RunnableLambda(_messages, name="messages") | self.chat(schema)

    def _key(self, sent: Question) -> str:
        """What makes an answer the same: the model, the prompt as it leaves, and the settings of the call."""
        settings = [_LAYOUT, self.name, self._base_url, self._max_tokens, self._format]
        return sha256_hex(canonical_json([*settings, sent.system, sent.user, sent.schema]))

    def _answered(self, sent: Question, about: str, heard: Heard | None) -> Reply:
        """Pay, call, and settle by what it took."""
        most = estimate(self.name, sent, self._max_tokens, self._budget)
        number = self._reserve(about, most)
        # What was given up may still be charged, hence the most until it is known better.
        took, failed = most, True
        try:
            chain = self.runnable(sent.schema)
            message = call(chain, sent, timeout=self._timeout, retries=self._retries, name=self.name, heard=heard)
            took, failed = self._took(sent, message), False
        except Failed as error:
            took = most if may_be_charged(error.cause) else Spent()
            # Not chained: a provider's error may hold the request with its key, and tracebacks are logged.
            raise Unavailable(f"{self.name}: {self._reason(error.cause)}") from None
        finally:
            if self._ledger and number is not None:
                with _or_go_on("the most that it could take counts"):
                    self._ledger.settle(number, took, failed=failed)
        return Reply(str(message.text), took.prompt_tokens, took.completion_tokens, took.cost)

    def _kept(self, key: str, about: str) -> str | None:
        if self._ledger is None:
            return None
        with self._or_unavailable():
            return self._ledger.kept(key, self.name, about)

    def _reserve(self, about: str, most: Spent) -> int | None:
        if self._ledger:
            with self._or_unavailable():
                return self._ledger.reserve(self.name, about, most)
        check_budget(self.name, most, Spent(), Spent(), self._budget)
        return None

    def _took(self, sent: Question, message: AIMessage) -> Spent:
        """As the provider counted, else estimated."""
        usage = message.usage_metadata
        if usage and usage["input_tokens"] > 0:
            prompt, completion = usage["input_tokens"], usage["output_tokens"]
        else:
            prompt, completion = tokens_of(sent.system + sent.user), tokens_of(str(message.text))
        return Spent(prompt, completion, price(self.name, prompt, completion, self._budget))

    def _keep(self, key: str, text: str) -> None:
        """Keep what can be read: garbage may be an accident that the next call does not repeat."""
        if self._ledger is None:
            return
        try:
            parse_object(text)
        except Unparsable:
            return
        with _or_go_on("the answer is not kept"):
            self._ledger.keep(key, text)

    @contextmanager
    def _or_unavailable(self) -> Iterator[None]:
        """A database that is away costs the model's help, not the recommendation: what cannot be noted is not asked."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            raise Unavailable(
                f"{self.name} was not asked: the database that its budget is kept in does not answer"
            ) from error

    def _reason(self, error: Exception) -> str:
        """The error in one line, without the key in whole or in the part that providers repeat."""
        kind = type(error).__name__
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        words = re.sub(rf"(?:(?:litellm\.)?{kind}:\s*)+", "", first).strip()
        if self._api_key and self._api_key != NO_KEY:
            words = words.replace(self._api_key, "…")
        words = f"{kind}: {_SECRET.sub('…', words)}"
        return words if len(words) <= MAX_REASON else words[: MAX_REASON - 1] + "…"


def language_model(settings: Settings, ledger: Ledger | None = None) -> LiteLLMModel | None:
    """The model that the settings name; None where they name none."""
    if settings.model is None:
        return None
    key = settings.model_api_key
    return LiteLLMModel(
        settings.model,
        base_url=settings.model_base_url,
        api_key=key.get_secret_value() if key else None,
        timeout=settings.model_timeout,
        max_tokens=settings.model_max_tokens,
        retries=settings.model_retries,
        answer_format=settings.model_format,
        budget=settings.model_budget,
        redaction=settings.redaction,
        ledger=ledger,
    )


@contextmanager
def _or_go_on(what: str) -> Iterator[None]:
    """The answer is there: a database that is away by now does not take it back."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        _log.warning("the language model's ledger does not answer, so %s: %s", what, error)


def _messages(question: Question) -> list[BaseMessage]:
    from langchain_core.messages import HumanMessage, SystemMessage

    return [SystemMessage(question.system), HumanMessage(question.user)]
