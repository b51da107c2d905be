"""The conformance checks of environments, each a question with its reason as docstring.

Most run whole in a fork of the `harness.conformance.laboratory`.
"""

import hashlib
import itertools
import math
import random
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium.utils.env_checker import check_env

from harness.conformance.algorithms import IMPORT, check_description, check_effects
from harness.conformance.check import Check, CheckFailed, CheckSkipped, CheckStatus, require
from harness.conformance.laboratory import Laboratory
from harness.contract.specs import VIEWS, EnvironmentSpec, Score, as_json, environment_from_json
from harness.measuring import environments, seeding
from harness.measuring.environments import Env

STEPS = 100  # compared between two copies
SAMPLED = 200  # steps whose observations, rewards and flags are looked at
FEWEST, MOST = 20, 300  # episodes of a measured random score, as its steps allow
MEASURED = 20_000  # steps of it, unless the fewest episodes take more
STANDARD_ERRORS = 5.0
TERMINAL_COLOUR = re.compile(r"\x1b\[\d+m")
UNWRAPPED_REMARK = "is different from the unwrapped version"  # not a fault: environments come with a time limit
Question = Callable[[EnvironmentSpec], str | None]


@dataclass(frozen=True)
class EnvironmentSubject:
    """An environment under test, and where it is tried."""

    id: str
    spec: EnvironmentSpec
    laboratory: Laboratory


def environment_checks(subject: EnvironmentSubject) -> list[Check]:
    """Every check of an environment; those of its other views where it declares them."""
    here = [description_is_valid, import_has_no_side_effects, same_trajectory_whatever_the_order_of_sets]
    checks = [Check.of(subject.id, function, subject) for function in here]
    of_views = [function for view, function in OF_VIEWS.items() if getattr(subject.spec, view)]
    return checks + [_check_apart(subject, function) for function in (*OF_ALL, *of_views)]


def description_is_valid(subject: EnvironmentSubject) -> None:
    """Does the description survive JSON, and can its requirements be read?

    A trial's process is told of the environment in JSON, so arguments may hold nothing else. That the Gymnasium
    id carries its version was checked when the description was made.
    """
    check_description(subject.spec, environment_from_json)


def import_has_no_side_effects(subject: EnvironmentSubject) -> None:
    """Does importing its modules leave the process alone?

    As for algorithms. Gymnasium's registry is what the modules are there to change.
    """
    wrappers = [target.partition(":")[0] for target, _ in subject.spec.wrappers]
    views = [module for view in VIEWS if (module := getattr(subject.spec, view))]
    effects = subject.laboratory.perform(IMPORT, modules=[*subject.spec.imports, *wrappers, *views])
    check_effects(effects, "importing its modules")


def same_trajectory_whatever_the_order_of_sets(subject: EnvironmentSubject) -> None:
    """Do copies in two processes go the same way, though sets of strings are in another order in the second?

    Python hashes strings anew in every process. The harness holds that still; others who run the environment may not.
    """
    experiment, spec = f"{__name__}:{trajectory_digest.__name__}", as_json(subject.spec)
    here, there = (each.perform(experiment, spec=spec) for each in (subject.laboratory, subject.laboratory.twin))
    require(here == there, "with one seed, two processes differ; see whether it follows the order of a set")


# Asked in a process apart


def trajectory_digest(spec: Mapping[str, Any]) -> str:
    """A digest of all that a copy with seed 0 gives; called in the laboratory."""
    digest = hashlib.sha256()
    for part in _parts(tuple(_trajectory(environment_from_json(spec)))):
        digest.update(part)
    return digest.hexdigest()


def _parts(given: Any) -> Iterator[bytes]:
    """Numbers, arrays, text, and dicts and tuples of them as bytes, in an order that no set decides."""
    if isinstance(given, dict):
        for key in sorted(given):
            yield str(key).encode()
            yield from _parts(given[key])
    elif isinstance(given, tuple):
        for each in given:
            yield from _parts(each)
    else:
        yield np.asarray(given).tobytes()


def episodes_have_a_limit(spec: EnvironmentSpec) -> None:
    """Can it be made, and does every episode end by a time limit at the latest?

    An episode that never ends would never be evaluated. Set ``max_episode_steps`` where Gymnasium's registry does not.
    """
    env = environments.make(spec)
    assert env.spec is not None
    limit = env.spec.max_episode_steps
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(min(limit or 0, MEASURED)):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            return
    require((limit or 0) > MEASURED, f"no episode ended within its limit of {limit} steps")


def passes_check_env(spec: EnvironmentSpec) -> str | None:
    """Does it pass Gymnasium's own ``check_env``? Its warnings, and what close() raises, become a remark.

    Rendering is left out: the harness never renders.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            env = environments.make(spec)
            check_env(env, skip_render_check=True, skip_close_check=True)
            env.close()
        except Exception as error:
            raise CheckFailed(f"{type(error).__name__}: {error}") from None
    remarks = [TERMINAL_COLOUR.sub("", str(warning.message)).removeprefix("WARN: ") for warning in caught]
    return "; ".join(remark for remark in remarks if UNWRAPPED_REMARK not in remark) or None


def same_seed_same_trajectory(spec: EnvironmentSpec) -> None:
    """Do two copies with one seed and the same actions go the same way, through every later reset?

    Compared are 100 steps and a reset without seed before step 50, observations, rewards and flags to the last bit. The
    global random generators differ between the two copies: an environment draws from ``self.np_random`` alone,
    or its stream would depend on who trains beside it.
    """
    _seed_global(0)
    first = list(_trajectory(spec))
    _seed_global(1)
    for step, (one, other) in enumerate(zip(first, _trajectory(spec), strict=True)):
        require(_equal(one, other), f"with one seed, two copies differ at step {step}: {one} and {other}")


def spaces_are_truthful(spec: EnvironmentSpec) -> None:
    """Do observations lie in their space, and are rewards finite numbers and ends booleans?

    Looked at for 200 steps with random actions. Networks are shaped, and observations stored, by what the space says.
    """
    env = environments.make(spec)
    space = env.observation_space
    for step, (obs, reward, terminated, truncated) in enumerate(itertools.islice(_random_steps(env), SAMPLED)):
        require(space.contains(obs), f"step {step}: observation {obs!r} does not lie in {space}")
        require(math.isfinite(float(reward)), f"step {step}: the reward is {reward}")
        for flag in (terminated, truncated):
            require(isinstance(flag, bool | np.bool_), f"step {step}: {flag!r} is no boolean")


def random_score_holds(spec: EnvironmentSpec) -> None:
    """Is the declared random score what uniformly random actions return?

    It is the zero of normalised scores. Measured anew over 20 to 300 episodes with seeds of its own, and compared to
    within 5 standard errors of both; none may return what is declared impossible. Skipped where none is declared.
    """
    declared = spec.random_score
    if declared is None:
        raise CheckSkipped("it declares no random score")
    returns = _random_returns(environments.make(spec))
    for name, extreme in (("lowest_return", min), ("highest_return", max)):
        bound, found = getattr(spec, name), extreme(returns)
        within = bound is None or extreme(bound, found) == bound or math.isclose(bound, found, abs_tol=1e-9)  # of sums
        require(within, f"{name} is {bound}, but an episode returned {found}")
    error = math.hypot(declared.standard_error or 0.0, _standard_error(returns, declared))
    distance = abs(float(np.mean(returns)) - declared.value)
    require(
        distance <= STANDARD_ERRORS * error + 1e-6 * abs(declared.value),
        f"{len(returns)} random episodes return {np.mean(returns):.6g} on average, {declared.value:.6g} is declared, "
        f"{distance / error if error else math.inf:.1f} standard errors away",
    )


def array_is_the_same_mdp(spec: EnvironmentSpec) -> None:
    """Do the array functions take the steps of Gymnasium's environment, wherever it goes?

    Lockstep training may use the one and evaluation always uses the other. Compared to 1e-6 are 5,000 transitions of
    random actions, held for 1 to 64 steps and beyond the bounds of a box where Gymnasium takes that, and the
    distribution of 5,000 initial states. What random actions never reach is not compared: test it apart.
    A row must give the same bits in every leading shape and beside any other rows, and no tensor may be changed in
    place or handed out twice.
    """
    from harness.conformance.arrays import require_same_mdp  # here, as the command line has no need of torch

    require_same_mdp(spec)


def known_functions_are_true(spec: EnvironmentSpec) -> None:
    """Do the functions of ``known`` give what the environment does?

    A planner that is told another reward or another end plans for another task. Compared to 1e-4 are 100,000
    transitions of random actions, and the distribution of 5,000 first observations; a row must give the same bits in
    every leading shape. What random actions never reach is not compared: test it apart.
    """
    from harness.conformance.views import require_true_knowledge

    require_true_knowledge(spec)


def game_rules_are_whole(spec: EnvironmentSpec) -> None:
    """Do random games by the rules of ``game`` end, with players, legal moves and outcomes as they must be?

    An outcome is the first player's, from -1 to 1, and NaN while the game goes on. What is observed lies in the
    environment's space. That the rules are those of the game, a test of your own must say.
    """
    from harness.conformance.views import require_whole_game

    require_whole_game(spec)


def recordings_fit(spec: EnvironmentSpec) -> None:
    """Are recorded transitions always the same, and do they lie in the environment's spaces?

    Results on a data set that changes between two reads could not be repeated.
    """
    from harness.conformance.views import require_fitting_recordings

    require_fitting_recordings(spec)


OF_ALL: list[Question] = [episodes_have_a_limit, passes_check_env, same_seed_same_trajectory]
OF_ALL += [spaces_are_truthful, random_score_holds]
OF_VIEWS: dict[str, Question] = {"array": array_is_the_same_mdp, "known": known_functions_are_true}
OF_VIEWS |= {"game": game_rules_are_whole, "dataset": recordings_fit}
APART = {function.__name__: function for function in (*OF_ALL, *OF_VIEWS.values())}


def _check_apart(subject: EnvironmentSubject, function: Question) -> Check:
    def ask() -> str | None:
        asked = {"name": function.__name__, "spec": as_json(subject.spec)}
        status, reason = subject.laboratory.perform(f"{__name__}:{ask_apart.__name__}", **asked)
        require(status != "fail", reason)
        if status == "skip":
            raise CheckSkipped(reason)
        return str(reason) or None

    return replace(Check.of(subject.id, function), ask=ask)


def ask_apart(name: str, spec: Mapping[str, Any]) -> tuple[CheckStatus, str]:
    """What came of one check, and why; called in the laboratory."""
    outcome = Check.of("", APART[name], environment_from_json(spec)).outcome()
    return outcome.status, outcome.reason


def _seed_global(seed: int) -> None:
    import torch  # here, because the command line has no need of it

    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002, because environments must not draw from it
    torch.manual_seed(seed)


def _trajectory(spec: EnvironmentSpec) -> Iterator[Any]:
    """What a copy with seed 0 gives for actions that depend on the step alone."""
    env = environments.make(spec)
    actions = environments.make(spec).action_space
    actions.seed(0)
    obs, _ = env.reset(seed=0)
    over = False
    for step in range(STEPS):
        if over or step == STEPS // 2:
            obs, _ = env.reset()
        yield obs
        obs, reward, terminated, truncated, _ = env.step(actions.sample())
        over = terminated or truncated
        yield obs, float(reward), bool(terminated), bool(truncated)


def _equal(one: Any, other: Any) -> bool:
    """Equality to the last bit of numbers, arrays, text, and dicts and tuples of them."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return np.array_equal(one, other)


def _random_steps(env: Env) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Observation, reward and flags of steps with random actions, episode after episode."""
    env.action_space.seed(0)
    for episode in itertools.count():
        obs, _ = env.reset(seed=seeding.integer(0, "conformance", episode))
        yield obs, 0.0, False, False
        over = False
        while not over:
            obs, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            yield obs, reward, terminated, truncated
            over = terminated or truncated


def _random_returns(env: Env) -> list[float]:
    """Returns of as many whole episodes as are allowed."""
    returns, current = [], 0.0
    for step, (_, reward, terminated, truncated) in enumerate(_random_steps(env)):
        current += float(reward)
        if terminated or truncated:
            returns.append(current)
            current = 0.0
            if len(returns) >= MOST or (len(returns) >= FEWEST and step >= MEASURED):
                break
    return returns


def _standard_error(returns: list[float], declared: Score) -> float:
    """Of the mean; at least what the declared spread of returns says, since rare ones may be missing here."""
    sampled = float(np.std(returns, ddof=1)) / math.sqrt(len(returns))
    if declared.standard_error is None or declared.episodes is None:
        return sampled
    return max(sampled, declared.standard_error * math.sqrt(declared.episodes / len(returns)))
