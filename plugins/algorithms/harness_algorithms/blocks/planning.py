"""Planning in a model, for S seeds and B copies of an environment at once, P candidates each: what MPC is made of.

Candidates are sequences of H actions, each action A numbers in [−1, 1]: a box's, scaled, or one number for each of
several discrete actions, of which the largest is taken. So all optimisers serve both. In memory candidates are
[H, S, B, A, P]: a step's lie together, and what is averaged over lies in the last axis, as a seed's digits ask for.

    shooting    the best of P random sequences
    cem         the cross-entropy method (Botev et al., 2013), as Chua et al., 2018, arXiv:1805.12114, plan with it
    mppi        model-predictive path integrals (Williams et al., 2017, arXiv:1707.02342, algorithm 2)
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from harness.api import Trial
from harness_algorithms.blocks.actions import Bounds
from harness_algorithms.blocks.dynamics import Dynamics

WORST = torch.finfo(torch.float32).min  # what a sequence is worth that leads a model to no number
AT_ONCE = 2**14  # states of one seed that a model is asked for in one call, unless those of one copy are more
TRUNCATION = 2.0  # deviations to either side that CEM's normals are cut off at

Function = Callable[[Tensor, Tensor, Tensor], Tensor]
Value = Callable[[Tensor], Tensor]  # of candidates [H, S, B, A, P]: their returns, [S, B, P]


class DiscreteActions:
    """Between numbers in [−1, 1], one per action, and an environment's discrete actions: the largest is taken.

    Attributes:
        size: A, how many actions there are.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def scaled(self, numbers: Tensor) -> Tensor:
        """The action, int64 [...], for numbers [..., A]; the first of several largest."""
        return numbers.argmax(-1)

    def features(self, action: Tensor) -> Tensor:
        """What a network sees of an action, int64 [...]: float32 [..., A], 1 for what is taken, else 0."""
        return torch.nn.functional.one_hot(action, self.size).float()


class BoxActions(Bounds):
    """`Bounds` of actions, which a network sees as one row of numbers."""

    def features(self, action: Tensor) -> Tensor:
        """What a network sees of an action [S, C, *shape]: float32 [S, C, A]."""
        return action.flatten(2).float()


Actions = DiscreteActions | BoxActions


def actions_of(space: Any, device: torch.device) -> Actions:
    """How actions in a Gymnasium space are planned: Discrete from 0, or a bounded Box of reals.

    Raises:
        ValueError: the space is something else.
    """
    return DiscreteActions(int(space.n)) if hasattr(space, "n") else BoxActions(space, device)


def unfit(observation_space: Any, action_space: Any) -> str:
    """Why nothing can be planned in such spaces, if so; what `AlgorithmSpec.fits` wants."""
    if observation_space.dtype.kind != "f" or len(observation_space.shape) != 1:
        return f"observations of {observation_space} are no vectors of reals: add a wrapper that makes them so"
    if hasattr(action_space, "n"):
        return "" if action_space.start == 0 else f"{action_space}: actions from 0 are wanted"
    if action_space.dtype.kind != "f" or not action_space.is_bounded():
        return f"{action_space}: a bounded Box of reals is wanted"
    return ""


class Task(NamedTuple):
    """What is planned in, as functions of states s [S, C, D] and actions a [S, C, ...] of the environment.

    Attributes:
        model: s′ for (s, a); with G particles C is G·B·P, those of one particle together.
        reward_fn: r of (s, a, s′), [S, C].
        termination_fn: whether the MDP ended with (s, a, s′), bool [S, C].
        actions: between what is planned and the environment's actions.
        particles: G, courses that a stochastic model takes from every state; their mean counts.
    """

    model: Callable[[Tensor, Tensor], Tensor]
    reward_fn: Function
    termination_fn: Function
    actions: Actions
    particles: int = 1


def trajectory_sampling(
    dynamics: Dynamics, actions: Actions, generators: Sequence[torch.Generator]
) -> Callable[[Tensor, Tensor], Tensor]:
    """A learned ensemble as a model: each of its members moves an equal share of the particles all the way.

    That is TS∞ of Chua et al., 2018, arXiv:1805.12114; for one deterministic member it is just that model.

    Args:
        dynamics: K members; K divides the particles of a task.
        actions: of the environment.
        generators: one per seed, for the noise of Gaussian members.
    """

    def model(obs: Tensor, action: Tensor) -> Tensor:
        lead = dynamics.members, -1
        s, a = obs.unflatten(1, lead), actions.features(action).unflatten(1, lead)
        if not dynamics.rows.gaussian:
            return dynamics.predict(s, a).flatten(1, 2)
        noise = torch.stack([torch.randn(s.shape[1:], generator=g, device=g.device) for g in generators])
        return dynamics.sample(s, a, noise).flatten(1, 2)

    return model


@torch.no_grad()
def returns(task: Task, obs: Tensor, numbers: Tensor) -> Tensor:
    """What candidates earn, [S, B, P]: the sum of rewards up to the end of the MDP, if a course comes to it.

    Rewards are not discounted. A candidate that leads the model to no number, before that end, is worth `WORST`.

    Args:
        task: what to plan in.
        obs: s, [S, B, D].
        numbers: candidates, [H, S, B, A, P].
    """
    steps = task.actions.scaled(numbers.mT).unsqueeze(2)  # [H, S, 1, B, P, ...]
    steps = steps.expand(-1, -1, task.particles, *steps.shape[3:]).flatten(2, 4)
    shape = task.particles, obs.shape[1], numbers.shape[4]
    state = obs[:, None, :, None].expand(-1, *shape[:1], -1, shape[2], -1).flatten(1, 3)
    total = torch.zeros_like(state[..., 0])
    over = torch.zeros_like(total, dtype=torch.bool)
    for action in steps:
        successor = task.model(state, action)
        total += task.reward_fn(state, action, successor).masked_fill(over, 0.0)
        over |= task.termination_fn(state, action, successor)
        state = successor
    total = total.where(over | state.isfinite().all(2), torch.nan).unflatten(1, shape)
    value = total[:, 0] if task.particles == 1 else total.movedim(1, 3).contiguous().mean(3)
    return value.nan_to_num(WORST, WORST, WORST)


class Draw(NamedTuple):
    """Random numbers for plans [H, S, B, A], P of each, from one generator per seed.

    They are drawn as they are wanted, since an evaluation goes by where generators stand, not by what was drawn before.

    Attributes:
        generators: one per seed.
        candidates: P.
    """

    generators: Sequence[torch.Generator]
    candidates: int

    def uniform(self, plan: Tensor) -> Tensor:
        """From U[−1, 1), [H, S, B, A, P]."""
        return self._filled(plan, lambda x, g: x.uniform_(-1, 1, generator=g))

    def normal(self, plan: Tensor) -> Tensor:
        """From N(0, 1), [H, S, B, A, P]."""
        return self._filled(plan, lambda x, g: x.normal_(generator=g))

    def truncated_normal(self, plan: Tensor) -> Tensor:
        """From N(0, 1) where it is within `TRUNCATION` of 0, [H, S, B, A, P]."""
        inside = math.erf(TRUNCATION / math.sqrt(2))
        return self._filled(plan, lambda x, g: truncated(x.uniform_(-inside, inside, generator=g)))

    def _filled(self, plan: Tensor, fill: Callable[[Tensor, torch.Generator], Tensor]) -> Tensor:
        horizon, _, batch, size = plan.shape
        shape = horizon, batch, size, self.candidates
        return torch.stack([fill(plan.new_empty(shape), g) for g in self.generators], 1)


def truncated(share: Tensor) -> Tensor:
    """√2 erf⁻¹(x): the normal number whose share of normal numbers is as near to 0; overwrites x."""
    return share.erfinv_().mul_(math.sqrt(2)).clamp_(-TRUNCATION, TRUNCATION)


class Optimiser(Protocol):
    """A way to plan."""

    @property
    def tried(self) -> int:
        """Candidates that are evaluated for one plan."""

    def __call__(self, value: Value, plan: Tensor, draw: Draw) -> Tensor:
        """A plan [H, S, B, A] in [−1, 1], from an earlier one; both contiguous."""


class Shooting(NamedTuple):
    """The best of P sequences of uniformly random actions; the earlier plan does not matter."""

    candidates: int

    @property
    def tried(self) -> int:
        """Candidates that are evaluated for one plan."""
        return self.candidates

    def __call__(self, value: Value, plan: Tensor, draw: Draw) -> Tensor:
        """A plan [H, S, B, A]."""
        numbers = draw.uniform(plan)
        return taken(numbers, value(numbers).argmax(2, keepdim=True)).squeeze(4)


class CEM(NamedTuple):
    """The cross-entropy method: a normal distribution, at first around the earlier plan, moves to its best draws.

    Draws are normal numbers cut off at two deviations, which are at most half the way to the nearer bound: so all lie
    within the bounds. Mean and variance become α times what they were plus 1 − α times those of the elite. The plan is
    the last mean (Chua et al., 2018; Pineda et al., 2021, mbrl-lib, arXiv:2104.10159).
    """

    candidates: int
    iterations: int
    elite: float  # share of the candidates
    momentum: float  # α
    deviation: float = 0.5  # at first; of [−1, 1], a quarter of the range

    @property
    def tried(self) -> int:
        """Candidates that are evaluated for one plan."""
        return self.candidates * self.iterations

    def __call__(self, value: Value, plan: Tensor, draw: Draw) -> Tensor:
        """A plan [H, S, B, A]."""
        count = max(2, math.ceil(self.elite * self.candidates))  # of one there is no variance
        mean, variance = plan, torch.full_like(plan, self.deviation**2)
        for _ in range(self.iterations):
            deviation = torch.minimum(variance.sqrt(), (1 - mean.abs()) / TRUNCATION)
            noise = draw.truncated_normal(plan)
            numbers = torch.addcmul(mean.unsqueeze(4), deviation.unsqueeze(4), noise).clamp_(-1, 1)
            elite = taken(numbers, value(numbers).topk(count, 2, sorted=False).indices)
            new_variance, new_mean = torch.var_mean(elite, 4)
            mean = torch.lerp(new_mean, mean, self.momentum)
            variance = torch.lerp(new_variance, variance, self.momentum)
        return mean


class MPPI(NamedTuple):
    """Path integrals: the earlier plan with normal noise, cut off at the bounds, averaged with weights exp(R / λ)."""

    candidates: int
    iterations: int
    deviation: float  # of the noise
    temperature: float  # λ, in units of returns

    @property
    def tried(self) -> int:
        """Candidates that are evaluated for one plan."""
        return self.candidates * self.iterations

    def __call__(self, value: Value, plan: Tensor, draw: Draw) -> Tensor:
        """A plan [H, S, B, A]."""
        for _ in range(self.iterations):
            numbers = torch.add(plan.unsqueeze(4), draw.normal(plan), alpha=self.deviation).clamp_(-1, 1)
            gained = value(numbers)
            weight = ((gained - gained.amax(2, keepdim=True)) / self.temperature).exp()
            weight /= weight.sum(2, keepdim=True)
            plan = (numbers * weight.unsqueeze(2)).sum(4)
        return plan


def taken(numbers: Tensor, which: Tensor) -> Tensor:
    """Some of the candidates [H, S, B, A, P], int64 [S, B, E]: [H, S, B, A, E]."""
    return numbers.gather(4, which.unsqueeze(2).expand(*numbers.shape[:4], -1))


def shifted(plan: Tensor) -> Tensor:
    """The rest of a plan [H, S, B, A] whose first action was taken, and in the end the middle of the range."""
    return torch.cat((plan[1:], torch.zeros_like(plan[:1])))


class Planner:
    """A policy that plans anew at every step and takes the plan's first action: model-predictive control.

    It begins with the rest of the plan before, so it has a memory: what a trial evaluates is a planner of its own. All
    that it simulates is told to the trial, and its time billed to planning.

    Args:
        trial: for its meter and clock.
        task: what to plan in.
        optimiser: how.
        horizon: H.
        draw: the random numbers; several planners may share it.
    """

    def __init__(self, trial: Trial, task: Task, optimiser: Optimiser, horizon: int, draw: Draw) -> None:
        self._trial = trial
        self._task = task
        self._optimiser = optimiser
        self._horizon = horizon
        self._draw = draw
        self._plan = torch.zeros(horizon, 0, 0, task.actions.size, device=trial.device)

    def reset(self, mask: Tensor) -> None:
        """Forget the plans of copies where ``mask``, bool [S, B]."""
        if self._plan.shape[1:3] != mask.shape:
            self._plan = self._plan.new_zeros(self._horizon, *mask.shape, self._task.actions.size)
        self._plan = self._plan.masked_fill(mask.unsqueeze(2), 0.0)

    @torch.no_grad()
    def act(self, obs: Tensor) -> Tensor:
        """Actions of the environment, [S, B, ...], for obs [S, B, D]."""
        with self._trial.planning():
            together = max(1, AT_ONCE // (self._draw.candidates * self._task.particles))
            parts = zip(obs.split(together, 1), shifted(self._plan).split(together, 2), strict=True)
            self._plan = torch.cat([self._planned(*part) for part in parts], 2)
            steps = self._optimiser.tried * self._horizon * self._task.particles
            self._trial.simulated(obs.shape[1] * steps)
            return self._task.actions.scaled(self._plan[0])

    def _planned(self, obs: Tensor, plan: Tensor) -> Tensor:
        return self._optimiser(lambda numbers: returns(self._task, obs, numbers), plan.contiguous(), self._draw)
