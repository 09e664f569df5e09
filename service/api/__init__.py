"""The REST API: one file a resource."""

from service.api.application import create_api

__all__ = ["create_api"]
