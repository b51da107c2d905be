"""Small worlds made to show one thing: exploration by luck, the bias of a maximum, a return with two modes."""

import gymnasium

from harness_environments.finite import FiniteWorld

LEFT = 0
ADVANCE = 1


def blind_cliffwalk(states: int, one_hot: bool = False) -> FiniteWorld:
    """Blind Cliffwalk (Schaul et al., "Prioritized experience replay", 2016, figure 1).

    One of two actions is right: s mod 2 in state s, so nothing learnt in one state helps in the next (the paper
    says only that it cannot). It leads to the next state, and from the last to reward 1 and the end; the wrong
    one ends the episode with 0. A random policy is paid in one episode of 2^n, and the 2^n sequences of actions
    make 2^(n+1) − 2 transitions. With the paper's γ = 1 − 1/n, Q*(s, right) = γ^(n−1−s) and Q*(s, wrong) = 0.

    Whatever ends the episode is observed in the state where it happened.

    Args:
        states: n.
        one_hot: observe the indicator, for linear learners and networks.
    """

    def outcome(state: int, action: int) -> tuple[float, int, float, bool]:
        if action != state % 2:
            return 1.0, state, 0.0, True
        if state == states - 1:
            return 1.0, state, 1.0, True
        return 1.0, state + 1, 0.0, False

    table = {state: {action: [outcome(state, action)] for action in (0, 1)} for state in range(states)}
    return FiniteWorld(table, one_hot)


def maximisation_bias(actions: int = 10, one_hot: bool = False) -> FiniteWorld:
    """The example of maximisation bias (Sutton and Barto, 2nd ed., example 6.7, figure 6.5).

    In A, state 0, right ends the episode with reward 0, left leads to B with reward 0; in B, state 1, every action
    ends it with a reward from N(−0.1, 1). So Q*(A, right) = 0, Q*(A, left) = −0.1 γ and Q*(B, ·) = −0.1, but
    the largest of several noisy estimates in B is positive for long, and Q-learning goes left.

    Gymnasium wants the same actions everywhere: in A even ones are left and odd ones right, so that a random
    action is left as often as in the book.

    Whatever ends the episode is observed in the state where it happened.

    Args:
        actions: how many, an even number; the book says "many".
        one_hot: observe the indicator, for networks.
    """
    a, b = 0, 1
    table = {
        a: {x: [(1.0, b, 0.0, False)] if x % 2 == LEFT else [(1.0, a, 0.0, True)] for x in range(actions)},
        b: {x: [(1.0, b, -0.1, True)] for x in range(actions)},
    }
    return FiniteWorld(table, one_hot, reward_deviation=(0.0, 1.0))


def bimodal_chain(states: int = 5) -> FiniteWorld:
    """A chain whose return has two modes, for learners of return distributions.

    Action 1 leads to the next state with reward 0, and from the last, n − 1, to the end with reward −1 or 2,
    equally likely. Action 0 ends the episode with 0. So from state s the return of going on to the end is
    −γ^(n−1−s) or 2 γ^(n−1−s), probability 1/2 each, and Q*(s, 1) = γ^(n−1−s) / 2, where no return ever is; the
    return of action 0 is 0.

    Observation: the state's indicator, float32 [n]. Whatever ends the episode is observed in the state where it
    happened.

    Args:
        states: n.
    """
    last = states - 1
    table = {state: {0: [(1.0, state, 0.0, True)], ADVANCE: [(1.0, state + 1, 0.0, False)]} for state in range(last)}
    table[last] = {0: [(1.0, last, 0.0, True)], ADVANCE: [(0.5, last, -1.0, True), (0.5, last, 2.0, True)]}
    return FiniteWorld(table, one_hot=True)


# No episode is longer than the chain; the limits are there because every environment has one.
gymnasium.register("harness_environments/BlindCliffwalk-v0", f"{__name__}:blind_cliffwalk", max_episode_steps=100)
gymnasium.register("harness_environments/MaximisationBias-v0", f"{__name__}:maximisation_bias", max_episode_steps=10)
gymnasium.register("harness_environments/BimodalChain-v0", f"{__name__}:bimodal_chain", max_episode_steps=100)
