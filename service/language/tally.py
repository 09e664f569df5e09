"""Counts of what a language model was used for since the start, for the metrics."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.domain.recommendation import ModelUse
    from service.telemetry import Metrics


class ModelTally:
    """Counts each use once. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._questions: Counter[str] = Counter({"answered": 0, "cached": 0, "failed": 0})
        self._tokens: Counter[str] = Counter({"prompt": 0, "answer": 0})
        self._statements: Counter[str] = Counter({"shown": 0, "dropped": 0})
        self._cost = 0.0
        self._redacted = 0

    def add(self, use: ModelUse) -> None:
        """Count one use."""
        with self._lock:
            self._questions["failed" if use.failure else "cached" if use.cached else "answered"] += 1
            self._tokens["prompt"] += use.prompt_tokens
            self._tokens["answer"] += use.completion_tokens
            self._statements["shown"] += use.shown
            self._statements["dropped"] += use.sentences - use.shown
            self._cost += use.cost or 0.0
            self._redacted += use.redacted

    def register(self, metrics: Metrics) -> None:
        """Make the counts readable at each scrape."""
        text = "Recommendations for which the language model was asked, by what came of it."
        metrics.read("counter", "suture_model_questions", text, lambda: dict(self._questions), "outcome")
        text = "Tokens that the language model read and wrote."
        metrics.read("counter", "suture_model_tokens", text, lambda: dict(self._tokens), "direction")
        text = "Statements of the language model: shown, or dropped by a check."
        metrics.read("counter", "suture_model_statements", text, lambda: dict(self._statements), "outcome")
        text = "US dollars for the language model, where its price is known."
        metrics.read("counter", "suture_model_cost_dollars", text, lambda: self._cost)
        text = "Secrets and personal data that were replaced before a prompt left."
        metrics.read("counter", "suture_model_redacted", text, lambda: self._redacted)
