"""The way to a language model: LiteLLM through LangChain, behind redaction, a budget, a cache and one time limit.

What is asked and believed is the work of `models.language`. Nothing heavy is imported before a model is asked.
"""

from service.language.loading import load_litellm
from service.language.model import LiteLLMModel, language_model

__all__ = ["LiteLLMModel", "language_model", "load_litellm"]
