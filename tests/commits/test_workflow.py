"""The workflow that plugin authors copy: every command of it is run, on its plugin in a repository of its own.

Substituted, since tests have no network: `install` is what pip leaves behind in an environment that sees this one, and
the base commit is built by a backend of the standard library in place of setuptools. The suite is a smaller one.
The steps with `uses:` are GitHub's and are not run.
"""

import ast
import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from xml.etree import ElementTree

import pytest

from support.checkout import git
from support.documents import blocks
from support.paths import ROOT
from support.workflow import read

EXAMPLE = ROOT / "plugins" / "example"
GUIDE = ROOT / "docs" / "plugin-author-guide.md"
WORKFLOW = ".github/workflows/ci.yml"
DISTRIBUTION = "harness_example-0.1.0.dist-info"
SETUPTOOLS = 'requires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
STANDARD_LIBRARY = 'requires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
METADATA = "Metadata-Version: 2.1\nName: harness-example\nVersion: 0.1.0\n"
ENTRY_POINTS = "[harness]\nexample = harness_example\n"
BACKEND = f'''
import zipfile
from pathlib import Path

def build_wheel(folder, settings=None, metadata=None):
    files = {{path.name: path.read_text() for path in Path.cwd().glob("harness_example*.py")}}
    files["{DISTRIBUTION}/METADATA"] = {METADATA!r}
    files["{DISTRIBUTION}/entry_points.txt"] = {ENTRY_POINTS!r}
    files["{DISTRIBUTION}/WHEEL"] = "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files["{DISTRIBUTION}/RECORD"] = "".join(f"{{name}},,\\n" for name in [*files, "{DISTRIBUTION}/RECORD"])
    name = "harness_example-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(Path(folder) / name, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
'''
SUITE = """
[suite]
name = "small"
version = "1"
question = "Does hill climbing learn as before?"
environments = ["cartpole"]
algorithms = ["example/hill-climbing"]
seeds = 5
[budget]
steps = 1_500
[evaluation]
points = 3
episodes = 3
[gate]
looks = [5]
"""


def steps() -> dict[str, dict[str, str]]:
    """The steps of the workflow that have a name."""
    (job,) = workflow()["jobs"].values()
    return {step["name"]: step for step in job["steps"] if "name" in step}


def workflow() -> dict[str, dict]:
    return read((EXAMPLE / WORKFLOW).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as a repository of its own, its branch ``work`` checked out as for a pull request to ``main``."""
    place = tmp_path_factory.mktemp("work") / "plugin"
    place.mkdir()
    git(place, "init", "--quiet", "--initial-branch=main")
    for name in git(EXAMPLE, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes((EXAMPLE / name).read_bytes())
    project = (place / "pyproject.toml").read_text()
    assert SETUPTOOLS in project
    (place / "pyproject.toml").write_text(project.replace(SETUPTOOLS, STANDARD_LIBRARY))
    (place / "backend.py").write_text(BACKEND)
    (place / "small.toml").write_text(SUITE)
    commit(place, "the plugin as it is")
    git(place, "update-ref", "refs/remotes/origin/main", "main")
    git(place, "checkout", "--quiet", "-b", "work")
    return place


def commit(place: Path, message: str) -> None:
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message", message)


@pytest.fixture(scope="module")
def binaries(repository: Path) -> Path:
    """What `pip install -e .` makes of an environment that sees every package of this one."""
    environment = repository.parent / "environment"
    venv.create(environment, symlinks=True)
    packages = next(environment.glob("lib/*/site-packages"))
    outer = [Path(path) for path in dict.fromkeys(sysconfig.get_paths()[key] for key in ("purelib", "platlib"))]
    seen = [f"import site; site.addsitedir({str(path)!r})" for path in outer]
    (packages / "outer.pth").write_text("\n".join(seen) + "\n")
    (packages / "__editable__.harness_example.pth").write_text(f"{repository}\n")
    info = packages / DISTRIBUTION
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (info / "RECORD").write_text(f"__editable__.harness_example.pth,,\n{info.name}/METADATA,,\n")
    (info / "direct_url.json").write_text(json.dumps({"url": repository.as_uri(), "dir_info": {"editable": True}}))
    python = environment / "bin" / Path(sys.executable).name
    if not python.exists():
        python.symlink_to("python")
    for command, module, function in (("harness", "harness.__main__", "main"), ("pytest", "pytest", "console_main")):
        script = environment / "bin" / command
        script.write_text(f"#!{python}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
        script.chmod(0o755)
    return environment / "bin"


def run(step: str, repository: Path, binaries: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does: by bash, with the workflow's variables and those of a pull request."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "HARNESS"))},
        **workflow()["env"],
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "GITHUB_BASE_REF": "main",
        "GITHUB_STEP_SUMMARY": str(repository.parent / "summary.md"),
        **variables,
    }
    line = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps()[step]["run"]]
    return subprocess.run(line, cwd=repository, env=environment, capture_output=True, text=True, timeout=280)


@pytest.mark.parametrize(
    "document",
    [
        "a: 1\na: 2",
        "a:\n  b: 1\n    c: 2",
        "a: {b: 1}",
        "a: &anchor b",
        "a: b: c",
        "a: >\n  folded",
        "a: @b",
        "- a",
        "a:\n  - b\n  c: d",
        "a: 1\n\tb: 2",
    ],
)
def test_what_the_reader_of_workflows_does_not_know_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match=r"line|understood"):
        read(document)


def test_the_guide_shows_the_workflow_as_it_is() -> None:
    (shown,) = [block.text for block in blocks(GUIDE) if block.language == "yaml"]

    assert shown == (EXAMPLE / WORKFLOW).read_text(encoding="utf-8")


def test_the_guide_shows_the_benchmarks_as_the_example_has_them() -> None:
    (shown,) = [block.text for block in blocks(GUIDE) if "measure_training" in block.text]
    ours = ast.parse((EXAMPLE / "tests" / "test_speed.py").read_text(encoding="utf-8"))

    for node in ast.walk(ours):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
            del node.body[0]
    assert ast.unparse(ast.parse(shown)) == ast.unparse(ours).replace("'example'", "'climber'")


def test_it_is_all_history_that_is_fetched_and_nothing_that_may_be_written() -> None:
    (job,) = workflow()["jobs"].values()
    checkout, *_ = (step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@"))

    assert checkout["with"] == {"fetch-depth": "0", "persist-credentials": "false"}
    assert workflow()["permissions"] == {"contents": "read"}


def test_no_expression_of_github_is_pasted_into_a_shell() -> None:
    assert not [name for name, step in steps().items() if "${{" in step.get("run", "")]


def test_what_the_steps_write_is_uploaded_whatever_they_found() -> None:
    written = [
        word
        for step in steps().values()
        for word in step.get("run", "").replace("=", " ").split()
        if word.endswith((".json", ".xml"))
    ]
    upload = steps()["keep what was found"]

    assert upload["with"]["path"].split() == written
    assert upload["if"] == "always()"


def test_what_is_installed_is_what_the_steps_need() -> None:
    command, *words = steps()["install"]["run"].split()
    project = (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")

    assert (command, words) == ("pip", ["install", "-e", ".", "harness-environments", "pytest", "pytest-benchmark"])
    assert '"rl-harness' in project


def test_check_finds_the_contract_kept(repository: Path, binaries: Path) -> None:
    done = run("check", repository, binaries)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "example/hill-climbing" in done.stdout
    assert "fail" not in done.stdout


def test_benchmark_measures_training_and_acting(repository: Path, binaries: Path) -> None:
    done = run("benchmark", repository, binaries)

    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads((repository / "results" / "benchmark.json").read_text())["benchmarks"]
    assert [bench["name"] for bench in measured] == [
        "test_training_speed[example/hill-climbing]",
        "test_acting_speed[example/hill-climbing]",
    ]
    assert all(bench["extra_info"]["steps_per_second"] > 0 for bench in measured)
    assert len(ElementTree.parse(repository / "results" / "tests.xml").findall(".//testcase")) == 2


def change(repository: Path, *replacements: tuple[str, str]) -> None:
    """Change the algorithm and commit that to the branch, which begins anew at ``main``."""
    git(repository, "reset", "--quiet", "--hard", "main")
    module = repository / "harness_example_hill_climbing.py"
    text = module.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    module.write_text(text)
    commit(repository, "a change")


def test_gate_passes_a_change_of_a_comment_as_identical(repository: Path, binaries: Path) -> None:
    change(repository, ("# standard deviation of", "# the standard deviation of"))
    done = run("gate", repository, binaries, SUITE="small.toml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((repository / "results" / "gate.json").read_text())["outcome"] == "passed (identical)"
    assert not ElementTree.parse(repository / "results" / "gate.xml").findall(".//failure")
    assert "identical" in (repository.parent / "summary.md").read_text()
    assert git(repository, "status", "--porcelain") == ""


def test_gate_stops_a_change_after_which_nothing_is_learned(repository: Path, binaries: Path) -> None:
    change(
        repository,
        ("trial.policy, record = linear(best,", "trial.policy, record = linear(0 * best,"),
        ("best, record, trial.policy = changed, total, policy", "best, record = changed, total"),
    )
    done = run("gate", repository, binaries, SUITE="small.toml")

    assert done.returncode == 1, done.stdout + done.stderr
    assert json.loads((repository / "results" / "gate.json").read_text())["outcome"] == "regressed"
    assert ElementTree.parse(repository / "results" / "gate.xml").findall(".//failure")
    assert "regressed" in (repository.parent / "summary.md").read_text()


def test_gate_lets_a_raised_version_through_and_says_that_it_compared_nothing(repository: Path, binaries: Path) -> None:
    git(repository, "reset", "--quiet", "--hard", "main")
    module = repository / "harness_example.py"
    text = module.read_text()
    assert text.count('version="1"') == 1
    module.write_text(text.replace('version="1"', 'version="2"'))
    commit(repository, "it learns otherwise now")
    done = run("gate", repository, binaries, SUITE="small.toml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((repository / "results" / "gate.json").read_text())["outcome"] == "nothing to compare"
    assert "algorithm version 1 and 2" in (repository.parent / "summary.md").read_text()


@pytest.mark.parametrize("code", range(6))
def test_the_job_of_a_gate_ends_as_the_gate_does_unless_it_compared_nothing(tmp_path: Path, code: int) -> None:
    command = tmp_path / "harness"
    command.write_text(f"#!/bin/sh\nexit {code}\n")
    command.chmod(0o755)
    done = run("gate", tmp_path, tmp_path)

    assert done.returncode == (0 if code == 5 else code)
