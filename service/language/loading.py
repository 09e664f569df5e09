"""LiteLLM and LangChain, imported when they are needed: that takes seconds."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from service.language_settings import AnswerFormat


def load_litellm() -> Any:
    """LiteLLM, imported so that it neither fetches its price list nor prints."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return litellm


def response_format(model: str, schema: Mapping[str, Any], wanted: AnswerFormat = "auto") -> dict[str, Any]:
    """How the answer's form is asked for. `auto`: by the schema where LiteLLM knows that the provider holds the model
    to it, else as JSON of any kind, else in the words of the prompt alone.
    """
    litellm = load_litellm()
    if wanted == "auto":
        if litellm.supports_response_schema(model):
            wanted = "schema"
        else:
            json_known = "response_format" in (litellm.get_supported_openai_params(model) or ())
            wanted = "json" if json_known else "text"
    if wanted == "schema":
        return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}}
    return {"response_format": {"type": "json_object"}} if wanted == "json" else {}
