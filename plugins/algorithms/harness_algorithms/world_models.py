"""World models (Ha & Schmidhuber, 2018, arXiv:1803.10122), for discrete actions.

Random rollouts give data; V makes of an observation a code z, of frames by a variational autoencoder; M, a recurrent
mixture-density network, learns to foretell the next z from z, the action and its memory h, and codes are drawn anew for
every batch; C, linear on [z, h], chooses actions and is found by CMA-ES, in the real environment or in the dream:
episodes that M foretells, at a temperature τ. h is M's memory *before* the action.

V is no more than a standardisation of vectors. In the dream an end is foretold where it is likelier than not, and
rewards are kept within those that were ever paid: of CartPole they are all 1, as the authors' are in their Doom.

Departures: mixtures are of the change of z; C sees the mean of z, not a draw; convolutions are padded; a candidate is
worth its reward per episode in a window of steps, terminations ending one, since copies cannot be reset at will. All
seeds are trained in lockstep.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from harness.api import Count, Fraction, LockstepEnv, Trial
from harness_algorithms.blocks.cma import Evolution
from harness_algorithms.blocks.codes import Codes, Seeing, codes_for
from harness_algorithms.blocks.mdn_lstm import MDNLSTM, cooled, mdn_lstm, sample
from harness_algorithms.blocks.networks import product
from harness_algorithms.blocks.optim import adam, descend
from harness_algorithms.blocks.recurrent import State, forget
from harness_algorithms.blocks.streams import Normals, Uniforms
from harness_algorithms.blocks.vae import Code, spread


@dataclass(frozen=True)
class Config:
    """Hyper-parameters of world models."""

    random_steps: Count = 16_384  # real steps of the random policy, all copies together
    persistence: Fraction = 0.5  # chance that the random policy repeats its action
    seeing: Seeing = field(default_factory=Seeing)  # V, where there are frames
    units: Count = 16  # of M's memory
    mixtures: Count = 5  # components of every mixture
    model_updates: Count = 600  # of M
    sequences: Count = 32  # in a batch
    sequence_length: Count = 32  # steps
    learning_rate: Fraction = 3e-3  # of M
    max_gradient_norm: float = 1.0
    memory: bool = True  # whether C sees h, not z alone
    dream: bool = False  # whether C is found in the dream
    temperature: float = 1.0  # τ of the dream
    generations: Count = 30  # of CMA-ES in the dream; in reality as many as the budget holds
    population: Count = 16  # candidates
    rollouts: Count = 4  # copies that each candidate acts in
    window: Count = 500  # steps of every copy in a generation
    deviation: float = 0.5  # σ of the first candidates


class Transition(NamedTuple):
    """Real steps; fields [T, S, N, ...]."""

    obs: Tensor
    action: Tensor  # one-hot
    next_obs: Tensor
    reward: Tensor
    end: Tensor  # 1 where it terminated
    ended: Tensor


class Agent:
    """A policy with memory: V, M and C, whose weights are [S, C, P], of as many candidates as act in B copies."""

    def __init__(self, v: Codes, m: MDNLSTM, actions: int, memory: bool, weights: Tensor) -> None:
        self.v, self.m, self.actions, self.memory, self.weights = v, m, actions, memory, weights
        self.state: State | None = None

    def reset(self, mask: Tensor) -> None:
        """Empty the memory of copies where the mask, bool [S, B], is true."""
        if self.state is None or self.state[0].shape[1] != mask.shape[1]:  # copies of another environment
            self.state = self.m.memory.initial(mask.shape[1])
        self.state = forget(self.state, mask)

    def choose(self, z: Tensor, h: Tensor) -> Tensor:
        """One-hot actions [S, B, A]: the largest of the linear functions of [z, h], h before the action."""
        x = torch.cat([z, h], 2) if self.memory else z.contiguous()
        seeds, candidates, _ = self.weights.shape
        c = self.weights.view(seeds * candidates, self.actions, -1)
        rows = x.view(seeds * candidates, -1, x.shape[2])
        out = product(rows, c[..., :-1].mT.contiguous(), c[..., -1].unsqueeze(1))
        return one_hot(out.argmax(2), self.actions).view(seeds, -1, self.actions).float()

    @torch.no_grad()
    def act(self, obs: Tensor) -> Tensor:
        """Actions [S, B]; what was seen and done enters the memory afterwards."""
        if self.state is None:
            self.reset(torch.ones(obs.shape[:2], dtype=torch.bool, device=obs.device))
        assert self.state is not None
        z = self.v(obs)
        action = self.choose(z, self.state[0])
        self.state = self.m.step(z, action, self.state)
        return action.argmax(2)


def random_rollouts(trial: Trial, env: LockstepEnv, obs: Tensor, config: Config) -> tuple[Transition, Tensor]:
    """Steps of a random policy that tends to repeat itself; and the observations to go on from."""
    actions = int(env.single_action_space.n)  # type: ignore[attr-defined]
    uniforms = Uniforms(trial.generators("random actions"), 2, env.copies)
    rows: list[Transition] = []
    action = torch.zeros(obs.shape[:2], dtype=torch.int64, device=obs.device)
    begun = torch.ones_like(action, dtype=torch.bool)
    for _ in range(max(config.sequence_length, config.random_steps // env.copies)):  # one sequence at the least
        repeat, drawn = uniforms().unbind(1)
        action = torch.where((repeat < config.persistence) & ~begun, action, (drawn * actions).long())
        step = env.step(action)
        end = (step.discount == 0).float()
        rows.append(Transition(obs, one_hot(action, actions).float(), step.next_obs, step.reward, end, step.ended))
        obs, begun = step.obs, step.ended
    return Transition._make(torch.stack(field) for field in zip(*rows, strict=True)), obs


def fit(trial: Trial, v: Codes, m: MDNLSTM, data: Transition, config: Config) -> tuple[Tensor, Tensor]:
    """Fit M; returns by what changes of z are divided in it, [S, 1, Z], and the last loss, [S]."""
    length, seeds, copies = data.reward.shape
    now, after = v.law(data.obs), v.law(data.next_obs)
    scale = spread(now, after)
    optimizer = adam(m.parameters, config.learning_rate)
    uniforms = Uniforms(trial.generators("batches"), 2, config.sequences)
    normals = Normals(trial.generators("draws"), 2, config.sequence_length, config.sequences, v.size)
    along = torch.arange(config.sequence_length, device=scale.device)[:, None, None]
    seed = torch.arange(seeds, device=scale.device)[:, None]
    for _ in range(config.model_updates):
        start, copy = uniforms().unbind(1)
        rows = (start * (length - config.sequence_length + 1)).long() + along, seed, (copy * copies).long()
        noise = normals().permute(1, 2, 0, 3, 4)  # [2, T, S, B, Z]
        z, next_z = (Code(law.mean[rows], law.std[rows]).drawn(e) for law, e in zip((now, after), noise, strict=True))
        known = (field[rows] for field in (data.reward, data.end, data.ended))
        loss = m.loss(z, data.action[rows], (next_z - z) / scale, *known)
        descend(optimizer, loss, config.max_gradient_norm)
    return scale, loss.detach()


@torch.no_grad()
def awake(env: LockstepEnv, agent: Agent, obs: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Reward per episode of every copy, [S, N], in a window of real steps; and the observations to go on from."""
    total, ends = torch.zeros(obs.shape[:2], device=obs.device), torch.ones(obs.shape[:2], device=obs.device)
    for _ in range(steps):
        step = env.step(agent.act(obs))
        agent.reset(step.ended)
        total += step.reward
        ends += step.discount == 0
        obs = step.obs
    return total / ends, obs


@torch.no_grad()
def proved(env: LockstepEnv, agent: Agent, obs: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The mean return, [S], of the episodes that begin and end within so many steps, or NaN; and the next obs."""
    begun = torch.zeros(obs.shape[:2], dtype=torch.bool, device=obs.device)
    so_far, total, episodes = (torch.zeros(obs.shape[:2], device=obs.device) for _ in range(3))
    for _ in range(steps):
        step = env.step(agent.act(obs))
        agent.reset(step.ended)
        so_far += step.reward
        whole = begun & step.ended
        total += so_far * whole
        episodes += whole
        so_far *= ~step.ended
        begun |= step.ended
        obs = step.obs
    return total.sum(1) / episodes.sum(1), obs


class Dream:
    """Episodes foretold by M, which begin as real ones did, by codes of the first observations, [S, N, Z].

    Attributes:
        paid: the least and the greatest real reward, [S, 1] each.
    """

    def __init__(self, trial: Trial, m: MDNLSTM, start: Code, scale: Tensor, reward: Tensor, config: Config) -> None:
        self.m, self.start, self.scale, self.config = m, start, scale, config
        self.paid = reward.amin((0, 2)).unsqueeze(1), reward.amax((0, 2)).unsqueeze(1)
        shape = start.mean.shape[1:]
        self.uniforms = Uniforms(trial.generators("dreamt components"), *shape)
        self.normals = Normals(trial.generators("dreamt values"), *shape)

    @torch.no_grad()
    def returns(self, agent: Agent) -> Tensor:
        """What every copy achieves until M foretells an end, [S, N]."""
        z = self.start.drawn(self.normals())
        state = self.m.memory.initial(z.shape[1])
        alive = torch.ones(z.shape[:2], device=z.device)
        total = torch.zeros_like(alive)
        for _ in range(self.config.window):
            action = agent.choose(z, state[0])
            state = self.m.step(z, action, state)
            predicted = self.m.predict(state[0])
            total += alive * predicted.reward.clamp(*self.paid)
            alive = alive * (predicted.end_logit < 0)
            change = sample(cooled(predicted.change, self.config.temperature), self.uniforms(), self.normals())
            z = z + self.scale * change
        return total


def train(trial: Trial, config: Config) -> None:
    """Collect at random; fit V and M; find C by CMA-ES in reality until the budget is spent, or in the dream."""
    env = trial.make_lockstep_env(config.population * config.rollouts)
    actions = int(env.single_action_space.n)  # type: ignore[attr-defined]
    v = codes_for(trial, env.single_observation_space, config.seeing)
    m = mdn_lstm(v.size, actions, config.units, config.mixtures, trial.generators("initialisation"))
    parameters = actions * (v.size + config.memory * config.units + 1)
    evolution = Evolution(parameters, config.deviation, config.population, trial.generators("evolution"))
    best, candidates = (Agent(v, m, actions, config.memory, evolution.mean().unsqueeze(1)) for _ in range(2))
    trial.policy = best
    start = env.reset()
    data, obs = random_rollouts(trial, env, start, config)
    code_loss = v.fit(data.obs)
    scale, loss = fit(trial, v, m, data, config)
    trial.log(code_loss=code_loss, model_loss=loss)
    dream = Dream(trial, m, Code(*(part[0] for part in v.law(start[None]))), scale, data.reward, config)
    candidates.reset(torch.ones_like(data.ended[0]))
    generation = 0
    while generation < config.generations if config.dream else trial.within_budget:
        candidates.weights = evolution.ask()
        if config.dream:
            fitness = dream.returns(candidates)
            trial.simulated(env.copies * config.window)
        else:
            fitness, obs = awake(env, candidates, obs, config.window)
        evolution.tell(fitness.view(-1, config.population, config.rollouts).mean(2))
        best.weights = evolution.mean().unsqueeze(1)
        trial.log(fitness=fitness.mean(1))
        generation += 1
    if config.dream:  # the rest of the budget shows whether it is worth in reality what it was dreamt to be
        candidates.weights = best.weights
        dreamt = dream.returns(candidates).mean(1)
        trial.simulated(env.copies * config.window)
        real, obs = proved(env, candidates, obs, (trial.budget - trial.steps) // env.copies)
        trial.log(dreamt_return=dreamt, gap=dreamt - real)
        while trial.within_budget:  # steps left that are too few for every copy
            env.step(candidates.act(obs))
