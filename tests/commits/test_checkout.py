"""The base commit is what runs as the base, and the person's checkout stays as it was."""

import json
import os
import signal
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from harness.commits import checkout
from harness.commits.checkout import CheckoutError, NoBaseError, checked_out, merge_base, repository, working_tree
from harness.contract.errors import ExitCode
from support.checkout import NAME, commit, git, heed_ctrl_c, install_editable, make_repository, worktrees

VALUE = "import fake_gated; print(fake_gated.VALUE, fake_gated.__file__)"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def gated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository of one plugin that is installed here as editable."""
    place = make_repository(tmp_path / "repository")
    packages = tmp_path / "site-packages"
    install_editable(place, packages)
    monkeypatch.syspath_prepend(str(packages))
    known = [*site.getsitepackages(), str(packages)]
    monkeypatch.setattr(site, "getsitepackages", lambda: known)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))  # where no other test makes anything
    monkeypatch.chdir(place)
    yield place


def state(place: Path) -> tuple[str, str, str, list[str]]:
    """What must not change in a checkout: HEAD, what differs from it, branches, files."""
    files = sorted(str(path.relative_to(place)) for path in place.rglob("*") if ".git" not in path.parts)
    return (
        git(place, "rev-parse", "--symbolic-full-name", "HEAD"),
        git(place, "status", "--porcelain=v2"),
        git(place, "for-each-ref"),
        files,
    )


def temporary_checkouts() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("harness-gate-*"))


def test_the_base_runs_its_own_code_from_an_environment_of_its_own_and_leaves_the_checkout_alone(
    gated: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    (gated / "fake_gated.py").write_text("VALUE = 3  # not committed\n")
    (gated / "new.txt").write_text("new")
    monkeypatch.setenv("PYTHONPATH", str(gated))  # as who runs tests from a checkout has it
    before, others = state(gated), temporary_checkouts()
    with checked_out(gated, merge_base(gated, "main"), cache) as base:
        assert worktrees(gated) == 2
        said = subprocess.run(
            base.command("-c", VALUE), cwd=base.folder, env=base.variables(), capture_output=True, text=True, check=True
        ).stdout.split()
        assert said[0] == "1"
        assert Path(said[1]).is_relative_to(cache / base.name / "environment")
        assert (base.folder / "fake_gated.py").read_text() == "VALUE = 1\n"
        outer = next((cache / base.name / "environment").glob(f"lib/*/*/{checkout.OUTER_PATHS}")).read_text()
        assert str(gated.parent / "site-packages") in outer
        assert str(gated) not in outer.splitlines()  # the line by which the working tree is on the path
        libraries = "import numpy, torch; import harness; print(numpy.__file__)"
        assert not subprocess.run(
            base.command("-c", libraries), cwd=base.folder, env=base.variables(), check=False
        ).returncode
    assert state(gated) == before
    assert worktrees(gated) == 1
    assert temporary_checkouts() == others


def test_an_installed_base_is_not_installed_again(gated: Path, cache: Path, monkeypatch: pytest.MonkeyPatch):
    base_commit = git(gated, "rev-parse", "main")
    with checked_out(gated, base_commit, cache) as base:
        made = base.python.parent.parent.stat().st_mtime_ns
    monkeypatch.setattr(checkout, "_install", lambda *_: pytest.fail("installed again"))
    with checked_out(gated, base_commit, cache) as again:
        assert again.name == base.name
        assert again.python.parent.parent.stat().st_mtime_ns == made


def test_trap_two_gates_that_install_one_base_at_once_share_what_the_first_has_made(
    gated: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    base_commit = git(gated, "rev-parse", "main")
    with checked_out(gated, base_commit, cache) as base:
        made = base.python.parent.parent
    elsewhere, outer_paths = made.with_name("elsewhere"), checkout._outer_paths
    made.rename(elsewhere)

    def beaten(replaced):
        elsewhere.rename(made)
        return outer_paths(replaced)

    monkeypatch.setattr(checkout, "_outer_paths", beaten)
    with checked_out(gated, base_commit, cache) as again:
        assert again.python == base.python
    assert [path.name for path in made.parent.iterdir()] == [made.name]


def test_a_module_that_shines_through_is_refused(gated: Path, cache: Path):
    base_commit = git(gated, "rev-parse", "main")
    with checked_out(gated, base_commit, cache) as base:
        packages = next(base.python.parent.parent.glob("lib/*/site-packages"))
    (packages / "fake_gated.py").rename(packages / "moved")
    (packages / "aaa.pth").write_text(f"{gated}\n")
    with (
        pytest.raises(CheckoutError, match=r"would not be what runs(.|\n)*fake_gated: .*repository"),
        checked_out(gated, base_commit, cache),
    ):
        pytest.fail("the working tree ran as the base")
    (packages / "moved").rename(packages / "fake_gated.py")
    (packages / "aaa.pth").unlink()
    assert worktrees(gated) == 1


def test_the_worktree_is_removed_after_a_failure(gated: Path, cache: Path):
    others = temporary_checkouts()
    with pytest.raises(ZeroDivisionError), checked_out(gated, git(gated, "rev-parse", "main"), cache):
        _ = 1 / 0
    assert (worktrees(gated), temporary_checkouts()) == (1, others)


def test_a_commit_that_does_not_install_is_an_error_and_leaves_nothing_behind(gated: Path, tmp_path: Path):
    others = temporary_checkouts()
    (gated / "backend.py").write_text("raise SystemExit('no compiler here')")
    broken = commit(gated, "VALUE = 4\n")
    with pytest.raises(CheckoutError, match="cannot be installed"), checked_out(gated, broken, tmp_path / "c"):
        pytest.fail("ran all the same")
    assert not list((tmp_path / "c").glob("*/environment*"))
    assert (worktrees(gated), temporary_checkouts()) == (1, others)


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
def test_the_worktree_is_removed_when_the_gate_is_interrupted(gated: Path, cache: Path, kill: signal.Signals):
    code = f"""
import signal, sys, time
from pathlib import Path
sys.path.insert(0, {str(gated.parent / "site-packages")!r})
from harness.commits.checkout import checked_out
signal.signal(signal.SIGTERM, signal.default_int_handler)
with checked_out(Path({str(gated)!r}), {git(gated, "rev-parse", "main")!r}, Path({str(cache)!r})) as base:
    print(base.folder, flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert folder.is_dir()
    assert worktrees(gated) == 2
    process.send_signal(kill)
    process.wait(30)
    assert process.returncode != 0
    assert not folder.parent.exists()
    assert worktrees(gated) == 1


def test_a_git_hook_neither_misleads_git_nor_runs(
    gated: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    hook = gated / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))  # as git sets it for a pre-push hook
    assert repository(gated) == gated
    monkeypatch.delenv("GIT_DIR")
    with checked_out(gated, git(gated, "rev-parse", "main"), cache):
        assert not (tmp_path / "hook-ran").exists()


def test_the_name_of_a_state_changes_with_everything_that_is_code_and_with_nothing_else(gated: Path):
    results = gated / "results"
    results.mkdir()

    def name() -> str:
        return working_tree(gated, results).name

    clean = name()
    (results / "run.json").write_text("{}")
    assert name() == clean
    (gated / "helper.py").write_text("X = 1\n")
    untracked = name()
    (gated / "helper.py").write_text("X = 2\n")
    assert len({clean, untracked, name()}) == 3
    (gated / "helper.py").unlink()
    (gated / "fake_gated.py").write_text("VALUE = 5\n")
    assert name() != clean
    git(gated, "checkout", "--quiet", "--", ".")
    assert name() == clean
    commit(gated, "VALUE = 6\n")
    assert name() != clean


def test_the_name_of_a_state_changes_with_an_editable_library_outside_the_repository(gated: Path, tmp_path: Path):
    folder = tmp_path / "elsewhere"
    module = folder / "library.py"
    facts = tmp_path / "site-packages" / "library-1.0.dist-info"
    for path, text in (
        (module, "VALUE = 1\n"),
        (facts / "METADATA", "Metadata-Version: 2.1\nName: library\nVersion: 1.0\n"),
        (facts / "direct_url.json", json.dumps({"url": folder.as_uri(), "dir_info": {"editable": True}})),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    before = working_tree(gated, tmp_path).name

    (folder / ".#library.py").symlink_to("somebody@host.1")  # an editor's lock leads nowhere
    assert working_tree(gated, tmp_path).name == before
    module.write_text("VALUE = 22\n", encoding="utf-8")
    assert working_tree(gated, tmp_path).name != before


def test_what_python_leaves_beside_a_module_that_it_imports_is_no_change(gated: Path, tmp_path: Path):
    before = working_tree(gated, tmp_path).name
    (gated / "__pycache__").mkdir()
    (gated / "__pycache__" / "fake_gated.cpython-311.pyc").write_bytes(b"bytecode")

    assert working_tree(gated, tmp_path).name == before


def test_an_unknown_ref_is_an_error_that_suggests_the_remote_branch(gated: Path, tmp_path: Path):
    with pytest.raises(CheckoutError, match="--base-ref trunk: no such branch"):
        merge_base(gated, "trunk")
    git(tmp_path, "clone", "--quiet", str(gated), "copy")
    with pytest.raises(CheckoutError, match="Did you mean 'origin/main'"):
        merge_base(tmp_path / "copy", "main")


def test_a_ref_is_never_taken_for_an_option(gated: Path):
    with pytest.raises(CheckoutError, match="no such branch"):
        merge_base(gated, "--all")


def test_histories_without_a_common_commit_are_an_error(gated: Path):
    git(gated, "checkout", "--quiet", "--orphan", "island")
    commit(gated, "VALUE = 7\n")
    with pytest.raises(CheckoutError, match="no commit in common"):
        merge_base(gated, "main")


def test_a_shallow_clone_is_told_to_fetch_its_history(gated: Path, tmp_path: Path):
    git(gated, "checkout", "--quiet", "main")
    commit(gated, "VALUE = 8\n")
    git(tmp_path, "clone", "--quiet", "--depth=1", "--no-single-branch", gated.as_uri(), "shallow")
    with pytest.raises(CheckoutError, match=r"fetch-depth: 0"):
        merge_base(tmp_path / "shallow", "origin/work")
    with pytest.raises(CheckoutError, match=r"fetch-depth: 0"):
        merge_base(tmp_path / "shallow", git(gated, "rev-parse", "main~1"))


def test_outside_a_repository_there_is_no_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(CheckoutError, match="needs a git repository"):
        repository(tmp_path)


def test_a_repository_of_which_nothing_is_installed_is_refused(tmp_path: Path):
    place = make_repository(tmp_path / "other")
    with (
        pytest.raises(CheckoutError, match=r"nothing in this environment is installed from .*pip install -e"),
        checked_out(place, git(place, "rev-parse", "main"), tmp_path / "cache"),
    ):
        pytest.fail("something ran")


def test_a_project_that_did_not_exist_at_the_base_is_named(gated: Path, tmp_path: Path):
    git(gated, "checkout", "--quiet", "--orphan", "first")
    git(gated, "rm", "--quiet", "-r", "--cached", ".")
    git(gated, "commit", "--quiet", "--allow-empty", "--message", "empty")
    with (
        pytest.raises(NoBaseError, match=f"none of {NAME} yet: there is nothing to compare") as caught,
        checked_out(gated, git(gated, "rev-parse", "first"), tmp_path / "cache"),
    ):
        pytest.fail("something ran")
    assert caught.value.exit_code == ExitCode.NOTHING_RAN


@pytest.mark.parametrize("builder", ["packaging", "nobody-has-this"])
def test_no_index_is_asked_for_a_builder_that_is_installed_here(gated, tmp_path, monkeypatch, builder: str):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    project = gated / "pyproject.toml"
    project.write_text(project.read_text().replace("requires = []", f'requires = ["{builder}"]'))
    base = commit(gated, "VALUE = 5\n")
    offline = pytest.raises(CheckoutError, match="cannot be installed") if builder != "packaging" else nullcontext()
    with offline, checked_out(gated, base, tmp_path / "cache") as code:
        assert code.commit == base


def test_the_file_that_output_goes_into_is_no_change_of_the_code(gated: Path):
    code = (
        "from harness.commits.checkout import uncommitted; from pathlib import Path;"
        "print(uncommitted(Path.cwd(), Path('nowhere')))"
    )
    with (gated / "gate.log").open("w") as log:
        subprocess.run([sys.executable, "-c", code], cwd=gated, stdout=log, stderr=log, check=True)
    assert (gated / "gate.log").read_text() == "\n"


def test_what_runs_as_a_side_has_pinned_threads_and_nobody_elses_paths(gated: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", os.sep)
    variables = working_tree(gated, gated / "results").variables()
    assert "PYTHONPATH" not in variables
    assert {variables[name] for name in ("OMP_NUM_THREADS", "PYTHONSAFEPATH")} == {"1"}
    assert variables["PYTHONHASHSEED"] == "0"
