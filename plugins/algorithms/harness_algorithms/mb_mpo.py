"""Model-based meta-policy optimisation (Clavera et al., 2018, arXiv:1809.05214).

An ensemble of models is fitted to the real data; each is a task, in which a policy adapts by one step of policy gradient:

    maximise  1/K Σₖ Jₖ(θ′ₖ),  θ′ₖ = θ + α ∇Jₖ(θ)        Jₖ: return of trajectories imagined in model k

Again and again: imagine with θ in every model, adapt, imagine with every θ′ₖ, and take a TRPO step of θ on the latter.
It is differentiated through the adaptation, hence ∇ₖ = (I + α ∇²Jₖ(θ)) ∇Jₖ(θ′ₖ), and its trust region is that of the
*adapted* policies, E[KL(π_θ′ₖ(old) ‖ π_θ′ₖ(new))] ≤ δ. Then the adapted policies collect real data, and models are refitted.
θ itself is changed by the TRPO step alone, and is what is evaluated, as algorithm 1 returns it. α = 0 is ME-TRPO
(Kurutach et al., 2018, arXiv:1802.10592) on as many trajectories of every model, without its early stopping.

As in the authors' code: ∇Jₖ is that of E[log π_θ(a|s) Â] at any θ; returns end with the horizon, and the baseline, linear
in features of state and time, is fitted anew to every set of trajectories; adapted policies that collect are those of the
last adaptation. Departures: models and environment are given actions as bounded, not as sampled; episodes of the
environment are not begun anew with every collection; orthogonal initial weights.
All seeds are trained in lockstep. Rows of policies, R = S · M, are seeds times tasks, of which every model has some.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, LockstepEnv, Trial
from harness_algorithms.blocks.dynamics import Dynamics, Fitting, fit, make_dynamics
from harness_algorithms.blocks.distributions import DiagonalGaussian
from harness_algorithms.blocks.imagination import Imagined, imagine
from harness_algorithms.blocks.linear_baseline import linear_values
from harness_algorithms.blocks.networks import Activation, StackedMLP, orthogonal
from harness_algorithms.blocks.policies import GaussianPolicy, stochastic_policy
from harness_algorithms.blocks.replay import Storage
from harness_algorithms.blocks.returns import discounted_returns, gae, standardised
from harness_algorithms.blocks.streams import Normals, Uniforms
from harness_algorithms.trpo import Outcome, flattened, hessian_product, largest_step, line_search, unflattened

FARTHEST = 1000.0  # imagined observations are clipped here, as by the authors


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of MB-MPO."""

    adaptation_rate: Fraction = 1e-3  # α, of the step of policy gradient; 0 for ME-TRPO
    discount: Fraction = 0.99  # γ, per step
    lambda_: Fraction = 1.0  # λ of the advantages
    max_kl: float = 0.01  # δ, in nats, of one update, between adapted policies
    meta_steps: Count = 30  # updates between two collections of real data
    conjugate_gradient_steps: Count = 10  # products with the Hessian of the divergence, per update
    damping: float = 1e-5  # added to its diagonal
    line_search_tries: int = 15  # of ever shorter steps
    line_search_shrinkage: float = 0.8  # of each try to the one before

    models: Count = 5  # K
    tasks_per_model: Count = 4  # policies adapted in each model, M = K times so many
    rollouts: Count = 50  # imagined for every task, before adaptation and after it
    horizon: Count = 200  # H, steps of each
    model_bias: float = 0.0  # b: U(0, b) deviations of Δs are added to all that a model predicts, always the same

    random_steps: Count = 5_000  # with uniform actions, at first
    real_rollouts: Count = 1  # of every adapted policy, H steps each, between two fits of the models
    buffer_capacity: Count = 100_000  # real steps that models are fitted to

    hidden: tuple[Count, ...] = (32, 32)  # units of each hidden layer of the policy
    activation: Activation = "tanh"  # between its layers
    log_std: float = 0.0  # log σ of actions at the start; learned, and adapted, the same in every state
    model_hidden: tuple[Count, ...] = (512, 512)  # units of each hidden layer of a model
    weight_norm: bool = True  # weight normalisation of the models
    fitting: Fitting = field(default_factory=Fitting)


class Transition(NamedTuple):
    """A real step; fields [S, N, ...]."""

    obs: Tensor
    action: Tensor
    next_obs: Tensor


class Batch(NamedTuple):
    """What a task is judged by: the steps of its trajectories, fields [R, B, ...].

    Attributes:
        obs: s.
        action: a as sampled.
        advantage: Â, standardised per task.
        weight: 1 by the number of steps that happen, float64; 0 for those after a termination.
    """

    obs: Tensor
    action: Tensor
    advantage: Tensor
    weight: Tensor


@torch.no_grad()
def batch_of(imagined: Imagined, config: Config) -> Batch:
    """The trajectories of every task with advantages over a baseline of its own."""
    rows = Imagined._make(x.unflatten(2, (config.tasks_per_model, -1)).flatten(0, 2) for x in imagined)
    reward, discount = (x.double().movedim(2, 0) for x in (rows.reward, config.discount * rows.discount))  # [H, R, b]
    never, nothing = torch.zeros_like(reward, dtype=torch.bool), torch.zeros_like(reward)
    returns = discounted_returns(reward, discount, never, nothing).movedim(0, 2)
    value = linear_values(rows.obs, returns, rows.alive).movedim(2, 0)
    next_value = torch.cat((value[1:], nothing[:1]))
    advantage = gae(reward, discount, never, value, next_value, config.lambda_).movedim(0, 2).flatten(1).contiguous()
    alive = rows.alive.flatten(1)
    weight = alive.double() / alive.sum(1, keepdim=True)
    return Batch(rows.obs.flatten(1, 2), rows.action.flatten(1, 2), standardised(advantage, 1, alive), weight)


def in_every_task(parameters: Tensor, tasks: int) -> Tensor:
    """Parameters [S, P] as those of every task, [R, P]."""
    return parameters.repeat_interleave(tasks, 0)


def over_tasks(x: Tensor, tasks: int) -> Tensor:
    """The mean over each seed's tasks: [S, ...] of [R, ...]; in an order that does not depend on S."""
    return x.unflatten(0, (-1, tasks)).movedim(1, -1).contiguous().mean(-1)


def gain(policy: GaussianPolicy, rows: Tensor, batch: Batch) -> Tensor:
    """J: E[log π(a|s) Â], whose gradient is the policy gradient; [R].

    Args:
        policy: gives the form of π.
        rows: its parameters in every task, [R, P].
        batch: trajectories of every task.
    """
    log_prob = policy.at(unflattened(rows, policy.parameters), batch.obs).log_prob(batch.action)
    return (batch.weight * batch.advantage * log_prob).sum(1)


def adapted(policy: GaussianPolicy, rows: Tensor, batch: Batch, rate: float) -> Tensor:
    """θ′ₖ = θ + α ∇Jₖ(θ), [R, P], cut from any graph; arguments as of `gain`, and α."""
    with torch.enable_grad():
        leaf = rows.detach().requires_grad_()
        (slope,) = torch.autograd.grad(gain(policy, leaf, batch).sum(), leaf)
    return leaf.detach() + rate * slope


def update(policy: GaussianPolicy, before: Batch, after: Batch, config: Config) -> Outcome:
    """Move θ to the best parameters found in the trust region of the adapted policies.

    Args:
        policy: θ.
        before: imagined with θ: what policies adapt by.
        after: imagined with the adapted policies.
        config: the hyper-parameters.
    """
    old = flattened(policy.parameters)
    tasks = len(before.obs) // len(old)
    rows = in_every_task(old, tasks).requires_grad_()
    bend = hessian_product(gain(policy, rows, before), rows, damping=0.0)

    def through(vector: Tensor) -> Tensor:  # ∂θ′/∂θ = I + α ∇²J, which is symmetric: forwards and backwards alike
        return vector + config.adaptation_rate * bend(vector)

    def distribution(reached: Tensor) -> DiagonalGaussian:
        return policy.at(unflattened(reached, policy.parameters), after.obs)

    def outcomes(new: DiagonalGaussian) -> Outcome:  # of every task, [R]
        log_ratio = new.log_prob(after.action) - old_log_prob
        divergence, surrogate = old_distribution.kl(new), log_ratio.expm1() * after.advantage
        return Outcome((after.weight * divergence).sum(1), (after.weight * surrogate).sum(1))

    reached = adapted(policy, rows, before, config.adaptation_rate).requires_grad_()
    with torch.no_grad():
        old_distribution = distribution(reached)
        old_log_prob = old_distribution.log_prob(after.action)

    @torch.no_grad()
    def outcome_at(flat: Tensor) -> Outcome:
        moved = adapted(policy, in_every_task(flat, tasks), before, config.adaptation_rate)
        return Outcome._make(over_tasks(x, tasks) for x in outcomes(distribution(moved)))

    kl, surrogate = outcomes(distribution(reached))
    (slope,) = torch.autograd.grad(surrogate.sum(), reached, retain_graph=True)
    fisher = hessian_product(kl, reached, damping=0.0)

    def product(vector: Tensor) -> Tensor:  # Hessian of the mean divergence in θ, whose gradient is 0 here
        return over_tasks(through(fisher(through(in_every_task(vector, tasks)))), tasks) + config.damping * vector

    gradient = over_tasks(through(slope), tasks)
    step = largest_step(product, gradient, config.max_kl, config.conjugate_gradient_steps)
    best, outcome = line_search(outcome_at, old, step, config)
    with torch.no_grad():
        for parameter, new in zip(policy.parameters, unflattened(best, policy.parameters), strict=True):
            parameter.copy_(new)
    return outcome


def acting(policy: GaussianPolicy, rows: Tensor) -> GaussianPolicy:
    """The policies of all rows [R, P] as one that takes obs [R, B, D]."""
    weights, log_std = unflattened(rows.float(), policy.parameters)
    network = StackedMLP(policy.network.sizes, weights.contiguous(), policy.network.activation)
    return GaussianPolicy(network, log_std, policy.low, policy.high)


def sampled(policy: GaussianPolicy, obs: Tensor, noise: Tensor) -> Tensor:
    """Actions of the policies of all rows, shaped like the noise: [S, ..., A] for obs [S, ..., D], tasks in order."""
    per_row = len(policy.log_std), -1
    return policy(obs.reshape(*per_row, obs.shape[-1])).sample(noise.reshape(*per_row, noise.shape[-1])).view_as(noise)


@dataclass(frozen=True)
class World:
    """The models, and all that trajectories in them need besides policies.

    Attributes:
        trial: counts the steps, and knows rewards, terminations and initial states.
        models: K of each seed.
        bias: what is added to their predictions, [S, K, 1, D].
        noise: of actions, [S, K, B, A] per call.
        starts: a generator per seed, of initial states.
        horizon: H.
    """

    trial: Trial
    models: Dynamics
    bias: Tensor
    noise: Normals
    starts: Sequence[torch.Generator]
    horizon: int

    def imagined(self, policy: GaussianPolicy) -> Imagined:
        """Trajectories of the policies of all rows, each in its model."""
        noise = self.noise()
        obs = torch.stack([self.trial.known.initial_fn(generator, noise.shape[1:3]) for generator in self.starts])

        def act(obs: Tensor) -> tuple[Tensor, Tensor]:
            action = sampled(policy, obs, self.noise())
            return action, policy.bounded(action)

        def model(obs: Tensor, action: Tensor) -> Tensor:
            return self.models.predict(obs, action) + self.bias

        trajectories = imagine(act, model, self.trial.known, obs, self.horizon, FARTHEST)
        self.trial.simulated(trajectories.steps)
        return trajectories


@torch.no_grad()
def collect(
    trial: Trial, env: LockstepEnv, act: Callable[[Tensor], Tensor], obs: Tensor, length: int, data: Storage[Transition]
) -> Tensor:
    """Store so many real steps of every copy, or what the budget holds; returns the obs to go on from."""
    for _ in range(length):
        if not trial.within_budget:
            break
        action = act(obs)
        step = env.step(action)
        data.add(Transition(obs, action, step.next_obs))
        obs = step.obs
    return obs


def learn(policy: GaussianPolicy, world: World, config: Config) -> tuple[Tensor, dict[str, Tensor]]:
    """Improve θ in imagination; returns the last adapted policies' parameters, [R, P], and what to log, [S] each."""
    tasks, log = config.models * config.tasks_per_model, []
    for _ in range(config.meta_steps):
        rows = in_every_task(flattened(policy.parameters), tasks)
        trajectories = world.imagined(acting(policy, rows))
        before = batch_of(trajectories, config)
        rows = adapted(policy, rows, before, config.adaptation_rate)
        adapted_trajectories = world.imagined(acting(policy, rows))
        outcome = update(policy, before, batch_of(adapted_trajectories, config), config)
        returns = (x.returns.flatten(1).mean(1) for x in (trajectories, adapted_trajectories))
        log.append(torch.stack((*returns, outcome.kl, outcome.surrogate)))
    means = torch.stack(log, 2).mean(2)
    return rows, dict(zip(("imagined_return", "adapted_return", "kl", "surrogate"), means, strict=True))


def train(trial: Trial, config: Config) -> None:
    """Collect real data, at first at random; fit the models; adapt and learn in imagination; and so on."""
    tasks, per_model = config.models * config.tasks_per_model, config.tasks_per_model * config.rollouts
    env = trial.make_lockstep_env(tasks * config.real_rollouts)
    spaces = env.single_observation_space, env.single_action_space
    obs_size, action_size = spaces[0].shape[0], spaces[1].shape[0]
    generators = trial.generators("initialisation")
    policy = stochastic_policy(*spaces, config.hidden, generators, config.activation, orthogonal(0.01), config.log_std)
    models = make_dynamics(
        obs_size, action_size, config.model_hidden, generators, config.models, weight_norm=config.weight_norm
    )
    dreamt = Normals(trial.generators("imagined actions"), config.models, per_model, action_size)
    noise = policy.noise(trial.generators("policy"), env.copies)
    uniform = Uniforms(trial.generators("first actions"), env.copies, action_size)
    bias = config.model_bias * Uniforms(trial.generators("model bias"), config.models, 1, 1)().float()
    starts, batches = trial.generators("imagined starts"), trial.generators("batches")
    data = Storage(Transition, config.buffer_capacity // env.copies * env.copies)

    trial.policy = torch.no_grad()(lambda obs: policy.bounded(policy(obs).mode))
    obs, steps = env.reset(), -(-config.random_steps // env.copies)

    def act(obs: Tensor) -> Tensor:
        return torch.lerp(policy.low, policy.high, uniform().float())

    while True:
        obs = collect(trial, env, act, obs, steps, data)
        every = torch.arange(len(data), device=trial.device).expand(trial.num_seeds, -1)
        fitted = fit(models, *data.take(every), batches, config.fitting)
        world = World(trial, models, bias * models.outputs.deviation.unsqueeze(1), dreamt, starts, config.horizon)
        rows, learned = learn(policy, world, config)
        trial.log(**fitted, **learned)
        if not trial.within_budget:
            return
        actors, steps = acting(policy, rows), config.horizon
        act = lambda obs: policy.bounded(sampled(actors, obs, noise()))
