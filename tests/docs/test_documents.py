"""The documents: every command works, every link leads somewhere, samples train, generated parts are up to date."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pandas as pd
import pytest

from harness.analysis.results import Results, load
from harness.api import EnvironmentSpec
from harness.measuring.training import run_training
from support import documents
from support.documents import DOCUMENTS, name_of
from support.paths import ROOT
from support.results import ENVIRONMENTS, Environment, Run, write_runs
from support.trial import local_trial

README, GUIDE = ROOT / "README.md", ROOT / "docs" / "plugin-author-guide.md"
CLUSTERS = ROOT / "docs" / "clusters.md"
CLAIMS, CATALOGUE = ROOT / "docs" / "claims.md", ROOT / "docs" / "catalogue.md"
CARTPOLE = EnvironmentSpec("cartpole", "CartPole-v1")

# Commands that no test here runs: why, the file that runs them instead, and what is to be found there.
ELSEWHERE = {
    r"pip install -r requirements\.txt && harness run quickstart": [
        ("installs from a package index", "tox.ini", r"-r requirements\.txt"),
        ("trains for a minute", "tests/wheels.sh", r"harness run quickstart"),
    ],
    r"pip install tox && tox": [("is what runs this test", ".ci/run", r"pip install .*tox && tox")],
    r"pip install -r requirements\.txt -e plugins/example -e plugins/slurm pytest .*": [
        (
            "installs from a package index",
            "tox.ini",
            r"-r requirements\.txt\n +-e plugins/example\n +-e plugins/slurm\n",
        )
    ],
    r"tox( -e (lint|types|tests|plugins))?( -- -k meter)?": [
        ("is what runs this test", "tox.ini", r"env_list = lint, types, tests, plugins")
    ],
    r"tox -e (gate|rliable)": [
        ("measure; they are no tests", "tox.ini", rf"\[testenv:{name}\]") for name in ("gate", "rliable")
    ],
    r"tox -e bench": [("measures; neither passes nor fails", "tox.ini", r"\[testenv:bench\]")],
    r"python tests/learn/fixed_memory\.py": [
        ("takes a quarter of an hour", "tests/learn/test_fixed_memory.py", r"import fixed_memory")
    ],
    r"python docs/speedup\.py results/claims-parallel": [
        ("needs results that take a quarter of an hour", "tests/docs/test_speedup.py", r"speedup\.draw\(")
    ],
    r"tox -e learn": [("takes hours", "tests/learn/test_judge.py", r"judge\.main\(")],
    r"pip install -r requirements\.txt": [("installs from a package index", "tox.ini", r"-r requirements\.txt")],
    r"pip install -e plugins/slurm": [("installs a plugin", "tox.ini", r"-e plugins/slurm")],
    r"harness run quickstart --executor slurm .*--detach": [
        ("needs a cluster", "tests/plugins/slurm/test_slurm.py", r"run\(suite, slurm, .*\"--detach\"")
    ],
    r"harness collect results/quickstart": [
        ("needs a cluster", "tests/plugins/slurm/test_slurm.py", r"\[\"collect\", str\(RESULTS\)\]")
    ],
    r"harness check executor slurm": [
        ("needs a cluster", "tests/plugins/slurm/test_slurm.py", r"executor_checks\(ExecutorSubject\(\"slurm/slurm\"")
    ],
    r"pip install -e plugins/ray 'ray\[client\]'": [
        ("installs a plugin", "tox.ini", r"-e plugins/ray\n +ray\[client\]")
    ],
    r"harness (run quickstart --executor|check executor) ray.*": [
        ("needs a cluster", "tests/plugins/ray/test_ray.py", r"\"--executor\", \"ray\""),
        ("needs a cluster", "tests/plugins/ray/test_ray.py", r"\"check\", \"executor\", \"ray\""),
    ],
    r"harness check 'algorithms/gorila\[backend=\"processes\"\]'": [
        (
            "takes half a minute",
            "tests/plugins/algorithms/test_gorila.py",
            r"algorithm_checks\('algorithms/gorila\[backend=\"processes\"\]'\)",
        )
    ],
    r"harness run quickstart -e cartpole -a 'algorithms/gorila\[backend=\"ray\"\]'": [
        ("needs Ray", "tests/plugins/ray/test_roles.py", r"GORILA = gorila\.Config\(\n +backend=\"ray\"")
    ],
    r"ray start --head": [("starts a cluster", "tests/plugins/ray/test_ray.py", r"initialize_head=True")],
    r"pip install -e plugins/mujoco": [("installs a plugin", "tox.ini", r"-e plugins/mujoco")],
    r"python plugins/environments/measure_random_scores\.py --of harness_mujoco": [
        ("takes some minutes", "tests/plugins/environments/test_catalogue.py", r"measure_random_scores\.py")
    ],
    r"pip install -e plugins/games": [("installs a plugin", "requirements.txt", r"-e plugins/games")],
    r"python plugins/environments/measure_random_scores\.py --of harness_games": [
        ("takes some minutes", "tests/plugins/environments/test_catalogue.py", r"measure_random_scores\.py")
    ],
    r"python plugins/games/measure_reference\.py": [
        ("takes half a minute", "tests/plugins/games/test_environments.py", r"measure_reference")
    ],
    r"pip install -e plugins/example": [("installs a plugin", "tox.ini", r"-e plugins/example")],
    r"pip install -e (\.|harness-climber)": [
        ("installs a plugin", "tests/wheels.sh", r"pip install .*harness-climber")
    ],
    r"harness claims (claims-value|quickstart)": [
        ("judges runs that take a while", "tests/verdicts/test_claims.py", r"harness claims|\"claims\"")
    ],
    r"harness gate quickstart --base \S+ --head \S+": [
        ("judges runs of a whole suite", "tests/verdicts/test_gate.py", r"\"gate\"")
    ],
    r"harness gate quickstart --base-ref main( --speed)?": [
        ("trains both sides", "tests/commands/test_gate_commits.py", r"--base-ref")
    ],
    r"harness check climber": [("takes as long as the example's", "tests/wheels.sh", r"harness check climber")],
    r"python -m build harness-climber": [("builds a wheel", "tests/wheels.sh", r"python -m build --wheel")],
    r"twine upload .*": [("publishes", "tests/docs/test_documents.py", "twine")],
    r"python docs/generate\.py( results/quickstart)?": [
        ("writes README.md", "tests/docs/test_documents.py", r"generate\.generated\(")
    ],
    r"python plugins/environments/measure_random_scores\.py": [
        ("takes minutes", "tests/plugins/environments/test_catalogue.py", r"measure_random_scores\.py")
    ],
    r"python plugins/environments/measure_push_box_reference\.py": [
        ("takes ten seconds", "tests/plugins/environments/test_push_box.py", r"measure_push_box_reference")
    ],
    r"python plugins/environments/measure_pendulum_reference\.py": [
        ("takes minutes", "plugins/environments/README.md", r"measure_pendulum_reference\.py")
    ],
}


def elsewhere(command: str) -> list[tuple[str, str, str]] | None:
    return next((proofs for form, proofs in ELSEWHERE.items() if re.fullmatch(form, command)), None)


COMMANDS = sorted({command for path in DOCUMENTS for command in documents.commands(path)})


@pytest.fixture(scope="module")
def generate() -> types.ModuleType:
    """The script docs/generate.py as a module."""
    location = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    return module


def shell(command: str, folder: Path, *import_paths: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody would who copies it from a document."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(map(str, import_paths)),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        ["bash", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few stored runs of quickstart, and the plugin that the guide begins with."""
    folder = tmp_path_factory.mktemp("workplace")
    runs = [
        Run(algorithm, seed=seed, suite="quickstart")
        for algorithm in ("algorithms/ppo:cartpole", "sb3/dqn", "sb3/ppo:cartpole")
        for seed in range(3)
    ]
    for results in ("quickstart", "before", "after"):
        write_runs(folder / "results" / results, runs)
    assert shell("harness new algorithm climber", folder).returncode == 0
    project = tomllib.loads((folder / "harness-climber" / "pyproject.toml").read_text())["project"]
    info = folder / "harness-climber" / "harness_climber-0.1.0.dist-info"  # as pip would leave it
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [f"{name} = {value}" for name, value in project["entry-points"]["harness"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[harness]", *points]))
    return folder


@pytest.mark.parametrize("command", [command for command in COMMANDS if elsewhere(command) is None])
def test_command_works(command: str, workplace: Path, tmp_path: Path):
    if command.startswith("harness new"):
        done = shell(command, tmp_path)
    else:  # `plan` reads the same arguments as `run`, and resolves them without training
        planned = command if "--dry-run" in command else re.sub(r"^harness run\b", "harness plan", command)
        done = shell(planned, workplace, workplace / "harness-climber")

    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_every_command_that_is_not_run_here_is_run_where_the_list_says():
    for form, proofs in ELSEWHERE.items():
        assert any(re.fullmatch(form, command) for command in COMMANDS), f"no document has {form}"
        for reason, place, trace in proofs:
            assert re.search(trace, (ROOT / place).read_text(encoding="utf-8")), (form, reason, place)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_block_of_commands_is_marked_as_one(path: Path):
    for language, text in documents.blocks(path):
        looks_like_one = re.search(r"^(harness|pip|tox|python|pytest) ", text, re.MULTILINE)
        assert language == "sh" or not looks_like_one, text


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(path: Path):
    for link in documents.links(path):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert not anchor or anchor in documents.anchors(target), link


def test_messages_that_the_guide_to_clusters_explains_are_said():
    sources = [path for place in ("harness", "plugins/ray", "plugins/slurm") for path in (ROOT / place).rglob("*.py")]
    texts = " ".join(re.sub(r"\{[^{}]*\}", "...", path.read_text(encoding="utf-8")) for path in sources)
    messages = [message for message, _ in documents.table(CLUSTERS, "message", "what to do")]

    assert len(messages) > 10
    assert [message for message in messages if message not in texts] == []


def test_set_up_is_the_two_lines():
    set_up = re.findall(r"^```sh\n(.*?)^```$", documents.section(README, "Set-up"), re.MULTILINE | re.DOTALL)

    assert [block.partition("#")[0].strip() for block in set_up] == [
        "pip install -r requirements.txt && harness run quickstart",
        "pip install tox && tox",
    ]


def test_the_smallest_plugin_is_the_example():
    shown = documents.section(README, "The smallest plugin")
    files = re.findall(r"^`([\w.]+)`(?: names| describes|;|:| learns)", shown, re.MULTILINE)
    samples = re.findall(r"^```(?:toml|python)\n(.*?)^```$", shown, re.MULTILINE | re.DOTALL)

    assert files == ["harness_example.py", "harness_example_hill_climbing.py"] and len(samples) == 3
    for name, sample in zip(["pyproject.toml", *files], samples, strict=True):
        assert sample in (ROOT / "plugins" / "example" / name).read_text("utf-8")


@pytest.mark.parametrize("path", [README, GUIDE, CLAIMS, CATALOGUE], ids=name_of)
def test_generated_parts_are_up_to_date(generate: types.ModuleType, path: Path):
    assert generate.generated(path) == path.read_text(encoding="utf-8"), "run python docs/generate.py"


def test_publishing_makes_stored_runs_the_reference(
    generate: types.ModuleType, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(generate, "REFERENCE", tmp_path / "reference")
    monkeypatch.setattr(generate, "FIGURE", tmp_path / "figure.svg")
    write_runs(
        tmp_path / "runs", [Run(seed=seed, suite="quickstart", scores=(20.0, 480.0, 489.5 + seed)) for seed in range(4)]
    )

    generate.publish(tmp_path / "runs")
    shown = generate.quickstart().splitlines()
    online = load(tmp_path / "runs").episodes.groupby("key", observed=True)["return"].mean().mean()

    sign = "−" if online < 0 else ""
    assert f"| cartpole | `q_learning` | 4/4 | 491 | 208 to 496 | 0.98 | 4/4 | {sign}{abs(online):.3g} | 8 |" in shown
    assert "Seeds 0, 1, 2, 3; 20,000 steps per run; 5 episodes per evaluation." in shown
    assert "<svg" in (tmp_path / "figure.svg").read_text()


def samples(marker: str) -> list[str]:
    """Blocks of Python in the guide that contain a text."""
    return [text for language, text in documents.blocks(GUIDE) if language == "python" and marker in text]


def loaded(text: str, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A sample as a module."""
    module = types.ModuleType("sample")
    monkeypatch.setitem(sys.modules, "sample", module)
    exec(compile(text, str(GUIDE), "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("text", samples("class Config"), ids=["library", "lockstep"])
def test_algorithms_of_the_guide_train_to_the_budget(text: str, monkeypatch: pytest.MonkeyPatch):
    module = loaded(text, monkeypatch)
    seeds = (0, 1) if "make_lockstep_env" in text else (0,)
    trial = local_trial(CARTPOLE, seeds, budget=300, points=2, episodes=2)

    run_training(trial, module.train, module.Config())

    assert trial.steps == 300


def test_the_figure_of_the_guide_is_drawn(workplace: Path, monkeypatch: pytest.MonkeyPatch):
    (text,) = samples("def episode_lengths")
    results: Results = load(workplace / "results" / "quickstart")

    figure = loaded(text, monkeypatch).episode_lengths(results)

    assert len(figure.axes[0].lines) == 3


def test_descriptions_of_the_guide_stand():
    import harness.api

    descriptions = [text for text in samples("Spec(") if re.match(r"\w+Spec\(", text)]

    assert len(descriptions) == 5
    for text in descriptions:
        eval(text, vars(harness.api).copy())


def test_a_suite_is_published_an_environment_at_a_time_and_what_is_there_of_others_stays(
    generate: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Claims on other environments keep their verdicts; another version of the suite begins anew."""
    monkeypatch.setattr(generate, "REFERENCE", tmp_path / "reference")
    acrobot, cartpole, cliff, *_ = ENVIRONMENTS
    reference = tmp_path / "reference" / "claims"
    claims = [{"environment": each.name, "statement": f"It learns {each.name}"} for each in (acrobot, cartpole, cliff)]

    def publish(folder: str, *environments: Environment, version: str = "1") -> list[str]:
        runs = [Run(suite="claims", environment=each, seed=seed) for each in environments for seed in range(2)]
        write_runs(tmp_path / folder, runs)
        if version != "1":
            for path in (tmp_path / folder).glob("*/run.json"):
                path.write_text(path.read_text().replace('"version": "1"', f'"version": "{version}"'))
        told = {each.name for each in environments}
        judged = [{**claim, "verdict": "holds" if claim["environment"] in told else "not judged"} for claim in claims]
        monkeypatch.setattr(generate, "_verdicts", lambda suite, results: judged)
        generate.publish(tmp_path / folder)
        tables = [pd.read_csv(reference / f"{name}.csv") for name in generate.TABLES]
        assert all(set(table["environment"]) == set(tables[0]["environment"]) for table in tables)
        facts = json.loads((reference / "provenance.json").read_text())
        assert facts["environment"] == sorted(tables[0]["environment"].unique())
        return facts["environment"]

    def verdicts() -> list[str]:
        return pd.read_csv(reference / "claims.csv")["verdict"].tolist()

    assert publish("a", acrobot) == ["acrobot"]
    assert publish("b", cartpole) == ["acrobot", "cartpole"]
    assert verdicts() == ["holds", "holds", "not judged"]
    assert publish("c", cartpole, acrobot) == ["acrobot", "cartpole"]
    assert publish("d", cliff, version="2") == ["cliff-walking"]
    assert verdicts() == ["not judged", "not judged", "holds"]
