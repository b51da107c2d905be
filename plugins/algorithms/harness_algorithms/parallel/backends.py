"""Which backend carries out what the roles of an algorithm ask for."""

import importlib.util
from typing import Any, Literal, Protocol

from harness.api import Needs, Trial
from harness_algorithms.parallel.as_found import left_as_found
from harness_algorithms.parallel.cluster import Cluster
from harness_algorithms.parallel.operations import Backend

Name = Literal["virtual", "processes", "ray"]


class Parallel(Protocol):
    """What the configuration of every parallel algorithm says."""

    @property
    def backend(self) -> Name:
        """What runs the roles."""

    @property
    def cluster(self) -> Cluster:
        """The machines, where they are virtual."""

    @property
    def nodes(self) -> int:
        """How many roles run at the same time."""


def backend_of(trial: Trial, config: Parallel) -> Backend:
    """The backend that a configuration names."""
    if config.backend == "processes":
        from harness_algorithms.parallel.processes import ProcessBackend

        return ProcessBackend(trial)
    if config.backend == "ray":
        with left_as_found():
            from harness_algorithms.parallel.on_ray import RayBackend

        return RayBackend(trial)
    from harness_algorithms.parallel.virtual import VirtualBackend

    return VirtualBackend(trial, config.cluster)


def needs(config: Any) -> Needs:
    """What a trial needs of a machine: `AlgorithmSpec.needs` of every parallel algorithm."""
    if config.backend == "processes":
        return Needs(cpus=config.nodes, processes="many", deterministic=False)
    if config.backend == "ray":  # which gives processors to roles itself
        return Needs(processes="many", deterministic=False)
    return Needs()


def check_cluster(config: Parallel) -> None:
    """Refuse a cluster that has no such node, or that nobody would look at.

    Raises:
        ValueError: it says why.
    """
    cluster = config.cluster
    if config.backend == "ray" and importlib.util.find_spec("ray") is None:
        raise ValueError("backend: 'ray' needs Ray, which is not installed; pip install -e plugins/ray")
    if config.backend != "virtual" and cluster != Cluster():
        raise ValueError(f"cluster is of the virtual backend; backend is {config.backend!r}")
    for name in ("slow", "corrupted", "deaths"):
        for index, _ in getattr(cluster, name):
            if index >= config.nodes:
                raise ValueError(f"cluster.{name}: there is no node {index}; there are {config.nodes}, from 0")
