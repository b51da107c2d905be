"""Model-based meta-policy optimisation (Clavera et al., 2018, arXiv:1809.05214).

An ensemble of models is fitted to the real data. Each is a task, to which a policy adapts by a step of policy gradient:

    maximise  1/K Σₖ Jₖ(θ′ₖ),  θ′ₖ = θ + α ∇Jₖ(θ),  Jₖ the return of trajectories imagined in model k

Again and again: imagine with θ, adapt, imagine with every θ′ₖ, and take a TRPO step of θ on the latter. It is
differentiated through the adaptation, hence (I + α ∇²Jₖ(θ)) ∇Jₖ(θ′ₖ), and its trust region is that of the *adapted*
policies, E[KL(old π_θ′ₖ ‖ new π_θ′ₖ)] ≤ δ. Then the adapted policies collect real data, and the models are fitted anew.
Only the TRPO step changes θ. It is evaluated as it is, being what the paper's algorithm 1 returns. With α = 0 this is
ME-TRPO (Kurutach et al., 2018, arXiv:1802.10592) on as many trajectories of every model, without its early stopping.

As in the authors' code, ∇Jₖ is that of E[log π_θ(a|s) Â] wherever θ is, returns end with the horizon, and who collects
are the policies of the last adaptation. Departures: models, too, see actions within their bounds; the environment's
episodes go on where collecting stopped; Hessians may be of fewer steps; initial weights are orthogonal. For the log
alone, θ imagines once more, with the initial states and the noise that the adapted policies have.
All seeds are trained in lockstep: rows R = S · M are the tasks of all seeds, of which every model has some.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from harness.api import Count, Fraction, LockstepEnv, Trial
from harness_algorithms.blocks.distributions import DiagonalGaussian
from harness_algorithms.blocks.dynamics import Fitting, fit, make_dynamics
from harness_algorithms.blocks.imagination import Imagined, World
from harness_algorithms.blocks.linear_baseline import episodic_advantages
from harness_algorithms.blocks.networks import load_, orthogonal
from harness_algorithms.blocks.policies import GaussianPolicy, stochastic_policy
from harness_algorithms.blocks.replay import Storage
from harness_algorithms.blocks.returns import standardised
from harness_algorithms.blocks.streams import Normals, Uniforms
from harness_algorithms.blocks.tasks import TaskPolicies, in_every_task, over_tasks
from harness_algorithms.trpo import Outcome, flattened, hessian_product, largest_step, line_search, unflattened


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of MB-MPO."""

    adaptation_rate: Fraction = 1e-3  # α, of the step of policy gradient; 0 for ME-TRPO
    discount: Fraction = 0.99  # γ, per step
    lambda_: Fraction = 1.0  # λ of the advantages
    max_kl: float = 0.01  # δ, in nats, of one update, between adapted policies
    meta_steps: Count = 10  # updates between two collections of real data
    conjugate_gradient_steps: Count = 10  # products with the Hessian of the divergence, per update
    curvature_every: Count = 10  # of so many imagined steps, one counts in these products, which take most of the time
    damping: float = 1e-5  # λ, added to its diagonal
    line_search_tries: int = 15  # of ever shorter steps
    line_search_shrinkage: float = 0.8  # of each try to the one before

    models: Count = 5  # K
    tasks_per_model: Count = 1  # policies adapted in each model, M = K times so many
    rollouts: Count = 10  # imagined for every task, before adaptation and after it
    horizon: Count = 200  # H, steps of each
    observation_limit: float = 1_000.0  # where imagined observations are clipped, either side of 0
    model_bias: float = 0.0  # b: U(0, b) deviations of Δs are added to all that a model predicts, always the same

    random_steps: Count = 1_000  # with uniform actions, at first
    real_rollouts: Count = 1  # of every adapted policy, H steps each, between two fits of the models
    buffer_capacity: Count = 100_000  # real steps that models are fitted to

    hidden: tuple[Count, ...] = (32, 32)  # units of each hidden layer of the policy, tanh between them
    log_std: float = 0.0  # log σ of actions at the start; learned, and adapted, the same in every state
    model_hidden: tuple[Count, ...] = (64, 64)  # units of each hidden layer of a model
    weight_norm: bool = False  # weight normalisation of the models
    fitting: Fitting = field(default_factory=Fitting)


class Transition(NamedTuple):
    """A real step; fields [S, N, ...]."""

    obs: Tensor
    action: Tensor
    next_obs: Tensor


class Batch(NamedTuple):
    """What a task is judged by: the steps of its trajectories, fields [R, B, ...]."""

    obs: Tensor
    action: Tensor  # as sampled
    advantage: Tensor  # standardised per task; 0 for what follows a termination
    weight: Tensor  # 1 by the number of steps that happen, 0 for those that follow a termination; float64


@torch.no_grad()
def batch_of(imagined: Imagined, config: Config) -> Batch:
    """The trajectories of every task with advantages over a baseline of their own."""
    rows = Imagined._make(x.unflatten(2, (config.tasks_per_model, -1)).flatten(0, 2) for x in imagined)
    ends = rows.reward, config.discount * rows.discount, rows.alive
    advantage, _ = episodic_advantages(rows.obs, *ends, config.lambda_)
    alive = rows.alive.flatten(1)
    weight, used = alive.double() / alive.sum(1, keepdim=True), standardised(advantage.flatten(1), 1, alive)
    return Batch(rows.obs.flatten(1, 2), rows.action.flatten(1, 2), used, weight)


def gain(policy: GaussianPolicy, rows: Tensor, batch: Batch) -> Tensor:
    """J: E[log π(a|s) Â], [R], of a policy with parameters ``rows``, [R, P]; its gradient is the policy gradient."""
    log_prob = policy.at(unflattened(rows, policy.parameters), batch.obs).log_prob(batch.action)
    return (batch.weight * batch.advantage * log_prob).sum(1)


def adapted(policy: GaussianPolicy, rows: Tensor, batch: Batch, rate: float) -> Tensor:
    """θ′ₖ = θ + α ∇Jₖ(θ), [R, P], which autograd does not follow, for θ = ``rows`` and α = ``rate``."""
    with torch.enable_grad():
        leaf = rows.detach().requires_grad_()
        (slope,) = torch.autograd.grad(gain(policy, leaf, batch).sum(), leaf)
    return leaf.detach() + rate * slope


def thinned(batch: Batch, every: int) -> Batch:
    """Of every so many steps the first, with weights that add up to as much."""
    thin = Batch._make(x[:, ::every].contiguous() for x in batch)
    return thin._replace(weight=thin.weight / thin.weight.sum(1, keepdim=True))


class Problem(NamedTuple):
    """What TRPO needs of the mean over tasks at θ, float64."""

    outcome_at: Callable[[Tensor], Outcome]  # KL from old to new adapted policies, and their gain, at θ [S, P]
    gradient: Tensor  # of the gain, [S, P]
    product: Callable[[Tensor], Tensor]  # v ↦ (F + λ I) v, [S, P], with F the Hessian of KL


def problem(policy: GaussianPolicy, old: Tensor, before: Batch, after: Batch, config: Config) -> Problem:
    """The problem at θ = ``old``, [S, P], on what was imagined with θ and with the adapted policies."""
    tasks, rate = len(before.obs) // len(old), config.adaptation_rate
    rows = in_every_task(old, tasks).requires_grad_()
    reached = adapted(policy, rows, before, rate).requires_grad_()

    def distribution(parameters: Tensor, batch: Batch) -> DiagonalGaussian:
        return policy.at(unflattened(parameters, policy.parameters), batch.obs)

    def through(batch: Batch) -> Callable[[Tensor], Tensor]:
        """The product with ∂θ′/∂θ = I + α ∇²J, which is symmetric: the same forwards and backwards."""
        bend = hessian_product(gain(policy, rows, batch), rows, damping=0.0)
        return lambda vector: vector + rate * bend(vector)

    with torch.no_grad():
        old_distribution = distribution(reached, after)
        old_log_prob = old_distribution.log_prob(after.action)

    def surrogate(new: DiagonalGaussian) -> Tensor:
        return (after.weight * after.advantage * (new.log_prob(after.action) - old_log_prob).expm1()).sum(1)

    @torch.no_grad()
    def outcome_at(parameters: Tensor) -> Outcome:
        new = distribution(adapted(policy, in_every_task(parameters, tasks), before, rate), after)
        kl = (after.weight * old_distribution.kl(new)).sum(1)
        return Outcome(over_tasks(kl, tasks), over_tasks(surrogate(new), tasks))

    (slope,) = torch.autograd.grad(surrogate(distribution(reached, after)).sum(), reached)
    some_before, some_after = (thinned(batch, config.curvature_every) for batch in (before, after))
    new, old_constant = distribution(reached, some_after), distribution(reached.detach(), some_after)
    fisher = hessian_product((some_after.weight * old_constant.kl(new)).sum(1), reached, damping=0.0)
    some_through = through(some_before)

    def product(vector: Tensor) -> Tensor:  # exact, as KL has no gradient here
        image = some_through(fisher(some_through(in_every_task(vector, tasks))))
        return over_tasks(image, tasks) + config.damping * vector

    return Problem(outcome_at, over_tasks(through(before)(slope), tasks), product)


def update(policy: GaussianPolicy, before: Batch, after: Batch, config: Config) -> Outcome:
    """Move θ to the best parameters found in the trust region of the adapted policies."""
    old = flattened(policy.parameters)
    meta = problem(policy, old, before, after, config)
    step = largest_step(meta.product, meta.gradient, config.max_kl, config.conjugate_gradient_steps)
    best, outcome = line_search(meta.outcome_at, old, step, config)
    load_(policy.parameters, best)
    return outcome


def learn(trial: Trial, policy: GaussianPolicy, world: World, config: Config) -> tuple[TaskPolicies, dict[str, Tensor]]:
    """Improve θ in imagination; returns the policies of the last adaptation, and what to log, [S] each."""
    tasks, log = config.models * config.tasks_per_model, []
    for _ in range(config.meta_steps):
        rows = in_every_task(flattened(policy.parameters), tasks)
        unadapted, chance = TaskPolicies(policy, rows), world.chance()
        imagined = world.episodes(unadapted, world.chance())
        before = batch_of(imagined, config)
        policies = TaskPolicies(policy, adapted(policy, rows, before, config.adaptation_rate))
        episodes = [world.episodes(each, chance) for each in (unadapted, policies)]  # the first only to be compared
        outcome = update(policy, before, batch_of(episodes[1], config), config)
        trial.simulated(sum(each.steps for each in (imagined, *episodes)))
        log.append(torch.stack((*(each.returns.flatten(1).mean(1) for each in episodes), *outcome)))
    unadapted_return, adapted_return, kl, surrogate = torch.stack(log, 2).mean(2)
    returns = {"imagined_return": unadapted_return, "adapted_return": adapted_return, "kl": kl, "surrogate": surrogate}
    return policies, {**returns, "adaptation_fails": (adapted_return <= unadapted_return).float()}


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


def train(trial: Trial, config: Config) -> None:
    """Collect real data, at first at random; fit the models; adapt and learn in imagination; and so on."""
    env = trial.make_lockstep_env(config.models * config.tasks_per_model * config.real_rollouts)
    spaces = env.single_observation_space, env.single_action_space
    sizes = [space.shape[0] for space in spaces]
    initialisation, batches = trial.generators("initialisation"), trial.generators("batches")
    policy = stochastic_policy(*spaces, config.hidden, initialisation, "tanh", orthogonal(0.01), config.log_std)
    models = make_dynamics(*sizes, config.model_hidden, initialisation, config.models, weight_norm=config.weight_norm)
    noise = policy.noise(trial.generators("policy"), env.copies)
    uniform = Uniforms(trial.generators("first actions"), env.copies, sizes[1])
    bias = config.model_bias * Uniforms(trial.generators("model bias"), config.models, 1, 1)().float()
    shape = config.models, config.tasks_per_model * config.rollouts
    actions = Normals(trial.generators("imagined actions"), *shape, sizes[1])
    data = Storage(Transition, config.buffer_capacity // env.copies * env.copies)
    policies: TaskPolicies | None = None

    def model(obs: Tensor, action: Tensor) -> Tensor:
        return models.predict(obs, action) + bias * models.outputs.deviation.unsqueeze(1)

    def act(obs: Tensor) -> Tensor:
        if policies is None:
            return torch.lerp(policy.low, policy.high, uniform().float())
        return policy.bounded(policies(obs).sample(noise()))

    starts, limit = trial.generators("imagined starts"), config.observation_limit
    world = World(model, trial.known, starts, actions, shape, config.horizon, limit)
    trial.policy = torch.no_grad()(lambda obs: policy.bounded(policy(obs).mode))
    obs, steps = env.reset(), -(-config.random_steps // env.copies)
    while True:
        obs = collect(trial, env, act, obs, steps, data)
        every = torch.arange(len(data), device=trial.device).expand(trial.num_seeds, -1)
        fitted = fit(models, *data.take(every), batches, config.fitting)
        policies, learned = learn(trial, policy, world, config)
        trial.log(**fitted, **learned)
        if not trial.within_budget:
            return
        steps = config.horizon
