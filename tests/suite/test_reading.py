import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from harness.api import SuiteSpec
from harness.commands.schema import command as schema
from harness.discovery.selection import SelectionError, parse_selection
from harness.suite.reading import SuiteError, find_suite, load_suite, suite_text
from support.paths import ROOT

SUITES = ROOT / "suites"


def text(
    header: str = "",
    tables: str = "[budget]\nsteps = 100",
    *,
    name: str = "tiny",
    environments: list[str] | None = None,
    seeds: str = "2",
) -> str:
    """A valid suite, with what a test adds or replaces."""
    return f"""
[suite]
name = {json.dumps(name)}
version = "1"
question = "Does it work?"
environments = {json.dumps(environments or ["cartpole", "acrobot"])}
seeds = {seeds}
{header}
{tables}
"""


def problems(suite: str) -> dict[str, str]:
    with pytest.raises(SuiteError) as caught:
        load_suite(suite, origin="tiny.toml")
    assert "tiny.toml" in str(caught.value)
    assert caught.value.exit_code == 2
    return dict(caught.value.problems)


def test_a_minimal_suite_gets_the_documented_defaults():
    suite = load_suite(text())
    assert suite.name == "tiny"
    assert suite.seeds == (0, 1)
    assert suite.devices == ("cpu",)
    assert suite.algorithms == ()
    assert suite.claims == ()
    assert suite.limits.seconds is None
    assert suite.for_environment("cartpole") == (100, 20, 10)


def test_a_suite_cannot_be_changed():
    suite = load_suite(text())
    with pytest.raises(ValueError, match="frozen"):
        suite.name = "other"


def test_overrides_replace_only_what_they_name():
    suite = load_suite(text(tables="[budget]\nsteps = 100\n[environment.acrobot]\nsteps = 300\nepisodes = 2"))
    assert suite.for_environment("cartpole") == (100, 20, 10)
    assert suite.for_environment("acrobot") == (300, 20, 2)


def test_an_environment_may_name_its_contestants():
    here = '[environment.acrobot]\nalgorithms = ["algorithms/dqn"]'
    suite = load_suite(text('algorithms = ["algorithms/dqn", "sb3/dqn"]', f"[budget]\nsteps = 100\n{here}"))
    assert suite.contestants_on("cartpole") == ("algorithms/dqn", "sb3/dqn")
    assert suite.contestants_on("acrobot") == ("algorithms/dqn",)
    assert suite.for_environment("acrobot") == (100, 20, 10)


def test_seeds_are_a_count_or_a_list():
    assert load_suite(text(seeds="3")).seeds == (0, 1, 2)
    assert load_suite(text(seeds="[7, 3]")).seeds == (7, 3)


@pytest.mark.parametrize(
    "seeds", ["0", "10001", "true", "2.0", '"5"', "[]", "[1, 1]", "[-1]", "[true]", "[4294967296]", "2020-01-01"]
)
def test_other_seeds_are_refused(seeds):
    assert next(iter(problems(text(seeds=seeds)))).startswith("suite.seeds")


@pytest.mark.parametrize(
    ("tables", "key"),
    [
        ("[budget]\nsteps = 0", "budget.steps"),
        ("[budget]\nsteps = 1_000_000_000_001", "budget.steps"),
        ("[budget]\nsteps = 1e3", "budget.steps"),
        ("[budget]\nsteps = 100\n[evaluation]\npoints = 10_001", "evaluation.points"),
        ("[budget]\nsteps = 100\n[evaluation]\nepisodes = 100_001", "evaluation.episodes"),
        ("[budget]\nsteps = 100\n[evaluation]\npoints = 101", "evaluation.points"),
        ("[budget]\nsteps = 100\n[environment.acrobot]\nsteps = 5", "evaluation.points"),
        ("[budget]\nsteps = 100\n[environment.acrobt]\nsteps = 50", "environment.acrobt"),
        ("[budget]\nsteps = 100\n[limits]\nseconds = nan", "limits.seconds"),
        ("[budget]\nsteps = 100\n[limits]\nmemory_gib = 0", "limits.memory_gib"),
        ("[budget]\nsteps = 100\n[environment]\nacrobot = 3", "environment.acrobot"),
        ("[budget]\nsteps = 100\n[gate]\ntolerance = 1", "gate.tolerance"),
        ("[budget]\nsteps = 100\n[gate]\nalpha = 0", "gate.alpha"),
        ("[budget]\nsteps = 100\n[gate]\nlooks = [5, 3]", "gate.looks"),
        ("[budget]\nsteps = 100\n[gate]\nlooks = []", "gate.looks"),
        ('[budget]\nsteps = 100\n[gate]\nmeasure = "worst_drop"', "gate.measure"),
    ],
)
def test_absurd_sizes_and_wrong_types_are_refused_by_key(tables, key):
    assert list(problems(text(tables=tables))) == [key]


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/passwd",
        "",
        ".",
        "..",
        ".staging",
        "compact",
        "a/b",
        "a\\b",
        "A",
        "a b",
        "a\n",
        "a\0",
        "ü",
        "a" * 65,
    ],
)
def test_names_that_could_become_other_paths_are_refused(name):
    assert list(problems(text(name=name))) == ["suite.name"]


@pytest.mark.parametrize("name", ["../x", "/cartpole", "a/b/c", "cartpole/", ".staging", "a\0"])
def test_environment_names_that_could_become_other_paths_are_refused(name):
    assert list(problems(text(environments=[name]))) == ["suite.environments[0]"]


@given(st.text(max_size=12) | st.from_regex(r"[a-z0-9./_-]{1,12}", fullmatch=True))
def test_every_accepted_name_stays_inside_the_folder_it_is_joined_to(name):
    try:
        suite = load_suite(text(name=name, environments=[name]))
    except SuiteError:
        return
    home = Path("/results")
    assert (home / suite.name).resolve().parent == home
    assert (home / suite.environments[0]).resolve().is_relative_to(home)


def test_all_problems_are_listed_at_once_with_advice():
    found = problems("""
[suite]
name = "../x"
version = 1
question = "Why?"
environments = ["cartpole"]
sedes = 3
steps = 5
[evaluaton]
""")
    assert found["suite.sedes"] == "unknown key; did you mean 'seeds'?"
    assert found["suite.steps"] == "unknown key; it belongs in [budget]"
    assert found["evaluaton"] == "unknown key; did you mean 'evaluation'?"
    assert found["budget"].startswith("is missing")
    assert "seeds = 5" in found["suite.seeds"]
    assert "suite.name" in found
    assert "not 1" in found["suite.version"]


def test_a_syntax_error_names_its_line():
    assert "line 2" in problems("[suite]\nname = \n")[""]


@pytest.mark.parametrize("content", ["x = " + "[" * 5_000, "x = " + "9" * 5_000, "\0"])
def test_hostile_toml_is_an_error_message(content):
    assert "not TOML" in problems(content)[""]


@given(st.text(max_size=200))
def test_any_text_is_a_suite_or_an_error_message(content):
    with pytest.raises(SuiteError):
        load_suite(content)


@pytest.mark.parametrize("content", [b"\xff", b"#" * (1 << 20) + b"#", None])
def test_a_file_that_cannot_be_read_is_an_error_message(tmp_path, content):
    path = tmp_path / "suite.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SuiteError, match=r"suite\.toml"):
        load_suite(path)


def test_lists_must_not_repeat():
    found = problems(text('algorithms = ["dqn", "dqn"]\ndevices = ["cpu", "cpu"]', environments=["a", "a"]))
    assert set(found) == {"suite.algorithms", "suite.devices", "suite.environments"}


CLAIM = """
[budget]
steps = 100
[[claims]]
statement = "Better."
metric = "online_return"
better = "{better}"
than = "{than}"
environment = "{environment}"
"""


def test_claims_may_only_name_what_the_suite_lists():
    header = 'algorithms = ["algorithms/dqn", "sb3/dqn"]'
    good = CLAIM.format(better="algorithms/dqn", than="sb3/dqn", environment="cartpole")
    assert load_suite(text(header, good)).claims[0].confidence == 0.95
    found = problems(text(header, CLAIM.format(better="dqn", than="ppo", environment="pendulum")))
    assert "did you mean 'algorithms/dqn' or 'sb3/dqn'?" in found["claims[0].better"]
    assert set(found) == {"claims[0].better", "claims[0].than", "claims[0].environment"}


@pytest.mark.parametrize(
    ("lines", "key", "told"),
    [
        ("", "claims[0]", "has nothing to compare with; add one of than, at_least, at_most"),
        ("at_least = 1\nat_most = 2", "claims[0]", "has at_least and at_most; keep one of than, at_least, at_most"),
        ('than = "ppo"\nat_least = 1', "claims[0]", "has than and at_least; keep one of than, at_least, at_most"),
        ("at_least = 1\nmargin = 2", "claims[0].margin", "is of a comparison by than; make it part of at_least"),
        ("at_least = nan", "claims[0].at_least", "finite"),
        ("at_lest = 1", "claims[0].at_lest", "did you mean 'at_least'?"),
    ],
)
def test_a_claim_compares_with_one_contestant_or_one_number(lines, key, told):
    claim = CLAIM.format(better="dqn", than="ppo", environment="cartpole").replace('than = "ppo"', lines)
    assert told in problems(text('algorithms = ["dqn", "ppo"]', claim))[key]


@pytest.mark.parametrize("metric", ["worst_quarter", "spread", "steps_to_threshold", "worst_drop", "diagnostic_loss"])
def test_only_mean_returns_have_bounds_beside_a_number(metric):
    claim = CLAIM.format(better="dqn", than="ppo", environment="cartpole").replace('than = "ppo"', "at_most = 20_000")
    found = problems(text('algorithms = ["dqn", "ppo"]', claim.replace("online_return", metric)))
    told = f"{metric} is for two contestants; a number is held against final_score, online_return, area_under_curve"
    assert found == {"claims[0].metric": told}


def test_contestants_of_an_environment_are_of_the_suite_and_claims_are_about_them():
    header = 'algorithms = ["algorithms/dqn", "sb3/dqn"]'
    claim = CLAIM.format(better="algorithms/dqn", than="sb3/dqn", environment="cartpole")
    here = "[environment.cartpole]\nalgorithms = ['{}']\n[[claims]]"
    found = problems(text(header, claim.replace("[[claims]]", here.format("sb3/dqn"))))
    assert found == {"claims[0].better": "'algorithms/dqn' does not compete on 'cartpole'"}
    found = problems(text(header, claim.replace("[[claims]]", here.format("dqn"))))
    assert "did you mean 'algorithms/dqn' or 'sb3/dqn'?" in found["environment.cartpole.algorithms"]


@pytest.mark.parametrize(
    ("metric", "hint"),
    [("final_scores", "did you mean 'final_score'?"), ("elegance", "one of final_score, online_return")],
)
def test_a_claim_compares_a_measure_that_is_defined(metric, hint):
    claim = CLAIM.format(better="dqn", than="ppo", environment="cartpole")
    found = problems(text('algorithms = ["dqn", "ppo"]', claim.replace("online_return", metric)))
    assert hint in found["claims[0].metric"]

    logged = claim.replace("online_return", "diagnostic_max_value")
    assert load_suite(text('algorithms = ["dqn", "ppo"]', logged)).claims[0].metric == "diagnostic_max_value"


def test_a_claim_may_spell_a_selection_differently():
    header = 'algorithms = ["dqn[gamma=0.9, tau=1.0]", "ppo"]'
    claim = CLAIM.format(better="dqn[tau=1.0,gamma=0.90]", than="ppo", environment="cartpole")
    suite = load_suite(text(header, claim))
    assert suite.claims[0].better == suite.algorithms[0]


def test_a_claim_compares_two_algorithms():
    claim = CLAIM.format(better="dqn", than="dqn", environment="cartpole")
    assert "itself" in problems(text('algorithms = ["dqn"]', claim))["claims[0]"]


def test_selections_are_read():
    selection = parse_selection(" algorithms/dqn:paper[learning_rate=1e-3, epsilon.until=0.3, hidden=[64, 64]] ")
    assert (selection.id, selection.preset) == ("algorithms/dqn", "paper")
    assert selection.overrides == {"learning_rate": 1e-3, "epsilon": {"until": 0.3}, "hidden": [64, 64]}
    assert selection.variant == ":paper[epsilon.until=0.3, hidden=[64, 64], learning_rate=0.001]"
    assert parse_selection("dqn").variant == ""


@pytest.mark.parametrize(
    "selection",
    [
        "", "../dqn", "a/b/c", "dqn:", "dqn:../x", "dqn[", "dqn[]", "dqn[a=1", "dqn[a]", "dqn[a=b]", "dqn[a=1} # ]",
        "dqn[a=1}\nb={x=1]", "dqn[a=1, a=2]", "dqn\0", "dqn[" + "a" * 2_000 + "=1]", "dqn[a=" + "[" * 900 + "]",
    ],
)  # fmt: skip
def test_unreadable_selections_are_refused(selection):
    with pytest.raises(SelectionError):
        parse_selection(selection)
    assert list(problems(text(f"algorithms = [{json.dumps(selection)}]"))) == ["suite.algorithms[0]"]


@given(st.text(max_size=30))
def test_text_in_brackets_is_read_or_refused(inside):
    try:
        selection = parse_selection(f"dqn[{inside}]")
    except SelectionError:
        return
    assert selection.id == "dqn"


@dataclass(frozen=True)
class Registry:
    """As much of a registry as finding a suite needs."""

    spec: SuiteSpec

    def resolve(self, kind: str, name: str) -> SimpleNamespace:
        assert (kind, name) == ("suite", self.spec.name)
        return SimpleNamespace(spec=self.spec)


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A package that carries tiny.toml."""
    package = tmp_path / "carries_a_suite"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tiny.toml").write_text(text())
    monkeypatch.syspath_prepend(tmp_path)
    return "carries_a_suite:tiny.toml"


def test_a_suite_is_found_by_file_or_by_registered_name(packaged, tmp_path):
    registry = Registry(SuiteSpec("tiny", packaged))
    assert find_suite("tiny", registry) == find_suite(str(tmp_path / "carries_a_suite/tiny.toml"), registry)


def test_a_registered_suite_has_the_name_in_its_file(packaged):
    with pytest.raises(SuiteError, match="make them the same"):
        find_suite("huge", Registry(SuiteSpec("huge", packaged)))


@pytest.mark.parametrize("resource", ["no_such_package_at_all:tiny.toml", "carries_a_suite:absent.toml"])
def test_a_missing_resource_is_an_error_message(packaged, resource):
    with pytest.raises(SuiteError, match="cannot be read"):
        suite_text(SuiteSpec("tiny", resource))


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.toml")), ids=lambda path: path.stem)
def test_standard_suites_are_valid_and_open_with_their_question(path):
    assert load_suite(path).name == path.stem
    assert "?" in path.read_text().partition("[suite]")[0]


def test_the_schema_describes_every_key():
    result = CliRunner().invoke(schema)
    tables = json.loads(result.output)
    for table in tables["$defs"].values():
        for key, declaration in table["properties"].items():
            assert declaration.get("description"), key
    seeds = tables["$defs"]["Header"]["properties"]["seeds"]["anyOf"]
    assert [form["type"] for form in seeds] == ["integer", "array"]
