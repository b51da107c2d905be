"""Every check catches what it is there to catch, and a plugin that keeps the contract passes them all."""

import importlib
import json
import math
import sys

import pytest

from harness import testing
from harness.__main__ import main
from harness.api import AlgorithmSpec, EnvironmentSpec, Score
from harness.conformance import environments as conformance_environments
from harness.conformance.algorithms import AlgorithmSubject, algorithm_checks
from harness.conformance.check import Check, CheckFailed, CheckSkipped
from harness.conformance.checks import checks_of, checks_of_kinds
from harness.conformance.environments import EnvironmentSubject, environment_checks
from harness.conformance.laboratory import ExperimentFailedError, Laboratory
from harness.contract.errors import MissingPlugin, UsageError
from harness.discovery.registry import Registry
from harness.testing import ConformanceWarning, parametrize_with_checks
from support.paths import FIXTURES

GOOD_MODULE = """
from dataclasses import dataclass
@dataclass(frozen=True)
class Config:
    speed: float = 1.0
def train(trial, config): ...
"""


@pytest.fixture(scope="module")
def fixtures():
    """The fixture modules, importable here and in laboratories."""
    sys.path.insert(0, str(FIXTURES))
    yield
    sys.path.remove(str(FIXTURES))


@pytest.fixture(scope="module")
def laboratories(fixtures):
    """One laboratory for every module, kept for all tests."""
    kept: dict[str, Laboratory] = {}
    yield lambda name: kept.setdefault(name, Laboratory(seconds=60))
    for laboratory in kept.values():
        laboratory.close()


def failures(checks, names=None):
    """Reasons of the failed checks among ``names``, or of all checks, by name."""
    outcomes = [check.outcome() for check in checks if names is None or check.name in names]
    assert names is None or {outcome.check for outcome in outcomes} == set(names)
    return {outcome.check: outcome.reason for outcome in outcomes if outcome.status == "fail"}


# Algorithms


@pytest.fixture
def algorithm(laboratories):
    """The checks of the fixture algorithm with a fault, or in lockstep."""

    def checks(fault="", target="broken_algorithm", **declared):
        both = {"observation_spaces": ("Box", "Discrete"), "action_spaces": ("Discrete", "Box")}
        spaces = {} if target == "broken_lockstep" else both
        spec = AlgorithmSpec("it", target, "1", **{**spaces, **declared})
        return algorithm_checks(AlgorithmSubject("test/it", spec, ({"fault": fault},), laboratories(target)))

    return checks


def test_an_algorithm_that_keeps_the_contract_passes_every_check(algorithm):
    assert {check.outcome().status for check in algorithm()} == {"pass"}


@pytest.mark.parametrize(
    ("fault", "caught_by", "reason"),
    [
        ("early", "spends_the_budget_exactly", "returned after 101 of 200 steps"),
        ("no policy", "spends_the_budget_exactly", "policy was not set"),
        ("crash", "spends_the_budget_exactly", "killed by SIGABRT"),
        ("exit", "spends_the_budget_exactly", "SystemExit: bye"),
        ("free steps", "learns_from_what_is_counted", "50 steps were taken beside the meter"),
        ("unseeded", "same_seed_same_episodes", "different episodes"),
        ("order of a set", "same_seed_same_episodes", "the order of sets differed"),
        ("seed fixed", "other_seed_other_behaviour", "seeds behave the same"),
        ("policy draws", "evaluation_leaves_training_alone", "number of evaluations"),
        ("policy learns", "evaluation_leaves_training_alone", "number of evaluations"),
        ("policy moves", "policy_stands_still_in_evaluation", "the policy changed during"),
        ("first row only", "policy_treats_observations_alone", "one at a time"),
        ("batch statistics", "policy_treats_observations_alone", "one at a time"),
        ("policy writes", "policy_treats_observations_alone", "writes into the observations"),
        ("outside", "actions_lie_in_the_space", "not in the Discrete action space"),
        ("Box only", "declared_spaces_train", "Discrete observations and Discrete actions: TypeError"),
        ("child", "leaves_nothing_running", "process"),
        ("thread", "leaves_nothing_running", "thread left-behind"),
        ("file", "leaves_nothing_running", "left-open"),
        ("directory", "process_is_left_as_found", "the working directory"),
        ("environment variable", "process_is_left_as_found", "environment variables"),
        ("threads", "process_is_left_as_found", "torch's thread count"),
        ("dtype", "process_is_left_as_found", "torch's default dtype"),
        ("anomaly", "process_is_left_as_found", "torch's anomaly mode"),
        ("warnings", "process_is_left_as_found", "warning filters"),
    ],
)
def test_a_broken_algorithm_is_caught(algorithm, fault, caught_by, reason):
    assert reason in failures(algorithm(fault), [caught_by])[caught_by]


def test_drawing_from_seeded_global_generators_in_training_is_allowed(algorithm):
    assert not failures(algorithm("global random"), ["same_seed_same_episodes", "process_is_left_as_found"])


def test_questions_that_do_not_arise_are_skipped(algorithm):
    skipped = {
        (check.name, check.outcome().reason.partition(":")[0])
        for check in [*algorithm("random policy"), *algorithm("", deterministic=False)]
        if check.name in ("policy_treats_observations_alone", "same_seed_same_episodes")
        and check.outcome().status == "skip"
    }
    assert skipped == {
        ("policy_treats_observations_alone", "the policy is random"),
        ("same_seed_same_episodes", "it is declared as not deterministic"),
    }


def test_an_algorithm_without_a_toy_is_not_trained(algorithm):
    outcomes = {check.name: check.outcome() for check in algorithm(observation_spaces=("Dict",))}
    assert outcomes["spends_the_budget_exactly"].status == "skip"
    assert outcomes["configuration_is_valid"].status == "pass"


def test_a_lockstep_algorithm_that_keeps_the_contract_passes_every_check(algorithm):
    checks = algorithm(target="broken_lockstep", lockstep=True)
    assert {check.name: check.outcome().status for check in checks}["lockstep_equals_single"] == "pass"
    assert not failures(checks)


def test_a_policy_may_draw_from_the_streams_of_its_seeds(algorithm):
    assert not failures(algorithm("policy at random", target="broken_lockstep", lockstep=True))


@pytest.mark.parametrize(
    ("fault", "caught_by", "reason"),
    [
        ("policy of global numbers", "lockstep_equals_single", "evaluation episode 0 differs"),
        ("shared stream", "lockstep_equals_single", "seed 0: episode"),
        ("mean over seeds", "lockstep_equals_single", "together"),
        ("leak", "policy_treats_observations_alone", "depend on observations of other seeds"),
        ("same stream", "other_seed_other_behaviour", "seeds behave the same"),
    ],
)
def test_a_broken_lockstep_algorithm_is_caught(algorithm, fault, caught_by, reason):
    checks = algorithm(fault, target="broken_lockstep", lockstep=True)
    assert reason in failures(checks, [caught_by])[caught_by]


def test_an_algorithm_that_catches_the_end_of_its_budget_is_given_up(fixtures):
    spec = AlgorithmSpec("it", "broken_algorithm", "1")
    laboratory = Laboratory(seconds=4)
    checks = algorithm_checks(AlgorithmSubject("test/it", spec, ({"fault": "deaf"},), laboratory))
    caught = failures(checks, ["spends_the_budget_exactly"])
    laboratory.close()
    assert caught == {"spends_the_budget_exactly": "it took longer than 4 s"}


IMPORT, CONFIG = "import_has_no_side_effects", "configuration_is_valid"
MODULES = {  # what a module does beyond a good one, the check that sees it, and what it says
    "directory": ("import os; os.chdir('/')", IMPORT, "the working directory"),
    "variable": ("import os; os.environ['X_Y'] = '1'", IMPORT, "environment variables"),
    "path": ("import sys; sys.path.append('/nowhere')", IMPORT, "sys.path"),
    "python": ("import random; random.seed(1)", IMPORT, "Python's global random state"),
    "numpy": ("import numpy; numpy.random.rand()", IMPORT, "NumPy's global random state"),
    "torch": ("import torch; torch.manual_seed(1)", IMPORT, "torch's global random state"),
    "threads": ("import torch; torch.set_num_threads(2)", IMPORT, "torch's thread count"),
    "dtype": ("import torch; torch.set_default_dtype(torch.float64)", IMPORT, "torch's default dtype"),
    "warnings": ("import warnings; warnings.simplefilter('ignore')", IMPORT, "warning filters"),
    "thread": ("import threading as t; t.Timer(60, print).start()", IMPORT, "thread Thread"),
    "raises": ("raise RuntimeError('no')", IMPORT, "RuntimeError: no"),
    "exits": ("import os; os._exit(3)", IMPORT, "it ended its process"),
    "thawed": ("@dataclass\nclass Config:\n  x: int = 1", CONFIG, "must be frozen"),
    "bare": ("@dataclass(frozen=True)\nclass Config:\n  x: int", CONFIG, "needs a default"),
    "plain": ("class Config: pass", CONFIG, "must be a dataclass"),
    "absent": ("del Config", CONFIG, "has no attribute 'Config'"),
}


@pytest.fixture(scope="module")
def module_laboratory(tmp_path_factory):
    """A laboratory that can import every module of the table."""
    folder = tmp_path_factory.mktemp("modules")
    for name, (code, _, _) in MODULES.items():
        (folder / f"broken_module_{name}.py").write_text(f"{GOOD_MODULE}\n{code}\n")
    sys.path.insert(0, str(folder))
    laboratory = Laboratory()
    yield laboratory
    laboratory.close()
    sys.path.remove(str(folder))


@pytest.mark.parametrize("name", MODULES)
def test_a_broken_module_is_caught(module_laboratory, name):
    _, caught_by, reason = MODULES[name]
    spec = AlgorithmSpec("it", f"broken_module_{name}", "1")
    checks = algorithm_checks(AlgorithmSubject("test/it", spec, (), module_laboratory))
    assert reason in failures(checks, [caught_by])[caught_by]


@pytest.mark.parametrize("value", [3, math.nan, (1,), {1: 2}])
def test_a_preset_that_does_not_fit_is_caught(algorithm, value):
    caught = failures(algorithm(presets={"odd": {"fault": value}}), [CONFIG])
    assert "preset 'odd'" in caught[CONFIG]


@pytest.mark.parametrize(
    ("declared", "reason"), [({"requires": (object(),)}, "no JSON form"), ({"requires": ("a package",)}, "'a package'")]
)
def test_a_description_that_cannot_travel_is_caught(algorithm, declared, reason):
    caught = failures(algorithm(**declared), ["description_is_valid"])
    assert reason in caught["description_is_valid"]


# Environments


@pytest.fixture
def environment(laboratories):
    def checks(fault="", **declared):
        spec = EnvironmentSpec(
            **{
                "name": "walk",
                "id": "broken/Walk-v0",
                "imports": ("broken_environment",),
                "kwargs": {"fault": fault},
                "random_score": Score(5.0, 0.05, 1_000, "10 steps, half of them up"),
                **declared,
            }
        )
        return environment_checks(EnvironmentSubject("test/walk", spec, laboratories("environments")))

    return checks


def test_an_environment_that_keeps_the_contract_passes_every_check(environment):
    assert {check.outcome().status for check in environment()} == {"pass"}


@pytest.mark.parametrize(
    ("fault", "caught_by", "reason"),
    [
        ("seed ignored", "passes_check_env", "AssertionError"),
        ("wrong dtype", "passes_check_env", "AssertionError"),
        ("wrong dtype", "spaces_are_truthful", "step 0: observation"),
        ("later outside", "spaces_are_truthful", "step 5: observation"),
        ("reward", "spaces_are_truthful", "step 5: the reward is nan"),
        ("flags", "spaces_are_truthful", "step 5: 0 is no boolean"),
        ("unseeded", "same_seed_same_trajectory", "two copies differ at step 1"),
        ("global random", "same_seed_same_trajectory", "two copies differ at step 1"),
        ("order of a set", "same_trajectory_whatever_the_order_of_sets", "the order of a set"),
        ("second reset unseeded", "same_seed_same_trajectory", "two copies differ at step"),
    ],
)
def test_a_broken_environment_is_caught(environment, fault, caught_by, reason):
    assert reason in failures(environment(fault), [caught_by])[caught_by]


@pytest.mark.parametrize(
    ("declared", "caught_by", "reason"),
    [
        ({"id": "broken/Endless-v0"}, "episodes_have_a_limit", "has no time limit"),
        ({"id": "broken/Unknown-v0"}, "episodes_have_a_limit", "Unknown"),
        (
            {"wrappers": ("broken_environment:Unlimited",)},
            "episodes_have_a_limit",
            "no episode ended within its limit of 10 steps",
        ),
        ({"random_score": Score(6.0, 0.05, 1_000)}, "random_score_holds", "6 is declared"),
        ({"random_score": Score(6.0)}, "random_score_holds", "standard errors away"),
        ({"lowest_return": 4.5}, "random_score_holds", "lowest_return is 4.5, but an episode returned"),
        ({"highest_return": 5.5}, "random_score_holds", "highest_return is 5.5, but an episode returned"),
        ({"imports": ("broken_imports",)}, "import_has_no_side_effects", "environment variables"),
        ({"requires": (object(),)}, "description_is_valid", "no JSON form"),
    ],
)
def test_a_broken_declaration_is_caught(environment, declared, caught_by, reason):
    assert reason in failures(environment(**declared), [caught_by])[caught_by]


def array_check(laboratories, module):
    spec = EnvironmentSpec("line", "broken/Line-v0", imports=("broken_arrays",), array=f"broken_arrays.{module}")
    checks = environment_checks(EnvironmentSubject("test/line", spec, laboratories("arrays")))
    return next(check for check in checks if check.name == "array_is_the_same_mdp").outcome()


def test_array_functions_that_keep_the_contract_pass(laboratories):
    assert array_check(laboratories, "right").status == "pass"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("no_state_of", "has no function state_of"),
        ("successor", "have another successor"),
        ("reward", "have another reward"),
        ("termination", "have another termination"),
        ("clipped", "have another successor"),
        ("observation", "observe must give torch.float32"),
        ("wider", "distributed unlike"),
        ("dependent", "distributed unlike"),
        ("ambient", "global generator"),
        ("beside", "seeds would depend on the seeds beside them"),
        ("in_place", "in place"),
        ("shared", "successor and reward share memory"),
    ],
)
def test_array_functions_that_are_not_the_mdp_are_caught(laboratories, module, reason):
    outcome = array_check(laboratories, module)
    assert outcome.status == "fail"
    assert reason in outcome.reason


def test_the_check_of_array_functions_is_asked_where_there_are_any(environment):
    assert "array_is_the_same_mdp" not in {check.name for check in environment()}


def test_a_rare_return_missing_from_the_sample_is_no_mistake(environment):
    """As in FrozenLake, where 300 episodes may all fail."""
    rare = Score(4.9, 0.03, 1_000)  # a declared spread larger than the sample's
    assert not failures(environment(random_score=rare), ["random_score_holds"])


def test_a_return_beyond_its_bound_by_rounding_alone_is_no_mistake(monkeypatch):
    returns = [-5.000000000000002, -4.0, -4.5]  # the first as a sum of fifty times -0.1 can be
    monkeypatch.setattr(conformance_environments, "_random_returns", lambda env: returns)
    spec = EnvironmentSpec("tenths", "CartPole-v1", random_score=Score(-4.5, 0.3, 3), lowest_return=-5.0)
    conformance_environments.random_score_holds(spec)
    returns[0] = -5.001
    with pytest.raises(CheckFailed, match=r"lowest_return is -5\.0, but an episode returned -5\.001"):
        conformance_environments.random_score_holds(spec)


def test_an_environment_without_a_random_score_is_not_measured(environment):
    outcomes = {check.name: check.outcome() for check in environment(random_score=None)}
    assert outcomes["random_score_holds"].status == "skip"


def test_a_wrapper_that_does_not_record_its_arguments_is_no_fault(environment):
    (check,) = (
        check
        for check in environment(wrappers=(("broken_environment:Plain", {"offset": 0.0}),))
        if check.name == "passes_check_env"
    )
    assert check.outcome().status == "pass"


def test_what_close_raises_is_a_remark(environment):
    outcomes = {check.name: check.outcome() for check in environment("close")}
    assert {outcome.status for name, outcome in outcomes.items() if name != "passes_check_env"} == {"pass"}
    assert outcomes["passes_check_env"].status == "warn"
    assert "its close() raised RuntimeError('not connected')" in outcomes["passes_check_env"].reason


def test_warnings_of_check_env_are_a_remark(laboratories):
    spec = EnvironmentSpec("cartpole", "CartPole-v1")
    checks = environment_checks(EnvironmentSubject("test/cartpole", spec, laboratories("environments")))
    remark = next(check for check in checks if check.name == "passes_check_env").outcome()
    assert remark.status == "warn"
    assert "A Box observation space" in remark.reason
    assert "\x1b" not in remark.reason


# Plugins and suites


FIGURES = """
from harness.api import FigureSpec, hookimpl
API = 1
@hookimpl
def harness_figures():
    for target in {targets}:
        yield FigureSpec(target.partition(":")[2].strip("_"), "It", target)
"""


def test_a_plugin_that_keeps_the_contract_passes_every_check(install, capsys):
    install("good", FIGURES.format(targets=["harness.analysis.metrics:final_score"]))
    assert main(["check", "dist-good", "--json"]) == 0
    statuses = {row["check"]: row["status"] for row in json.loads(capsys.readouterr().out)}
    assert statuses.keys() == {
        "loads_without_complaint",
        "imports_light",
        "import_has_no_side_effects",
        "targets_resolve",
    }
    assert statuses.pop("imports_light") in ("pass", "warn")  # a slow machine is worth a remark
    assert set(statuses.values()) == {"pass"}


@pytest.mark.parametrize(
    ("code", "caught"),
    [
        ("API = 2", {"loads_without_complaint": "written for API 2"}),
        ("raise OSError('gone')", {"loads_without_complaint": "gone", "imports_light": "OSError: gone"}),
        (
            "import os; os.environ['X_Y'] = '1'\n"
            + FIGURES.format(targets=["harness.analysis.metrics:nothing", "harness.analysis.metrics:__name__"]),
            {
                "import_has_no_side_effects": "environment variables",
                "targets_resolve": "no attribute 'nothing'; name: harness.analysis.metrics:__name__ is no function",
            },
        ),
        (
            "import torch\nAPI = 1\ndef harness_suites(): return []",
            {"loads_without_complaint": "not marked @hookimpl", "imports_light": "it imports torch"},
        ),
    ],
)
def test_a_broken_plugin_is_caught(install, code, caught):
    install("bad", code)
    found = failures(checks_of("bad", Registry.load()))
    assert found.keys() == caught.keys()
    assert all(reason in found[name] for name, reason in caught.items())


def test_the_command_prints_a_table_and_what_failed_checks_ask(install, capsys):
    install("bad", "API = 2")
    assert main(["check", "bad"]) == 1
    captured = capsys.readouterr()
    header, first, _ = captured.out.splitlines()
    assert header.split() == ["SUBJECT", "CHECK", "RESULT", "REASON"]
    assert first.split()[:3] == ["bad", "loads_without_complaint", "fail"]
    assert "loads_without_complaint asks: Does it load" in captured.err


def test_a_name_that_nothing_has_is_a_usage_error(capsys):
    assert main(["check", "no-such-thing"]) in (2, 4)
    assert "no-such-thing" in capsys.readouterr().err


SUITE = """
[suite]
name = "{name}"
version = "1"
question = "Is it checked?"
environments = [{environments}]
algorithms = [{algorithms}]
seeds = [0]
[budget]
steps = 100
[evaluation]
points = 1
episodes = 1
"""
SHIPPING = """
from harness.api import SuiteSpec, hookimpl
API = 1
@hookimpl
def harness_suites():
    yield SuiteSpec("it", "fake_suite_files:it.toml")
"""


@pytest.mark.parametrize(
    ("name", "environments", "algorithms", "caught"),
    [
        ("it", "'treasure'", "'q_learning'", {}),
        ("it", "'treasure'", "", {}),
        ("it", "'treasure'", "'q_learning', 'dqn'", {"everybody_takes_part": "nothing can run of algorithms/dqn"}),
        (
            "it",
            "'treasure'",
            "'unheard-of'",
            {"suite_can_be_planned": "unheard-of", "everybody_takes_part": "unheard-of"},
        ),
        (
            "other",
            "'treasure'",
            "'q_learning'",
            dict.fromkeys(("suite_is_valid", "suite_can_be_planned", "everybody_takes_part"), "make them the same"),
        ),
    ],
)
def test_a_suite_is_checked(install, tmp_path, name, environments, algorithms, caught):
    install("shipping", SHIPPING)
    package = tmp_path / "site-packages" / "fake_suite_files"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "it.toml").write_text(SUITE.format(name=name, environments=environments, algorithms=algorithms))
    importlib.invalidate_caches()
    registry = Registry.load(only={"shipping", "algorithms", "environments"})
    found = failures(checks_of_kinds("shipping/it", registry, ["suite"]))
    assert found.keys() == caught.keys()
    assert all(reason in found[check] for check, reason in caught.items())


# Names


def subjects(name):
    return list(dict.fromkeys(check.subject for check in checks_of(name, Registry.load())))


def test_a_plugin_stands_for_everything_it_provides():
    assert subjects("example") == ["example", "example/hill-climbing"]
    assert subjects("harness-example") == ["example", "example/hill-climbing"]
    assert "environments/treasure" in subjects("environments")


def test_an_algorithm_may_be_configured():
    chosen = "q_learning:tutorial[learning_rate=0.5]"
    assert subjects(chosen) == [f"algorithms/{chosen}"]
    assert subjects("treasure") == ["environments/treasure"]


@pytest.mark.parametrize(
    ("name", "error"), [("q_learning:nothing", UsageError), ("nothing/it", MissingPlugin), ("a b", UsageError)]
)
def test_a_name_that_stands_for_nothing_is_an_error(name, error):
    with pytest.raises(error):
        checks_of(name, Registry.load())


def test_what_lacks_a_package_is_skipped_with_its_name(install):
    install(
        "needy",
        "from harness.api import AlgorithmSpec, hookimpl\nAPI = 1\n@hookimpl\ndef harness_algorithms():\n"
        "    yield AlgorithmSpec('it', 'nowhere', '1', requires=('unheard-of>=3',))",
    )
    (check,) = checks_of("needy/it", Registry.load())
    outcome = check.outcome()
    assert (outcome.status, outcome.reason) == ("skip", "it needs unheard-of>=3")


# In pytest


def synthetic(name, answer):
    def ask():
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Check("test/it", name, "?", ask)


def test_checks_become_parameters_with_expected_failures():
    mark = parametrize_with_checks(
        [synthetic("good", None), synthetic("bad", CheckFailed("it is"))], expected_failures={"bad": "known"}
    ).mark
    good, bad = mark.args[1]
    assert (mark.args[0], good.id, bad.id) == ("check", "test/it-good", "test/it-bad")
    assert not good.marks
    assert [(m.name, m.kwargs["reason"], m.kwargs["strict"]) for m in bad.marks] == [("xfail", "known", True)]
    good.values[0]()
    with pytest.raises(CheckFailed, match="it is"):
        bad.values[0]()


def test_skips_and_remarks_are_those_of_pytest():
    skipped, remarked = parametrize_with_checks(
        [synthetic("skipped", CheckSkipped("why")), synthetic("remarked", "slow")]
    ).mark.args[1]
    with pytest.raises(pytest.skip.Exception, match="why"):
        skipped.values[0]()
    with pytest.warns(ConformanceWarning, match="test/it: remarked: slow"):
        remarked.values[0]()


@pytest.mark.parametrize("checks", [[], [synthetic("good", None)]])
def test_an_expected_failure_of_no_check_is_an_error(checks):
    with pytest.raises(ValueError, match="misspelt"):
        parametrize_with_checks(checks, {"misspelt": "?"})


def test_no_checks_at_all_are_an_error():
    with pytest.raises(ValueError, match="none were given"):
        parametrize_with_checks([])


# The laboratory


def test_an_experiment_is_performed_once_and_its_error_repeated():
    laboratory = Laboratory()
    with pytest.raises(ExperimentFailedError, match="ModuleNotFoundError"):
        laboratory.perform("no.such.module:function")
    with pytest.raises(ExperimentFailedError, match="ModuleNotFoundError"):
        laboratory.perform("no.such.module:function")
    assert isinstance(laboratory.perform("os:getpid"), int)
    assert laboratory.perform("os:getpid") == laboratory.perform("os:getpid")
    laboratory.close()


@parametrize_with_checks(testing.algorithm_checks("example/hill-climbing"))
def test_the_example_keeps_the_contract(check):
    check()
