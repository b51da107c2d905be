"""Training a policy gradient in this process and looking inside."""

from typing import Any, NamedTuple

import pytest
import torch

import harness_environments
from harness.measuring.training import run_training
from harness.measuring.trial import LocalTrial
from harness_algorithms.blocks.networks import Network
from harness_algorithms.blocks.policies import Policy
from support.trial import local_trial

ENVIRONMENTS = {spec.name: spec for spec in harness_environments.harness_environments()}

# What is known of the probes, by the number observed: the value of the best policy, for γ = 0.9.
VALUES = {
    "probe-1-constant": {0: 1},
    "probe-2-observation": {-1: -1, 1: 1},
    "probe-3-discounting": {0: 0.9, 1: 1},
    "probe-1-constant-continuous": {0: 1},
    "probe-2-observation-continuous": {-1: -1, 1: 1},
    "probe-3-discounting-continuous": {0: 0.9, 1: 1},
}
# Likewise, the best action.
ACTIONS = {
    "probe-4-action": {0: 1},
    "probe-5-both": {-1: 0, 1: 1},
    "probe-4-action-continuous": {0: 0.5},
    "probe-5-both-continuous": {-1: -0.5, 1: 0.5},
}


class Outcome(NamedTuple):
    """What one call of train made."""

    policy: Policy
    v: Network | None
    trial: LocalTrial

    @property
    def parameters(self) -> list[torch.Tensor]:
        """Of the policy and of the value function."""
        return [*self.policy.parameters, *(self.v.parameters if self.v else [])]


def trained(
    algorithm: Any, environment: str, config: Any, seeds: Any = (0, 1, 2), budget: int = 400, points: int = 1
) -> Outcome:
    """Train an algorithm's module, and keep the networks it makes."""
    trial = local_trial(ENVIRONMENTS[environment], seeds, budget, points, episodes=2, lockstep=True)
    made: dict[str, Any] = {"stacked_network": None}

    def keep(patch: pytest.MonkeyPatch, name: str) -> None:
        make = getattr(algorithm, name)

        def kept(*args: Any, **kwargs: Any) -> Any:
            made[name] = make(*args, **kwargs)
            return made[name]

        patch.setattr(algorithm, name, kept)

    with pytest.MonkeyPatch.context() as patch:
        keep(patch, "stochastic_policy")
        keep(patch, "stacked_network")
        run_training(trial, algorithm.train, config)
    return Outcome(made["stochastic_policy"], made["stacked_network"], trial)


def observed(number: float, num_seeds: int = 3) -> torch.Tensor:
    """A probe's observation, [S, 1, 1]."""
    return torch.full((num_seeds, 1, 1), float(number))


@torch.no_grad()
def assert_values(outcome: Outcome, known: dict[int, float], tolerance: float = 0.1) -> None:
    """Every seed's value function knows the probe."""
    assert outcome.v is not None
    for number, value in known.items():
        found = outcome.v(observed(number)).flatten()
        torch.testing.assert_close(found, torch.full((3,), float(value)), atol=tolerance, rtol=0)


@torch.no_grad()
def assert_actions(outcome: Outcome, known: dict[int, float], tolerance: float = 0.2) -> None:
    """Every seed's likeliest action is the probe's best one."""
    for number, action in known.items():
        found = outcome.policy(observed(number)).mode.flatten().float()
        torch.testing.assert_close(found, torch.full((3,), float(action)), atol=tolerance, rtol=0)


def assert_trains_as_alone(algorithm: Any, environment: str, config: Any, budget: int, atol: float = 1e-5) -> None:
    """A seed's parameters and episodes do not depend on the seeds beside it, rounding apart."""
    together = trained(algorithm, environment, config, range(4), budget)
    alone = trained(algorithm, environment, config, (2,), budget)
    for many, one in zip(together.parameters, alone.parameters, strict=True):
        torch.testing.assert_close(many[2:3], one, atol=atol, rtol=0)
    returns = [[e.value for e in run.episodes] for run in (together.trial.runs[2], alone.trial.runs[0])]
    assert returns[0] == pytest.approx(returns[1], rel=1e-5)


def assert_repeats_whatever_the_evaluations(algorithm: Any, environment: str, config: Any, budget: int) -> None:
    """The same seed gives the same parameters, bit for bit, evaluated once or often."""
    rarely = trained(algorithm, environment, config, (0, 1), budget, points=1)
    often = trained(algorithm, environment, config, (0, 1), budget, points=10)
    assert len(often.trial.runs[0].evaluations) > len(rarely.trial.runs[0].evaluations)
    assert all(map(torch.equal, rarely.parameters, often.parameters))
    assert not torch.equal(*rarely.parameters[0])
