"""Ensembles of learned dynamics with a leading seed axis: K networks per seed that predict Δs = s′ − s from (s, a).

Every network is a row of one `StackedMLP` of S·K rows, so each sees inputs of its own. All rows are fitted in lockstep;
one that has stopped leaves the others running and keeps its parameters to the bit.

Deterministic networks minimise the squared error of Δs, Gaussian ones its negative log-likelihood, with variances kept
between learned bounds (Chua et al., 2018, arXiv:1805.12114, appendix A). Inputs and Δs are seen relative to the mean
and deviation of the data. Members differ by initial parameters, by which transitions they are fitted and validated on,
and by the order of these.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from harness.api import Count, Fraction
from harness_algorithms.blocks.moments import Scale, moments_of
from harness_algorithms.blocks.networks import Activation, StackedMLP, product, stacked_mlp
from harness_algorithms.blocks.optim import Adam, adam, descend, selected

WIDEST_LOG_VARIANCES = (-10.0, 0.5)  # the bounds before they are learned, of Δs of deviation 1; Chua et al., 2018
BOUNDS_WEIGHT = 0.01  # of the sum of upper less lower bounds in the loss, likewise
FIRST_ROLLING = 1.5  # times the first validation loss: the rolling one before it
VALIDATED_AT_ONCE = 512  # transitions per network: what a layer makes of more does not stay in a cache


@dataclass(frozen=True)
class Fitting:
    """How an ensemble is fitted."""

    epochs: Count = 100  # at most
    batch_size: Count = 256  # transitions per member, at most
    learning_rate: Fraction = 1e-3  # of Adam, which begins anew with every fit
    validation: Fraction = 0.2  # share of the transitions held out, each member's own
    bootstrap: bool = False  # whether the others are drawn with replacement, as many
    persistency: Fraction = 0.99  # of the rolling validation loss; a member stops where that rises. 1: never


class Rows(NamedTuple):
    """S·K networks of one shape, or some of them, as functions of their parameters.

    Attributes:
        sizes: units of every layer, from inputs to outputs.
        activation: between layers.
        gaussian: whether the second half of the outputs is log σ² before it is bounded.
        weight_norm: whether weights are g w/‖w‖, a g per unit (Salimans & Kingma, 2016, arXiv:1602.07868).
    """

    sizes: tuple[int, ...]
    activation: Activation
    gaussian: bool
    weight_norm: bool

    def network(self, parameters: Sequence[Tensor]) -> StackedMLP:
        """The networks at parameters [R, ...] each, attached to their graph."""
        flat = parameters[0]
        if self.weight_norm:
            flat = weight_normalised(flat, parameters[1], self.sizes)
        return StackedMLP(self.sizes, flat, self.activation)

    def law(self, parameters: Sequence[Tensor], outputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """The mean of Δs and log σ² from outputs [R, B, out]; [R, B, D] each, None where deterministic."""
        if not self.gaussian:
            return outputs, None
        mean, free = outputs.chunk(2, 2)
        return mean, bounded(free, *parameters[-1].unsqueeze(1).chunk(2, 2))

    def loss(self, parameters: Sequence[Tensor], x: Tensor, y: Tensor) -> Tensor:
        """What every network minimises, [R], on inputs x [R, B, in] and targets y [R, B, D]."""
        mean, log_variance = self.law(parameters, self.network(parameters)(x))
        squares = (mean - y).square()
        if log_variance is None:
            return squares.flatten(1).mean(1)
        likelihood = squares * (-log_variance).exp() + log_variance
        least, most = parameters[-1].chunk(2, 1)
        return likelihood.flatten(1).mean(1) + BOUNDS_WEIGHT * (most - least).sum(1)


def bounded(free: Tensor, least: Tensor, most: Tensor) -> Tensor:
    """Log-variances kept softly between bounds: most − sp(most − x), then least + sp(x − least), sp = softplus."""
    free = most + logsigmoid(free - most)  # −log σ(−y) is softplus(y)
    return least - logsigmoid(least - free)


def weight_normalised(flat: Tensor, gains: Tensor, sizes: Sequence[int]) -> Tensor:
    """Parameters [R, P] with every unit's weights w replaced by g w/‖w‖.

    Args:
        flat: weights and biases as `StackedMLP` keeps them, [R, P].
        gains: g of every unit, [R, U].
        sizes: units of every layer.
    """
    parts, at = [], 0
    for (inputs, outputs), gain in zip(pairwise(sizes), gains.split(list(sizes[1:]), 1), strict=True):
        weight = flat[:, at : at + inputs * outputs].unflatten(1, (outputs, inputs))
        norm = weight.square().sum(2).sqrt()
        parts.append((weight * (gain / norm).unsqueeze(2)).flatten(1))
        at += inputs * outputs
        parts.append(flat[:, at : at + outputs])
        at += outputs
    return torch.cat(parts, 1)


class Dynamics:
    """K networks per seed; made by `make_dynamics`, fitted by `fit`, and frozen otherwise.

    Attributes:
        rows: the shape of the networks.
        members: K.
        parameters: leaves that autograd does not follow, [S·K, ...] each: weights and biases; gains where weights are
            normalised; bounds of log σ² where Gaussian, lower ones first.
        inputs: what (s, a) is seen relative to.
        outputs: what Δs is relative to.
        validation_loss: each member's at the end of the last fit, [S, K]; infinite before the first.
    """

    def __init__(self, rows: Rows, members: int, parameters: Sequence[Tensor], inputs: Scale, outputs: Scale) -> None:
        self.rows = rows
        self.members = members
        self.parameters = list(parameters)
        self.inputs = inputs
        self.outputs = outputs
        self.validation_loss = self.parameters[0].new_full((len(inputs.mean), members), math.inf)
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Make predictions follow parameters and scales that were changed in place."""
        self._network = self._in_units()
        self._deviation = self._per_row(self.outputs.deviation)

    def predict(self, obs: Tensor, action: Tensor) -> Tensor:
        """The mean of s′, [S, K, B, D], by every member for inputs of its own; differentiable in both.

        Args:
            obs: s, [S, K, B, D].
            action: a, [S, K, B, A].
        """
        return self.law(obs, action)[0]

    def sample(self, obs: Tensor, action: Tensor, noise: Tensor) -> Tensor:
        """A draw of s′, [S, K, B, D], from every member's Gaussian; the mean where members are deterministic.

        Args:
            obs: s, [S, K, B, D].
            action: a, [S, K, B, A].
            noise: from N(0, 1), [S, K, B, D].
        """
        mean, deviation = self.law(obs, action)
        return mean if deviation is None else torch.addcmul(mean, deviation, noise)

    def best(self, number: int) -> "Dynamics":
        """Copies of those members of each seed whose validation loss is least, as an ensemble of so many."""
        chosen = self.validation_loss.argsort(stable=True, dim=1)[:, :number]  # [S, number]
        rows = (torch.arange(len(chosen), device=chosen.device).unsqueeze(1) * self.members + chosen).flatten()
        parameters = [parameter[rows] for parameter in self.parameters]
        best = Dynamics(self.rows, number, parameters, self.inputs, self.outputs)
        best.validation_loss = self.validation_loss.gather(1, chosen)
        return best

    def law(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor | None]:
        """Mean and deviation of s′, [S, K, B, D] each; None for the deviation where members are deterministic."""
        lead = obs.shape[:2]
        x = torch.cat((obs, action.to(obs.dtype)), 3).flatten(0, 1)
        change, log_variance = self.rows.law(self.parameters, self._network(x))
        mean = obs + change.unflatten(0, lead)
        if log_variance is None:
            return mean, None
        return mean, ((0.5 * log_variance).exp() * self._deviation).unflatten(0, lead)

    def _in_units(self) -> StackedMLP:
        """The networks with both scales taken into their first and last layers, for speed: (s, a) to Δs itself.

        Log-variances stay relative to the deviation of Δs.
        """
        network = self.rows.network([parameter.double() for parameter in self.parameters]).copy()
        mean, deviation = (self._per_row(part) for part in self.inputs)
        network.biases[0].sub_(product(network.weights[0], (mean / deviation).double().mT))
        network.weights[0].div_(deviation)
        features = self.outputs.mean.shape[2]
        mean, deviation = (self._per_row(part).mT for part in self.outputs)
        network.weights[-1][:, :features].mul_(deviation)
        network.biases[-1][:, :features].mul_(deviation).add_(mean)
        return StackedMLP(network.sizes, network.flat.float(), network.activation)

    def _per_row(self, x: Tensor) -> Tensor:
        """[S, ...] as [S·K, ...]."""
        return x.repeat_interleave(self.members, 0)


def make_dynamics(
    obs_size: int,
    action_size: int,
    hidden: Sequence[int],
    generators: Sequence[torch.Generator],
    members: int = 1,
    gaussian: bool = False,
    weight_norm: bool = False,
    activation: Activation = "relu",
) -> Dynamics:
    """An ensemble with initial parameters from each seed's generator alone, which sees numbers as they are.

    Args:
        obs_size: D, numbers in an observation.
        action_size: A, numbers in an action.
        hidden: units of each hidden layer.
        generators: one per seed.
        members: K, networks per seed.
        gaussian: whether they predict deviations, too.
        weight_norm: whether weights are normalised.
        activation: between layers, "relu" or "tanh".
    """
    outputs = 2 * obs_size if gaussian else obs_size
    rows = Rows((obs_size + action_size, *hidden, outputs), activation, gaussian, weight_norm)
    flat = stacked_mlp(rows.sizes, [g for g in generators for _ in range(members)], activation).flat.detach()
    parameters = [flat]
    if weight_norm:
        weights, _ = StackedMLP(rows.sizes, flat).layers_of(flat)
        parameters.append(torch.cat([weight.square().sum(2).sqrt() for weight in weights], 1))
    if gaussian:
        bounds = flat.new_tensor(WIDEST_LOG_VARIANCES).repeat_interleave(obs_size)
        parameters.append(bounds.repeat(len(flat), 1))
    scales = [
        Scale(flat.new_zeros(len(generators), 1, size), flat.new_ones(len(generators), 1, size))
        for size in (obs_size + action_size, obs_size)
    ]
    return Dynamics(rows, members, parameters, *scales)


class _Data(NamedTuple):
    """Transitions relative to their scales, and which of them each member has.

    Attributes:
        table: inputs and Δs side by side, [S·M, in + D].
        inputs: how many columns are inputs.
        fitted: rows of the table that a member is fitted on, int64 [S·K, T].
        held_out: those it is validated on, int64 [S·K, V].
    """

    table: Tensor
    inputs: int
    fitted: Tensor
    held_out: Tensor

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs [R, B, in] and targets [R, B, D] in rows [R, B]."""
        taken = self.table.index_select(0, rows.flatten()).unflatten(0, rows.shape)
        return taken[..., : self.inputs], taken[..., self.inputs :]


def split(size: int, members: int, generators: Sequence[torch.Generator], fitting: Fitting) -> tuple[Tensor, Tensor]:
    """Which of M transitions each member is fitted on, int64 [S·K, T], and validated on, [S·K, V]; both at least one.

    Raises:
        ValueError: there are fewer than two transitions.
    """
    if size < 2:
        raise ValueError(f"{size} transitions: at least one to fit and one to validate are wanted")
    held_out = min(max(1, int(fitting.validation * size)), size - 1)
    fitted, validated = [], []
    for generator in (g for g in generators for _ in range(members)):
        order = torch.randperm(size, generator=generator, device=generator.device)
        validated.append(order[:held_out])
        rest = order[held_out:]
        if fitting.bootstrap:
            rest = rest[torch.randint(len(rest), (len(rest),), generator=generator, device=generator.device)]
        fitted.append(rest)
    return torch.stack(fitted), torch.stack(validated)


def rolled(average: Tensor | None, loss: Tensor, persistency: float) -> tuple[Tensor, Tensor]:
    """The rolling average v̄ ← β v̄ + (1 − β) v of validation losses, [R], and where it has risen, bool [R].

    Before the first epoch it is 1.5 times the first loss, so that it falls for a while (Clavera et al., 2018,
    arXiv:1809.05214; as in the authors' code).

    Args:
        average: v̄ after the last epoch, [R]; None before the first.
        loss: v, [R].
        persistency: β.
    """
    before = FIRST_ROLLING * loss if average is None else average
    new = persistency * before + (1 - persistency) * loss
    return new, new > before


class _Learners:
    """Those networks that still learn: parameters of their own, and an optimiser.

    Attributes:
        rows: which of the S·K networks they are, int64 [R].
        parameters: leaves, [R, ...] each.
    """

    def __init__(self, dynamics: Dynamics, learning_rate: float) -> None:
        self.of = dynamics
        self.rows = torch.arange(len(dynamics.parameters[0]), device=dynamics.parameters[0].device)
        self.parameters = [parameter.clone().requires_grad_() for parameter in dynamics.parameters]
        self.optimizer: Adam = adam(self.parameters, learning_rate)

    def epoch(self, data: _Data, order: Tensor, batch_size: int) -> Tensor:
        """Fit them on rows [R, T] of the data in this order, in batches; the mean loss, [R]."""
        number = -(-order.shape[1] // batch_size)
        size = order.shape[1] // number  # equal batches; fewer than ``number`` transitions are left out
        total = torch.zeros(len(order), device=order.device)
        for batch in order[:, : number * size].split(size, 1):
            loss = self.of.rows.loss(self.parameters, *data.take(batch))
            descend(self.optimizer, loss)
            total += loss.detach()
        return total / number

    @torch.no_grad()
    def validate(self, data: _Data) -> Tensor:
        """The mean squared error on what each holds out, relative to the deviation of Δs, [R]."""
        network, total = self.of.rows.network(self.parameters), torch.zeros(len(self.rows), device=self.rows.device)
        held_out = data.held_out[self.rows]
        for part in held_out.split(VALIDATED_AT_ONCE, 1):
            x, y = data.take(part)
            mean, _ = self.of.rows.law(self.parameters, network(x))
            total += (mean - y).square().flatten(1).sum(1)
        return total / held_out.shape[1] / self.of.outputs.mean.shape[2]

    @torch.no_grad()
    def stop(self, stopped: Tensor) -> None:
        """Give the ensemble what those have learned where ``stopped``, bool [R], and go on with the others."""
        for kept, learned in zip(self.of.parameters, self.parameters, strict=True):
            kept[self.rows[stopped]] = learned[stopped]
        going_on = ~stopped
        self.rows = self.rows[going_on]
        self.parameters, self.optimizer = selected(self.optimizer, self.parameters, going_on)


def fit(
    dynamics: Dynamics,
    obs: Tensor,
    action: Tensor,
    next_obs: Tensor,
    generators: Sequence[torch.Generator],
    fitting: Fitting,
    rescale: bool = True,
) -> dict[str, Tensor]:
    """Fit every member from where it stands until its validation loss rises; returns what to log, [S] each.

    Whatever a seed draws depends on its own members alone.

    Args:
        dynamics: the ensemble, changed in place.
        obs: s, [S, M, D].
        action: a, [S, M, A].
        next_obs: s′, [S, M, D].
        generators: one per seed.
        fitting: how.
        rescale: whether inputs and Δs are seen relative to these data from now on, or as before.

    Raises:
        ValueError: there are fewer than two transitions.
    """
    members, num_seeds = dynamics.members, len(obs)
    data = _data(dynamics, (obs, action, next_obs), generators, fitting, rescale)
    learners, average = _Learners(dynamics, fitting.learning_rate), None
    logged = torch.zeros(3, num_seeds * members, device=obs.device)
    running = list(range(num_seeds * members))
    for epoch in range(1, fitting.epochs + 1):
        order = torch.stack([_shuffled(data.fitted[row], generators[row // members]) for row in running])
        loss, validation = learners.epoch(data, order, fitting.batch_size), learners.validate(data)
        logged[:, learners.rows] = torch.stack((loss, validation, torch.full_like(loss, epoch)))
        average, stopped = rolled(average, validation, fitting.persistency)
        if epoch == fitting.epochs:
            stopped = torch.ones_like(stopped)
        if stopped.any():
            learners.stop(stopped)
            average, running = average[~stopped], learners.rows.tolist()
        if not running:
            break
    dynamics.refresh()
    per_member = logged.unflatten(1, (num_seeds, members))
    dynamics.validation_loss, means = per_member[1], per_member.mean(2)
    return dict(zip(("model_loss", "model_validation_loss", "model_epochs"), means, strict=True))


@torch.no_grad()
def _data(
    dynamics: Dynamics,
    transitions: tuple[Tensor, Tensor, Tensor],
    generators: Sequence[torch.Generator],
    fitting: Fitting,
    rescale: bool,
) -> _Data:
    """Transitions relative to the ensemble's scales, which they set if ``rescale``, and each member's share of them."""
    obs, action, next_obs = transitions
    x, y = torch.cat((obs, action.to(obs.dtype)), 2), next_obs - obs
    if rescale:
        dynamics.inputs, dynamics.outputs = moments_of(x).scale, moments_of(y).scale
    size, members = x.shape[1], dynamics.members
    fitted, held_out = split(size, members, generators, fitting)
    first = (torch.arange(len(fitted), device=x.device) // members * size).unsqueeze(1)
    table = torch.cat((dynamics.inputs.of(x), dynamics.outputs.of(y)), 2).flatten(0, 1)
    return _Data(table, x.shape[2], fitted + first, held_out + first)


def _shuffled(rows: Tensor, generator: torch.Generator) -> Tensor:
    """The same in random order, [T]."""
    return rows[torch.randperm(len(rows), generator=generator, device=rows.device)]
