"""The conformance checks of algorithms, each a question with its reason as docstring.

Algorithms are trained for 200 steps on the rings of `toy_environments`. One whose learning starts later is
checked better with settings that let it start, as in ``harness check "sb3/ppo[n_steps=32]"``.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from harness.conformance.check import Check, CheckFailed, CheckSkipped, require
from harness.conformance.laboratory import ExperimentFailedError, Laboratory
from harness.conformance.toy_environments import ACTIONS, OBSERVATIONS
from harness.contract.specs import AlgorithmSpec, EnvironmentSpec, Needs, algorithm_from_json, as_json

IMPORT = "harness.conformance.experiments:import_modules"  # whose result is for `check_effects`
BUDGET = 200  # steps
POINTS = 7  # evaluations where many are wanted
SEEDS = (0, 1, 2)
COMPARED = 150  # steps in which a seed trained among others must do what it does alone
TOLERANCE = 1e-4  # relative, of returns


@dataclass(frozen=True)
class AlgorithmSubject:
    """An algorithm under test, and where it is tried."""

    id: str  # with preset and overrides
    spec: AlgorithmSpec
    layers: tuple[Mapping[str, Any], ...]  # of its configuration, later ones winning
    laboratory: Laboratory

    def perform(self, experiment: str, **arguments: Any) -> Any:
        """The result of a function of `harness.conformance.experiments` that is told of the algorithm."""
        target = f"harness.conformance.experiments:{experiment}"
        return self.laboratory.perform(target, spec=as_json(self.spec), **arguments)

    def spaces(self) -> list[tuple[str, str]]:
        """Declared pairs of observation and action spaces for which there is a toy."""
        observations = [space for space in OBSERVATIONS if space in self.spec.observation_spaces]
        found = list(product(observations, [space for space in ACTIONS if space in self.spec.action_spaces]))
        if not found:
            raise CheckSkipped("no toy environment has spaces that it declares")
        return found[:1] if self.spec.game else found  # there is one game

    def imported(self) -> dict[str, list[str]]:
        """What importing the target changes; where that is nothing, trainings need not import it again."""
        effects: dict[str, list[str]] = self.laboratory.perform(IMPORT, modules=[self.spec.target])
        if not (effects["changed"] or effects["left"]):
            self.laboratory.preload(self.spec.target)
        return effects

    def train(
        self,
        *seeds: int,
        spaces: tuple[str, str] | None = None,
        points: int = 1,
        stream: int | None = None,
        watched: bool = False,
        twin: bool = False,
    ) -> dict[str, Any]:
        """What `harness.conformance.experiments.train` reports of a training, in the ``twin`` laboratory if asked.

        It must finish.
        """
        spaces = spaces or self.spaces()[0]
        if not twin:
            self.imported()
        asked = {"spaces": spaces, "seeds": seeds, "budget": BUDGET, "points": points, "stream": stream}
        asked["watched"] = watched
        subject = replace(self, laboratory=self.laboratory.twin) if twin else self
        report: dict[str, Any] = subject.perform("train", layers=[dict(layer) for layer in self.layers], **asked)
        require(report["status"] in ("done", "unmetered"), f"training {report['status']}: {report['error']}")
        return report

    def needs(self) -> Needs:
        """What it needs of a machine with this configuration."""
        self.imported()
        return Needs(**self.perform("needs", layers=[dict(layer) for layer in self.layers]))

    def require_deterministic(self) -> None:
        """Skip what can be asked of deterministic algorithms only."""
        if not self.needs().deterministic:
            raise CheckSkipped("it is declared as not deterministic")

    def trains_together(self) -> bool:
        """Whether one training may have several seeds."""
        return self.spec.trains_together(self.needs())


def algorithm_checks(subject: AlgorithmSubject) -> list[Check]:
    """Every check of an algorithm."""
    asked = [description_is_valid, import_has_no_side_effects, configuration_is_valid]
    asked += [spends_the_budget_exactly, learns_from_what_is_counted]
    asked += [same_seed_same_episodes, other_seed_other_behaviour, evaluation_leaves_training_alone]
    asked += [policy_treats_observations_alone, actions_lie_in_the_space, declared_spaces_train]
    asked += [policy_stands_still_in_evaluation, leaves_nothing_running, process_is_left_as_found]
    asked += [lockstep_equals_single] * subject.spec.lockstep
    return [Check.of(subject.id, function, subject) for function in asked]


def description_is_valid(subject: AlgorithmSubject) -> None:
    """Does the description survive JSON, and can its requirements be read?

    A trial's process is told of the algorithm in JSON, so presets may hold nothing else; and a requirement that
    no installer can read could never be met. The rest was checked when the description was made.
    """
    check_description(subject.spec, algorithm_from_json)


def check_description(spec: AlgorithmSpec | EnvironmentSpec, restore: Any) -> None:
    """Fail unless a description equals what its JSON form restores to and its requirements parse."""
    try:
        restored = restore(json.loads(json.dumps(as_json(spec), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise CheckFailed(f"the description has no JSON form: {error}") from None
    require(as_json(restored) == as_json(spec), "the description is not what its JSON form says")
    for requirement in spec.requires:
        try:
            Requirement(requirement)
        except InvalidRequirement as error:
            raise CheckFailed(f"requires: {requirement!r}: {error}") from None


def import_has_no_side_effects(subject: AlgorithmSubject) -> None:
    """Does importing the target leave the process alone?

    The working directory, environment variables, ``sys.path``, warning filters, signal handlers, the global
    random generators of Python, NumPy and torch, and torch's thread count, dtype and modes are compared before and
    after, in a fresh process. What one plugin changes at import changes the results of all that share the process.
    """
    check_effects(subject.imported(), "importing its module")


def check_effects(effects: Mapping[str, list[str]], action: str) -> None:
    """Fail if an action changed global state or left anything running."""
    require(not effects["changed"], f"{action} changes {', '.join(effects['changed'])}")
    require(not effects["left"], f"{action} leaves {', '.join(effects['left'])}")


def configuration_is_valid(subject: AlgorithmSubject) -> None:
    """Is ``Config`` a frozen dataclass with defaults, does every preset fit it, and is it said what each needs?

    A configuration that could change while it is in use would not be the one stored with the results; and with
    defaults the algorithm runs unconfigured.
    """
    subject.imported()
    variants = {"defaults": [], "this selection": [dict(layer) for layer in subject.layers]} | {
        f"preset {name!r}": [values] for name, values in as_json(subject.spec)["presets"].items()
    }
    problems = dict.fromkeys(filter(None, subject.perform("resolve_configs", variants=variants)))
    require(not problems, "; ".join(problems))


def spends_the_budget_exactly(subject: AlgorithmSubject) -> None:
    """Does training take every step of its budget, and end then?

    Algorithms are compared at equal numbers of steps. ``train`` must set ``trial.policy`` before its first step,
    go on while ``trial.within_budget``, and let `BudgetExhausted` pass.
    """
    steps = subject.train(0)["steps"]
    require(steps == BUDGET, f"training took {steps} of {BUDGET} steps")


def learns_from_what_is_counted(subject: AlgorithmSubject) -> None:
    """Does it step metered environments only?

    Steps of ``env.unwrapped``, of a copy or of an environment of its own are interaction that no budget counts: such a
    run ends as ``unmetered``. An environment that is made to read its spaces may be.
    """
    report = subject.train(0)
    require(report["status"] == "done", report["error"])


def same_seed_same_episodes(subject: AlgorithmSubject) -> None:
    """Does one seed give one result, to the last bit?

    All randomness must come from ``trial.rng``, ``trial.generators``, ``trial.seed`` or the environment's spaces, or
    from the global generators, which are seeded before training. The second training is in a process where sets of
    strings are in another order. Skipped for an algorithm declared ``deterministic=False``.
    """
    subject.require_deterministic()
    first, again = subject.train(0), subject.train(0, twin=True)
    same = first["runs"] == again["runs"]
    require(same, "two trainings with one seed had different episodes; the order of sets differed between them")


def other_seed_other_behaviour(subject: AlgorithmSubject) -> None:
    """Does another seed explore and initialise differently?

    The environment's own stream is held fixed, so that only the algorithm can make a difference. Runs that share
    initial weights or exploration are not independent, and intervals over them are too narrow.
    """
    if subject.trains_together():
        runs = subject.train(*SEEDS, stream=0)["runs"]
    else:
        runs = [run for seed in SEEDS[:2] for run in subject.train(seed, stream=0)["runs"]]
    episodes = [json.dumps(run["episodes"] or run["evaluations"]) for run in runs]  # the latter if it took no steps
    require(
        len(set(episodes)) == len(episodes),
        "seeds behave the same where their environments are the same: draw from trial.rng, trial.generators or "
        "trial.seed",
    )


def evaluation_leaves_training_alone(subject: AlgorithmSubject) -> None:
    """Is training the same, bit for bit, however often the policy is evaluated?

    The harness evaluates when it likes, and saves and restores the global generators around it. A policy that draws
    from ``trial.rng``, changes weights or statistics, or leaves a network in another mode would make results
    depend on how often they are looked at.
    """
    subject.require_deterministic()
    rarely, often = (subject.train(0, points=points) for points in (1, POINTS))
    for one, other in zip(rarely["runs"], often["runs"], strict=True):
        require(one["episodes"] == other["episodes"], "training episodes change with the number of evaluations")
    if not rarely["policy"]["random"]:
        same = rarely["policy"]["actions"] == often["policy"]["actions"]
        require(same, "the learned policy changes with the number of evaluations")


def policy_stands_still_in_evaluation(subject: AlgorithmSubject) -> None:
    """Does the policy act at the end of an evaluation as at its beginning, wherever training goes on?

    A score is of one policy. Where other processes learn, they must leave alone what the policy acts by, until the
    evaluation is over; or the policy takes a copy when its first episodes begin. Skipped where the policy is random.
    """
    report = subject.train(0, points=POINTS, watched=True)
    if report["policy"]["random"]:
        raise CheckSkipped("the policy is random: it answers the same question in different ways")
    require(not report["moved"], f"the policy changed during {report['moved']} of {POINTS + 1} evaluations")


def policy_treats_observations_alone(subject: AlgorithmSubject) -> None:
    """Does the policy act on a batch as on every observation of it alone?

    Several evaluation episodes are played at once, and in lockstep those of all seeds. Actions must not depend
    on the company, nor may the policy write into what it is given. Skipped where the policy is random.
    """
    policies = [subject.train(0)["policy"]]
    if subject.trains_together():
        policies.append(subject.train(*SEEDS)["policy"])
    if any(policy["random"] for policy in policies):
        raise CheckSkipped("the policy is random: it answers the same question in different ways")
    problems = [problem for policy in policies for problem in policy["problems"]]
    require(not problems, "; ".join(problems))


def actions_lie_in_the_space(subject: AlgorithmSubject) -> None:
    """Are all actions, in training and in evaluation, valid ones?

    An environment may clip, wrap around, or crash on anything else, so what such an action does is anybody's guess.
    Rounding to float32 is allowed.
    """
    for observation, action in subject.spaces():
        try:
            outside = subject.train(0, spaces=(observation, action))["outside"]
        except (CheckFailed, ExperimentFailedError):
            continue  # which is for `declared_spaces_train` to report
        require(not outside, f"not in the {action} action space: {', '.join(outside)}")


def declared_spaces_train(subject: AlgorithmSubject) -> None:
    """Can it train with every kind of space it declares?

    Which algorithm meets which environment is decided from the description alone, before anything runs. Tried are
    Box [2] and Discrete observations, Discrete and Box [2] actions; other kinds are taken on trust.
    """
    failures = []
    for observation, action in subject.spaces():
        try:
            subject.train(0, spaces=(observation, action))
        except (CheckFailed, ExperimentFailedError) as error:
            failures.append(f"{observation} observations and {action} actions: {error}")
    require(not failures, "; ".join(failures))


def leaves_nothing_running(subject: AlgorithmSubject) -> None:
    """Are all processes, threads and files that training started or opened gone when it ends?

    What goes on running takes cores from the trials that follow, and spoils their wall-clock times.
    """
    left = subject.train(0)["left"]
    require(not left, f"training leaves {', '.join(left)}")


def process_is_left_as_found(subject: AlgorithmSubject) -> None:
    """Does training leave the state of its process alone?

    As at import, but for the global random generators: they were seeded for this run, and libraries may draw from
    them. Threads and precision are the harness's to set, since comparisons depend on them; warnings are the
    user's to filter. A run on the CPU must not initialise CUDA, which costs time and memory on a GPU that others use.
    """
    changed = subject.train(0)["changed"]
    require(not changed, f"training changes {', '.join(changed)}")


def lockstep_equals_single(subject: AlgorithmSubject) -> None:
    """Does a seed trained among others do what it does alone?

    Lockstep is a way to be faster, not another experiment. Compared are the episodes of the first evaluation, so that
    a policy may draw from `trial.generators` but from nothing that seeds share, and those of the first 150 training
    steps: all alike, returns to a relative 1e-4, since matrix products of another shape may round differently. For
    the same reason, what was learned later is not compared.
    """
    subject.require_deterministic()
    together = subject.train(*SEEDS)["runs"]
    for seed in SEEDS[:2]:
        alone = subject.train(seed)["runs"][0]
        trained = list(zip(_early(together[seed]), _early(alone), strict=False))
        require(trained or subject.spec.dataset, f"no episode ended within {COMPARED} steps")
        pairs_of_all = zip(together[seed]["evaluations"], alone["evaluations"], strict=True)
        evaluated = [pair for pair in pairs_of_all if subject.spec.dataset or pair[0][3] == 0]
        for kind, pairs in (("episode", trained), ("evaluation episode", evaluated)):
            for number, (one, other) in enumerate(pairs):
                same = one[2:] == other[2:] and math.isclose(one[1], other[1], rel_tol=TOLERANCE, abs_tol=TOLERANCE)
                require(same, f"seed {seed}: {kind} {number} differs: {one[1]} together, {other[1]} alone")


def _early(run: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The episodes that end within the steps that are compared."""
    steps = 0
    for episode in run["episodes"]:
        steps += episode[2]
        if steps > COMPARED:
            return
        yield episode
