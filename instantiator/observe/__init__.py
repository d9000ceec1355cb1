"""What a container really reads, writes and executes, seen from outside it. docs/observation.md tells how well."""

from instantiator.observe.choose import Choice, choose_observer
from instantiator.observe.model import Observation, ObservedContainer, ObservedPath, Observer
from instantiator.observe.target import describe_target

__all__ = [
    "Choice",
    "Observation",
    "ObservedContainer",
    "ObservedPath",
    "Observer",
    "choose_observer",
    "describe_target",
]
