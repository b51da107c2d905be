"""Distributions over actions, of any leading shape.

Nothing here draws: noise is handed in, so that every seed's actions come from a stream of its own. Nor do a number's
last bits depend on those beside it, as those of torch's sigmoid, softplus, atanh and powers do on a CPU.
"""

import math

import torch
from torch import Tensor

HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


class Categorical:
    """One of A actions, with probabilities proportional to exp(logit).

    Attributes:
        log_probs: log π(a), [..., A].

    Args:
        logits: [..., A], finite; an action is forbidden by a large negative one, such as −1e9.
    """

    def __init__(self, logits: Tensor) -> None:
        self.log_probs = logits.log_softmax(-1)

    @property
    def mode(self) -> Tensor:
        """The likeliest action, the first of several; int64 [...]."""
        return self.log_probs.argmax(-1)

    def sample(self, noise: Tensor) -> Tensor:
        """The action where the cumulated probability first exceeds the noise; int64 [...].

        It has a probability above zero: the cumulated one rose there. And there is one: a double below 1 times
        the sum of all probabilities is below that sum.

        Args:
            noise: from U[0, 1), float64, [...].
        """
        cumulated = self.log_probs.detach().exp().cumsum(-1)
        return (cumulated <= (noise * cumulated[..., -1]).unsqueeze(-1)).sum(-1)

    def log_prob(self, action: Tensor) -> Tensor:
        """The log-probability of an action, [...].

        Args:
            action: int64 [...].
        """
        return self.log_probs.gather(-1, action.unsqueeze(-1)).squeeze(-1)

    def entropy(self) -> Tensor:
        """−Σₐ π(a) log π(a), in nats; [...]."""
        return -(self.log_probs.exp() * self.log_probs).sum(-1)

    def kl(self, other: "Categorical") -> Tensor:
        """KL(self ‖ other) = Σₐ π(a) log(π(a) / other(a)), in nats; [...]."""
        return (self.log_probs.exp() * (self.log_probs - other.log_probs)).sum(-1)


class DiagonalGaussian:
    """Actions of A independent normal components.

    Bounds are the environment's affair: what is scored is the action as sampled, before any clipping. A clipped
    action has a probability mass on the bounds, not a density, and its score would pull the mean astray.

    Args:
        mean: μ, [..., A].
        log_std: log σ, broadcastable to the mean.
    """

    def __init__(self, mean: Tensor, log_std: Tensor) -> None:
        self.mean = mean
        self.log_std = log_std.expand_as(mean)

    @property
    def mode(self) -> Tensor:
        """The mean, [..., A]."""
        return self.mean

    def sample(self, noise: Tensor) -> Tensor:
        """μ + σ · noise, [..., A]; differentiable in μ and σ.

        Args:
            noise: from N(0, 1), of the mean's dtype, [..., A].
        """
        return torch.addcmul(self.mean, self.log_std.exp(), noise)

    def log_prob(self, action: Tensor) -> Tensor:
        """The log-density of an unclipped action, summed over components; [...].

        Args:
            action: [..., A].
        """
        deviation = (action - self.mean) * (-self.log_std).exp()
        return (-0.5 * deviation.square() - self.log_std - HALF_LOG_2_PI).sum(-1)

    def entropy(self) -> Tensor:
        """Σ log σ + ½ log 2πe, in nats; [...]."""
        return (self.log_std + (HALF_LOG_2_PI + 0.5)).sum(-1)

    def kl(self, other: "DiagonalGaussian") -> Tensor:
        """KL(self ‖ other) = Σ log(σ₂/σ₁) + (σ₁² + (μ₁ − μ₂)²) / 2σ₂² − ½, in nats; [...]."""
        log_ratio = other.log_std - self.log_std
        shift = (self.mean - other.mean) * (-other.log_std).exp()
        return (log_ratio + 0.5 * ((-2 * log_ratio).exp() + shift.square() - 1)).sum(-1)


class TanhGaussian:
    """low + (high − low)(tanh(u) + 1)/2 for a Gaussian u: bounded actions (Haarnoja et al., 2018, appendix C).

    Log-densities are those of tanh(u), in [−1, 1]: the constant Σ log((high − low)/2) of the rescaling is left
    out. So they, the entropy and the temperature do not depend on the units of the environment's actions, and
    the target entropy −A of the paper keeps its meaning, as it is stated for actions in [−1, 1]. Gradients are
    the same either way.

    There is no closed form of the entropy; −log π of a sample estimates it.

    Args:
        mean: of u, [..., A].
        log_std: of u, broadcastable to the mean.
        low: least actions, broadcastable to the mean, of its dtype.
        high: largest actions, likewise.
    """

    def __init__(self, mean: Tensor, log_std: Tensor, low: Tensor, high: Tensor) -> None:
        self.gaussian = DiagonalGaussian(mean, log_std)
        self.low = low
        self.high = high

    @property
    def mode(self) -> Tensor:
        """The action at the mean of u, which is also the median; [..., A]."""
        return self._rescaled(self.gaussian.mean)

    def sample(self, noise: Tensor) -> Tensor:
        """An action, [..., A]; differentiable in the parameters.

        Args:
            noise: from N(0, 1), of the mean's dtype, [..., A].
        """
        return self._rescaled(self.gaussian.sample(noise))

    def rsample_with_log_prob(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """An action [..., A] and its log-density [...]; both differentiable in the parameters.

        Args:
            noise: from N(0, 1), of the mean's dtype, [..., A].
        """
        u = self.gaussian.sample(noise)
        log_density = -0.5 * noise.square() - self.gaussian.log_std - HALF_LOG_2_PI  # of u, which is μ + σ · noise
        return self._rescaled(u), (log_density - log_tanh_slope(u)).sum(-1)

    def log_prob(self, action: Tensor) -> Tensor:
        """The log-density of tanh(u), [...]; on a bound, of the action one rounding error inside it.

        Args:
            action: in [low, high], [..., A].
        """
        limit = 1 - torch.finfo(action.dtype).eps
        squashed = (2 * (action - self.low) / (self.high - self.low) - 1).clamp(-limit, limit)
        u = (squashed.log1p() - (-squashed).log1p()) / 2
        return self.gaussian.log_prob(u) - log_tanh_slope(u).sum(-1)

    def _rescaled(self, u: Tensor) -> Tensor:
        """Within the bounds even after rounding, as lerp is exact at both ends."""
        return torch.lerp(self.low, self.high, (u.tanh() + 1) / 2)


def log_tanh_slope(u: Tensor) -> Tensor:
    """log(1 − tanh²(u)) = 2 (log 2 − u + log σ(2u)), elementwise; finite for any finite u."""
    return 2 * (math.log(2) - u + torch.nn.functional.logsigmoid(2 * u))
