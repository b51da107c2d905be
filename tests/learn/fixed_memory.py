"""What prioritized replay and dueling networks are worth when all there is to learn from is stored beforehand.

python tests/learn/fixed_memory.py    # a quarter of an hour of one core; writes results/reference/fixed-memory/

Both worlds are deterministic and known, so a memory is a list of pairs (s, a), values are exact, and no exploration
blurs what is compared. Repetitions are the seed axis S and run in lockstep. Nothing here is tuned to a claim.

**Blind Cliffwalk** (Schaul et al., 2016, figures 1 and 2, appendix B.1): Q-learning updates, one transition each, until
the mean squared error of Q is below 10⁻³. As there: all 2^(n+1) − 2 transitions in random order, γ = 1 − 1/n, step size
1/4, parameters from N(0, 0.1), medians of 10 repetitions. Q is a table, or linear in a state's indicator and a constant
1, with parameters per action. Chosen here: 0.1 is the standard deviation; α and ε are `per_dqn`'s defaults, as the
paper gives none for this; β = 0, as no sampling biases the fixed point where nothing is random. Replayed is by

- oracle: that which leaves the least squared error after its update. Only with a table: with linear Q it mostly comes
  to where every other update would leave more error, and replays one without error for ever
- greedy: that of the largest |δ| when last replayed; those never replayed come first
- proportional: as sampled by `PrioritizedReplay`; new ones have priority 1
- proportional-0.01: the same with ε = 0.01, to show what a constant does that is not small
- uniform: as sampled by `Replay`

Beside a table of Q stand the medians of the left half of the paper's figure 2, read off the curves' pixels to some 5 %.
Its abscissa is taken as 2^n − 2, not 2^(n+1) − 2: greedy replay takes every transition once before it chooses, and the
figure's greedy curve is at twice its abscissa and some hundred. So read, oracle and greedy agree with ours, and our
uniform replay needs 1.1 to 1.5 times the updates of theirs, by which our savings are the larger. The right half, of
linear Q, is not taken over: neither abscissa agrees with ours, and the paper does not say all of that set-up.

**Corridor** (Wang et al., 2016, section 4.1): squared error, summed over actions in all states but the two that end the
episode, of Q evaluated for the policy that is optimal except for a random action once in 1,000. Targets are those of
Expected Sarsa, r + γ d Σₐ′ π(a′|s′) Q(s′, a′), with the expectation computed. From the paper as remembered: the
widths, by which the plain network has slightly more parameters; the target by current parameters. Not given there, and
chosen here: γ, Adam, the batch, and what is in the memory, hence two of them:

- all: every pair once, of states that do not end the episode
- policy: 10,000 steps of the policy, in which some ten actions are random

The learning rate is that of `RATES` by which the plain network's error on 5 actions is least at the end of training,
per memory, with seeds of its own.
"""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from harness.reporting.figure_style import STEPS, facets, legend, style, styles_of
from harness.reporting.svg import standalone_svg
from harness.running import provenance
from harness_algorithms import dueling_dqn, per_dqn
from harness_algorithms.blocks import optim
from harness_algorithms.blocks.networks import stacked_mlp
from harness_algorithms.blocks.prioritized import PrioritizedReplay
from harness_algorithms.blocks.replay import Replay
from harness_environments.chains import blind_cliffwalk
from harness_environments.corridor import REWARDS, cells, corridor
from harness_environments.finite import Table

FOLDER = Path(__file__).parents[2] / "results" / "reference" / "fixed-memory"
REPETITIONS = 10

SEEDS = range(10, 20)  # of the cliffwalk; 0 to 9 and 100 to 109 were looked at when ε was chosen
LENGTHS = range(8, 15)  # n, states of the cliffwalk
STEP_SIZE = 0.25
DEVIATION = 0.1  # of the first Q, around 0
CONVERGED = 1e-3  # mean squared error
PAPER = {  # updates for 8, 9, … states and a table of Q, from figure 2
    "oracle": (315, 387, 494, 585, 692, 803, 933),
    "greedy": (666, 1_260, 2_330, 4_490, 8_810, 17_300, 33_900),
    "uniform": (4_660, 10_600, 17_900, 47_400, 94_700, 212_000, 319_000),
}

ACTIONS = (5, 10, 20)
DISCOUNT = 0.99  # γ of the corridor
EPSILON = 0.001  # probability of a random action
PLAYED = 10_000  # steps of the policy in a memory
BATCH = 32  # pairs
CHECKPOINTS = (300, 1_000, 3_000)  # updates
RATES = (3e-4, 1e-3, 3e-3)
DUELING = dueling_dqn.Config(shared=(50,), stream=(25,))
PLAIN = (50, 50)


# What is known of a world


class World(NamedTuple):
    """A deterministic world as arrays; pair s · A + a is action a in state s.

    Attributes:
        reward: [S, A].
        goes_on: 0 where the episode ends, else 1, [S, A].
        following: the next state, int64 [S, A].
    """

    reward: np.ndarray
    goes_on: np.ndarray
    following: np.ndarray


class Pair(NamedTuple):
    """A stored transition, which in a deterministic world is s · A + a, int64 [S, N]."""

    index: Tensor


def world(table: Table) -> World:
    """A table of transitions as arrays.

    Raises:
        ValueError: an action has several outcomes.
    """
    rows = [[outcome for (outcome,) in actions.values()] for actions in table.values()]
    outcomes = np.array(rows)  # [S, A, 4]: probability, next state, reward, terminated
    return World(outcomes[..., 2], 1 - outcomes[..., 3], outcomes[..., 1].astype(np.int64))


def exact_values(of: World, discount: float, policy: np.ndarray | None = None) -> np.ndarray:
    """Q [S, A] of a policy [S, A], or of the best one, by dynamic programming to rounding."""
    q, last = np.zeros_like(of.reward), None
    while last is None or np.abs(q - last).max() > 1e-15:
        value = q.max(axis=1) if policy is None else (policy * q).sum(axis=1)
        q, last = of.reward + discount * of.goes_on * value[of.following], q
    return q


def generators(*key: int, seeds: Sequence[int] = range(REPETITIONS)) -> list[torch.Generator]:
    """A stream of random numbers per repetition, one set for each key."""
    states = [np.random.SeedSequence((*key, seed)).generate_state(1, np.uint64) for seed in seeds]
    return [torch.Generator().manual_seed(int(state.item())) for state in states]


# Blind Cliffwalk


def cliffwalk_memory(states: int, streams: Sequence[torch.Generator]) -> Tensor:
    """The pairs of all 2^n sequences of actions, int64 [S, 2^(n+1) − 2], in a random order per repetition."""
    pairs = torch.arange(2 * states).repeat_interleave(2 ** (states - 1 - torch.arange(2 * states) // 2))
    return torch.stack([pairs[torch.randperm(len(pairs), generator=stream)] for stream in streams])


def features(states: int, representation: str) -> Tensor:
    """φ(s, a) of every pair: its indicator and, if linear, a constant 1 for its action; [2 n, 2 n or 2 n + 2]."""
    indicators = torch.eye(2 * states, dtype=torch.float64)
    constants = torch.eye(2, dtype=torch.float64).repeat(states, 1)
    return torch.cat([indicators, constants], 1) if representation == "linear" else indicators


class Oracle:
    """Replays what leaves the least squared error, [S, 1] pairs at a time."""

    def __init__(self, memory: Tensor, streams: Sequence[torch.Generator], truth: Tensor, overlap: Tensor) -> None:
        self._truth = truth
        self._overlap = overlap
        self._squares = overlap.square().sum(1)

    def choose(self, q: Tensor, error: Tensor) -> Tensor:
        step = STEP_SIZE * error
        gain = 2 * step * ((self._truth - q) @ self._overlap) - step.square() * self._squares
        return gain.argmax(1, keepdim=True)

    def learn(self, error: Tensor) -> None:
        """It knows all errors."""


class Greedy:
    """Replays what had the largest |δ| when last replayed; at first everything once."""

    def __init__(self, memory: Tensor, streams: Sequence[torch.Generator], *_: Tensor) -> None:
        self._memory = memory
        self._priority = torch.full(memory.shape, torch.inf, dtype=torch.float64)

    def choose(self, q: Tensor, error: Tensor) -> Tensor:
        self._slot = self._priority.argmax(1, keepdim=True)
        return self._memory.gather(1, self._slot)

    def learn(self, error: Tensor) -> None:
        self._priority.scatter_(1, self._slot, error.abs())


class Proportional:
    """Replays as `PrioritizedReplay` samples."""

    def __init__(
        self,
        memory: Tensor,
        streams: Sequence[torch.Generator],
        *_: Tensor,
        epsilon: float = per_dqn.Config.priority_epsilon,
    ) -> None:
        alpha = per_dqn.Config.alpha
        self._replay = PrioritizedReplay(
            Pair, memory.shape[1], 1, streams, alpha=alpha, epsilon=epsilon, weight_scale="batch"
        )
        self._replay.add(Pair(memory))

    def choose(self, q: Tensor, error: Tensor) -> Tensor:
        self._slot, _, pair = self._replay.sample(beta=0.0)
        return pair.index

    def learn(self, error: Tensor) -> None:
        self._replay.update(self._slot, error)


class Uniform:
    """Replays as `Replay` samples."""

    def __init__(self, memory: Tensor, streams: Sequence[torch.Generator], *_: Tensor) -> None:
        self._replay = Replay(Pair, memory.shape[1], 1, streams)
        self._replay.add(Pair(memory))

    def choose(self, q: Tensor, error: Tensor) -> Tensor:
        return self._replay.sample().index

    def learn(self, error: Tensor) -> None:
        """Nothing it does depends on errors."""


REPLAYS: dict[str, Callable[..., Any]] = {
    "oracle": Oracle,
    "greedy": Greedy,
    "proportional": Proportional,
    "proportional-0.01": partial(Proportional, epsilon=1e-2),
    "uniform": Uniform,
}


def updates_needed(
    states: int, replay: str, representation: str = "tabular", seeds: Sequence[int] = SEEDS
) -> np.ndarray:
    """Updates of Q-learning until the mean squared error of Q is below `CONVERGED`, int64 [S]."""
    discount = 1 - 1 / states
    cliffwalk = world(blind_cliffwalk(states).P)
    truth = torch.from_numpy(exact_values(cliffwalk, discount).ravel())  # [2 n], as the next three
    reward = torch.from_numpy(cliffwalk.reward.ravel())
    keep = torch.from_numpy(discount * cliffwalk.goes_on.ravel())
    following = torch.from_numpy(cliffwalk.following.ravel())

    phi = features(states, representation)
    overlap = phi @ phi.T  # what an update of one pair does to the others, [2 n, 2 n]
    fill, draw, start = (generators(states, i, seeds=seeds) for i in range(3))
    chooser = REPLAYS[replay](cliffwalk_memory(states, fill), draw, truth, overlap)
    weights = [torch.randn(phi.shape[1], generator=stream, dtype=torch.float64) for stream in start]
    q = DEVIATION * torch.stack(weights) @ phi.T  # [S, 2 n]

    needed = torch.zeros(len(seeds), dtype=torch.int64)
    learning = (q - truth).square().mean(1) >= CONVERGED
    while learning.any():
        needed += learning
        best = q.view(len(seeds), states, 2).amax(2)
        error = torch.addcmul(reward, keep, best.index_select(1, following)) - q  # of every pair, [S, 2 n]
        pair = chooser.choose(q, error)
        chosen = error.gather(1, pair)
        chooser.learn(chosen)
        q += STEP_SIZE * chosen * overlap[pair.squeeze(1)]
        learning &= (q - truth).square().mean(1) >= CONVERGED
    return needed.numpy()


def cliffwalk_table() -> pd.DataFrame:
    """Median and quartiles of the updates that every way of replaying needs, and the paper's median."""
    rows = []
    for representation, states in itertools.product(("tabular", "linear"), LENGTHS):
        replays = [replay for replay in REPLAYS if (representation, replay) != ("linear", "oracle")]
        paper = PAPER if representation == "tabular" else {}
        needed = {replay: updates_needed(states, replay, representation) for replay in replays}
        for replay, updates in needed.items():
            low, median, high = np.quantile(updates, (0.25, 0.5, 0.75))
            rows.append(
                {
                    "q": representation,
                    "states": states,
                    "transitions": 2 ** (states + 1) - 2,
                    "replay": replay,
                    "repetitions": len(updates),
                    "median_updates": median,
                    "lower_quartile": low,
                    "upper_quartile": high,
                    "uniform_over_this": np.median(needed["uniform"]) / median,
                    "paper": paper[replay][states - LENGTHS[0]] if replay in paper else None,
                }
            )
            print(*rows[-1].values(), flush=True)
    return pd.DataFrame(rows)


def cliffwalk_figure(table: pd.DataFrame) -> str:
    """Updates against transitions, the table of Q beside linear Q, as SVG; crosses are the paper's medians."""
    with style():
        figure, axes = facets(["A table of Q; crosses: the paper's", "Linear Q"], columns=2, height=3.4)
        styles = styles_of(table.replay.unique())
        for axis, (_, of_q) in zip(axes, table.groupby("q", sort=False), strict=True):
            axis.set(xscale="log", yscale="log", xlabel="transitions in memory", ylim=(200, 1e6))
            axis.xaxis.set_major_formatter(STEPS)
            axis.yaxis.set_major_formatter(STEPS)
            for replay, rows in of_q.groupby("replay", sort=False):
                axis.plot(rows.transitions, rows.median_updates, **styles[replay].line, label=replay)
                axis.plot(rows.transitions, rows.paper, "x", color=styles[replay].color, markersize=9)
        axes[0].set_ylabel("updates until Q is learned")
        legend(figure, *axes[0].get_legend_handles_labels())
        return standalone_svg(figure)


# Corridor


def corridor_policy(of: World) -> np.ndarray:
    """Optimal, except for a random action with probability `EPSILON`, [S, A]."""
    num_states, num_actions = of.reward.shape
    policy = np.full((num_states, num_actions), EPSILON / num_actions)
    policy[np.arange(num_states), exact_values(of, DISCOUNT).argmax(axis=1)] += 1 - EPSILON
    return policy


def all_pairs(of: World, policy: np.ndarray, streams: Sequence[torch.Generator]) -> Tensor:
    """Every pair once, of states that do not end the episode, int64 [S, N]."""
    pairs = np.arange(of.reward.size).reshape(of.reward.shape)[inner_states()]
    return torch.from_numpy(pairs.ravel()).expand(len(streams), -1)


def played_pairs(of: World, policy: np.ndarray, streams: Sequence[torch.Generator]) -> Tensor:
    """What the policy does in its first `PLAYED` steps, int64 [S, N]; from state 0 again where an episode ends."""
    num_actions = policy.shape[1]
    uniforms = torch.stack([torch.rand(PLAYED, generator=stream, dtype=torch.float64) for stream in streams])
    cumulated, state, pairs = policy.cumsum(axis=1), np.zeros(len(streams), np.int64), []
    for uniform in uniforms.T.numpy():
        action = np.minimum((cumulated[state] <= uniform[:, None]).sum(axis=1), num_actions - 1)
        pairs.append(state * num_actions + action)
        state = np.where(of.goes_on[state, action] > 0, of.following[state, action], 0)
    return torch.from_numpy(np.stack(pairs, axis=1))


MEMORIES = {"all": all_pairs, "policy": played_pairs}


def inner_states() -> np.ndarray:
    """Those that do not end the episode, [68]."""
    return np.array([state for state, cell in enumerate(cells()) if cell not in REWARDS])


def network(architecture: str, actions: int, streams: Sequence[torch.Generator]) -> Any:
    """S networks from the indicators of the corridor's states to the values of its actions."""
    if architecture == "dueling":
        return dueling_dqn.dueling_network(corridor(actions).observation_space, DUELING, actions, streams)
    return stacked_mlp((len(cells()), *PLAIN, actions), streams)


def num_parameters(architecture: str, actions: int) -> int:
    """Of one network."""
    return sum(p.shape[1] for p in network(architecture, actions, generators(0, seeds=[0])).parameters)


def squared_errors(
    architecture: str,
    actions: int,
    memory: str,
    learning_rate: float,
    key: int,
    repetitions: int = REPETITIONS,
    checkpoints: Sequence[int] = CHECKPOINTS,
) -> np.ndarray:
    """The squared error of Q, summed over states and actions, after so many updates, [checkpoints, S]."""
    world_ = world(corridor(actions).P)
    policy, inner = corridor_policy(world_), inner_states()
    truth = torch.from_numpy(exact_values(world_, DISCOUNT, policy))[inner]
    pi = torch.from_numpy(policy).float()
    reward = torch.from_numpy(world_.reward.ravel()).float()  # [S · A], as the next two
    keep = torch.from_numpy(DISCOUNT * world_.goes_on.ravel()).float()
    following = torch.from_numpy(world_.following.ravel())

    streams = [generators(key, actions, i, seeds=range(repetitions)) for i in range(3)]
    pairs = MEMORIES[memory](world_, policy, streams[0])
    replay = Replay(Pair, pairs.shape[1], BATCH, streams[1])
    replay.add(Pair(pairs))
    q = network(architecture, actions, streams[2])
    optimizer = optim.adam(q.parameters, learning_rate)
    states = torch.eye(len(policy)).expand(repetitions, -1, -1)

    errors = []
    for update in range(1, max(checkpoints) + 1):
        index = replay.sample().index  # [S, B]
        values = q(states)  # [S, states, A]
        with torch.no_grad():
            expected = (pi * values).sum(2)  # [S, states]
            target = reward[index] + keep[index] * expected.gather(1, following[index])
        loss = (target - values.flatten(1).gather(1, index)).square().mean(1) / 2
        optim.descend(optimizer, loss)
        if update in checkpoints:
            with torch.no_grad():
                errors.append((q(states)[:, inner].double() - truth).square().sum((1, 2)).numpy())
    return np.stack(errors)


def best_rate(memory: str) -> float:
    """That of `RATES` by which the plain network's median error on the fewest actions is least in the end."""
    final = {rate: np.median(squared_errors("plain", ACTIONS[0], memory, rate, key=1)[-1]) for rate in RATES}
    print(memory, final, flush=True)
    return min(RATES, key=final.__getitem__)


def corridor_table() -> pd.DataFrame:
    """Median and quartiles of the errors of both architectures."""
    rows = []
    for memory in MEMORIES:
        rate = best_rate(memory)
        for actions in ACTIONS:
            errors = {a: squared_errors(a, actions, memory, rate, key=0) for a in ("plain", "dueling")}
            plain = np.median(errors["plain"], axis=1)
            for architecture, of_updates in errors.items():
                for i, updates in enumerate(CHECKPOINTS):
                    low, median, high = np.quantile(of_updates[i], (0.25, 0.5, 0.75))
                    rows.append(
                        {
                            "memory": memory,
                            "actions": actions,
                            "architecture": architecture,
                            "parameters": num_parameters(architecture, actions),
                            "learning_rate": rate,
                            "updates": updates,
                            "repetitions": of_updates.shape[1],
                            "median_error": median,
                            "lower_quartile": low,
                            "upper_quartile": high,
                            "over_plain": median / plain[i],
                        }
                    )
                    print(*rows[-1].values(), flush=True)
    return pd.DataFrame(rows)


# Tables


def facts() -> Mapping[str, Any]:
    """Where and with what the tables were made."""
    git = provenance.git()
    return {
        "command": "python tests/learn/fixed_memory.py",
        "machine": provenance.machine(),
        "commit": git.get("commit", ""),
        "dirty": bool(git.get("dirty_diff")),
        "finished": str(datetime.now(UTC).date()),
        "repetitions": REPETITIONS,
        "versions": provenance.versions(("harness-algorithms", "harness-environments")),
    }


def main() -> None:
    """Write both tables, the figure and where they come from."""
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    about = facts()
    tables = {"cliffwalk": cliffwalk_table(), "corridor": corridor_table()}
    for name, table in tables.items():
        table.to_csv(FOLDER / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    (FOLDER / "cliffwalk.svg").write_text(cliffwalk_figure(tables["cliffwalk"]), encoding="utf-8")
    (FOLDER / "provenance.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
