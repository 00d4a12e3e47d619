"""The model table, its rows and parameters, and the choice of API and endpoint for a request."""

from .registry import Registry, did_you_mean, registry, suggest
from .rows import (
    DEFAULT_MODEL,
    WIRES,
    Api,
    Capabilities,
    DocumentedSource,
    JsonWay,
    Model,
    ModelLimits,
    Retirement,
    Target,
    Wire,
)

__all__ = [
    "DEFAULT_MODEL",
    "WIRES",
    "Api",
    "Capabilities",
    "DocumentedSource",
    "JsonWay",
    "Model",
    "ModelLimits",
    "Registry",
    "Retirement",
    "Target",
    "Wire",
    "did_you_mean",
    "registry",
    "suggest",
]
