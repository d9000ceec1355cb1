"""The one door to the container engine. `Engine.connect(None)` opens it; nothing else speaks to Docker."""

from instantiator.engine.containers import ContainerMissing, ImageMissing
from instantiator.engine.door import Bind, Engine, MountRefused
from instantiator.engine.facts import EngineFacts
from instantiator.engine.wire import EngineRefused, EngineUnreachable

__all__ = [
    "Bind",
    "ContainerMissing",
    "Engine",
    "EngineFacts",
    "EngineRefused",
    "EngineUnreachable",
    "ImageMissing",
    "MountRefused",
]
