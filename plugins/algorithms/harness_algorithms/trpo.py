"""Trust region policy optimisation (Schulman et al., 2015, arXiv:1502.05477).

After every rollout of π_old, the policy moves to the solution, nearly, of

    maximise  L(θ) = E[(ρ − 1) Â],  ρ = π_θ(a|s) / π_old(a|s),    such that  E[KL(π_old(·|s) ‖ π_θ(·|s))] ≤ δ

L is linearised and KL taken to second order: with its Hessian F (the Fisher matrix) plus λ I, conjugate gradients solve
(F + λ I) x = ∇L, and θ_old + √(2δ / xᵀ(F + λ I)x) x is tried. Where L itself has not improved there, or KL itself is
above δ, shorter and shorter steps are tried, and in the end none is taken. So there is no learning rate to tune.

Departures from the paper, as in its authors' later code: generalised advantages (Schulman et al., 2016,
arXiv:1506.02438), standardised; λ; a value function apart from π, regressed by Adam; F from all steps of the rollout;
orthogonal initial weights.
All seeds are trained in lockstep: a leading axis S throughout. Each has its own step size and line search. Directions
and divergences are computed in float64, for the parameters that float32 holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from harness.api import Count, Fraction, Trial
from harness_algorithms.blocks.conjugate_gradient import conjugate_gradient
from harness_algorithms.blocks.convolutions import stacked_network
from harness_algorithms.blocks.distributions import Categorical, DiagonalGaussian
from harness_algorithms.blocks.networks import Activation, Network, orthogonal
from harness_algorithms.blocks.optim import adam
from harness_algorithms.blocks.policies import Policy, stochastic_policy
from harness_algorithms.blocks.regression import regress
from harness_algorithms.blocks.returns import standardised
from harness_algorithms.blocks.rollouts import Rollout, advantages, by_seed, collect, minibatches
from harness_algorithms.blocks.streams import Uniforms

ADAM_EPSILON = 1e-5

Distribution = Categorical | DiagonalGaussian


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of TRPO."""

    discount: Fraction = 0.99  # γ, per step
    lambda_: Fraction = 0.95  # λ of the advantages
    max_kl: float = 0.01  # δ, in nats, of one update

    copies: Count = 1  # N, environments stepped together
    rollout_length: Count = 2048  # T, steps of each copy between updates
    standardised_advantages: bool = True  # to mean 0 and deviation 1 over each rollout

    conjugate_gradient_steps: Count = 15  # products with F, per update
    damping: float = 0.1  # λ, added to F's diagonal
    line_search_tries: int = 10  # of ever shorter steps
    line_search_shrinkage: float = 0.8  # of each try to the one before

    hidden: tuple[Count, ...] = (64, 64)  # units of each hidden layer, of π and of v
    activation: Activation = "tanh"  # between layers
    log_std: float = 0.0  # of continuous actions at the start, log σ; learned, the same in every state

    value_learning_rate: Fraction = 1e-3  # of v's Adam
    value_passes: Count = 10  # over each rollout
    value_minibatches: Count = 16  # per pass; their number divides T · N


class Batch(NamedTuple):
    """A rollout as learning sees it; fields [S, B, ...] with B = T · N.

    Attributes:
        obs: s.
        action: a as sampled, not clipped.
        advantage: Â.
        target: what v(s) should be.
    """

    obs: Tensor
    action: Tensor
    advantage: Tensor
    target: Tensor


class Outcome(NamedTuple):
    """What one update of the policy did, [S] each; zeros where it left a seed as it was.

    Attributes:
        kl: E[KL(π_old ‖ π)], in nats.
        surrogate: L.
    """

    kl: Tensor
    surrogate: Tensor


@torch.no_grad()
def batch_of(rollout: Rollout, v: Network, config: Config) -> Batch:
    """The rollout with its advantages and targets."""
    advantage, value = advantages(rollout, v, config.discount, config.lambda_)
    used = standardised(advantage, 1) if config.standardised_advantages else advantage
    return Batch(by_seed(rollout.obs), by_seed(rollout.action), used, advantage + value)


def flattened(parameters: Sequence[Tensor]) -> Tensor:
    """All parameters of a seed in one row, float64 [S, P], log σ included."""
    return torch.cat([p.detach().flatten(1) for p in parameters], 1).double()


def unflattened(flat: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Views of rows [S, P], shaped like the parameters."""
    parts = flat.split([p[0].numel() for p in parameters], 1)
    return [part.unflatten(1, p.shape[1:]) for part, p in zip(parts, parameters, strict=True)]


def surrogate(distribution: Distribution, old_log_prob: Tensor, batch: Batch) -> Tensor:
    """L = E[(ρ − 1) Â], [S]: 0 at the old parameters, and what the policy gains elsewhere, to first order.

    Args:
        distribution: π_θ(·|s), over [S, B].
        old_log_prob: log π_old(a|s), [S, B].
        batch: the rollout.
    """
    log_ratio = distribution.log_prob(batch.action) - old_log_prob
    return (log_ratio.expm1() * batch.advantage).mean(1)


def hessian_product(kl: Tensor, flat: Tensor, damping: float) -> Callable[[Tensor], Tensor]:
    """The function v ↦ (F + λ I) v, [S, P], with F the Hessian of KL: the gradient of vᵀ ∇KL.

    Args:
        kl: E[KL(π_old ‖ π_θ)], [S], attached to the graph of ``flat``; π_old is not.
        flat: θ, [S, P].
        damping: λ.
    """
    (slope,) = torch.autograd.grad(kl.sum(), flat, create_graph=True)  # once: its graph serves every product

    def product(vector: Tensor) -> Tensor:
        (image,) = torch.autograd.grad((slope * vector).sum(), flat, retain_graph=True)
        return image + damping * vector

    return product


def largest_step(
    product: Callable[[Tensor], Tensor], gradient: Tensor, max_kl: float, conjugate_gradient_steps: int
) -> Tensor:
    """The step to the border of the trust region along (F + λ I)⁻¹ ∇L, [S, P].

    It is 0 where xᵀ(F + λ I)x is not a positive number: rounding has won there, and √ of it would be NaN.

    Args:
        product: v ↦ (F + λ I) v.
        gradient: ∇L, [S, P].
        max_kl: δ.
        conjugate_gradient_steps: products to take.
    """
    x = conjugate_gradient(product, gradient, conjugate_gradient_steps)
    curvature = (x * product(x)).sum(1, keepdim=True)  # xᵀ(F + λ I)x, [S, 1]
    sound = (curvature > 0) & curvature.isfinite()
    return torch.where(sound, (2 * max_kl / curvature).sqrt() * x, 0)


class Search(Protocol):
    """What `line_search` goes by, as in `Config`."""

    max_kl: float
    line_search_tries: int
    line_search_shrinkage: float


def line_search(
    outcome_at: Callable[[Tensor], Outcome], old: Tensor, step: Tensor, config: Search
) -> tuple[Tensor, Outcome]:
    """The first of old + step · shrinkageʲ where KL ≤ δ and L > 0, else old; each seed's own. Parameters, and outcome.

    Args:
        outcome_at: KL and L at parameters [S, P].
        old: θ_old, [S, P].
        step: the largest, [S, P].
        config: δ, and how to search.
    """
    found = old.new_zeros(old.shape[0], dtype=torch.bool)
    best, outcome = old, Outcome(old.new_zeros(old.shape[0]), old.new_zeros(old.shape[0]))
    for j in range(config.line_search_tries):
        candidate = (old + config.line_search_shrinkage**j * step).float().double()  # as they will be kept
        tried = outcome_at(candidate)
        better = ~found & (tried.kl <= config.max_kl) & (tried.surrogate > 0)  # false for NaN
        best = torch.where(better[:, None], candidate, best)
        outcome = Outcome._make(torch.where(better, new, kept) for new, kept in zip(tried, outcome, strict=True))
        found |= better
        if found.all():
            break
    return best, outcome


def update(policy: Policy, batch: Batch, config: Config) -> Outcome:
    """Move the policy to the best parameters found in the trust region around it."""
    old = flattened(policy.parameters).requires_grad_()
    distribution = policy.at(unflattened(old, policy.parameters), batch.obs)
    with torch.no_grad():
        old_distribution = policy.at(unflattened(old, policy.parameters), batch.obs)
        old_log_prob = old_distribution.log_prob(batch.action)

    @torch.no_grad()
    def outcome_at(flat: Tensor) -> Outcome:
        new = policy.at(unflattened(flat, policy.parameters), batch.obs)
        return Outcome(old_distribution.kl(new).mean(1), surrogate(new, old_log_prob, batch))

    gain = surrogate(distribution, old_log_prob, batch)
    (gradient,) = torch.autograd.grad(gain.sum(), old, retain_graph=True)
    product = hessian_product(old_distribution.kl(distribution).mean(1), old, config.damping)
    step = largest_step(product, gradient, config.max_kl, config.conjugate_gradient_steps)
    best, outcome = line_search(outcome_at, old.detach(), step, config)
    with torch.no_grad():
        for parameter, new in zip(policy.parameters, unflattened(best, policy.parameters), strict=True):
            parameter.copy_(new)
    return outcome


def train(trial: Trial, config: Config) -> None:
    """Act for a while in all copies; move the policy once; regress the value function; forget the rollout."""
    env = trial.make_lockstep_env(config.copies)
    spaces = env.single_observation_space, env.single_action_space
    initialisation = trial.generators("initialisation")
    policy = stochastic_policy(
        *spaces, config.hidden, initialisation, config.activation, orthogonal(0.01), config.log_std
    )
    v = stacked_network(spaces[0], config.hidden, 1, initialisation, config.activation, orthogonal(1.0))
    optimizer = adam(v.parameters, config.value_learning_rate, ADAM_EPSILON)
    noise = policy.noise(trial.generators("policy"), config.copies)
    shuffle = Uniforms(trial.generators("batches"), config.rollout_length * config.copies)

    @torch.no_grad()
    def act(obs: Tensor) -> Tensor:
        return policy.bounded(policy(obs).mode)

    trial.policy = act
    obs = env.reset()
    while trial.within_budget:
        rollout, obs = collect(env, policy, noise, obs, config.rollout_length)
        batch = batch_of(rollout, v, config)
        outcome = update(policy, batch, config)
        for _ in range(config.value_passes):
            for part in minibatches(batch, config.value_minibatches, shuffle):
                value_loss = regress(v, optimizer, part.obs, part.target)
        trial.log(kl=outcome.kl, surrogate=outcome.surrogate, value_loss=value_loss)
