"""Plugins that are broken in every way a plugin can be, each of which must cost nobody but itself."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.contract.errors import ExitCode, MissingPlugin
from harness.discovery import guests
from harness.discovery.plugins import Plugin
from harness.discovery.registry import Registry
from support.fake_distributions import ALGORITHM, Install, write_distribution

GOOD = ALGORITHM.format(name="good", module="fake_dist_good")


def load(*names: str) -> tuple[Registry, dict[str, Plugin]]:
    """A registry of the fakes alone; what else is installed on this machine is nobody's business here."""
    registry = Registry.load(only=frozenset(names))
    return registry, {plugin.distribution: plugin for plugin in registry.plugins if plugin.answers_to(set(names))}


def test_a_good_plugin_is_ok_and_its_ids_start_with_its_name(install: Install):
    install("good", GOOD, version="2.5")
    registry, plugins = load("good")
    good = plugins["dist-good"]
    assert (good.status, good.version, good.target, good.error) == ("ok", "2.5", "fake_dist_good", "")
    assert list(registry.algorithms) == ["good/good"]
    assert registry.algorithms["good/good"].plugin is good


def test_listing_does_not_import_the_code_of_an_algorithm(install: Install):
    install("good", GOOD)  # whose target does not even exist
    load("good")
    assert "fake_dist_good_code" not in sys.modules


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("raise ValueError('torn')", "failed", "ValueError: torn"),
        ("def broken(:", "failed", "SyntaxError: invalid syntax"),
        ("import sys; sys.exit(3)", "failed", "it called sys.exit(3)"),
        ("raise BaseException('no')", "failed", "BaseException: no"),
        ("raise GeneratorExit", "failed", "GeneratorExit"),
        ("raise KeyboardInterrupt", "failed", "KeyboardInterrupt"),
        ("import os; os._exit(0)", "failed", "it called sys.exit(0)"),
        ("import a_module_nobody_has.part", "unavailable", "needs a_module_nobody_has"),
        ("from harness.api import nonsense", "failed", "ImportError: cannot import name 'nonsense'"),
        ("class Rude(Exception):\n  def __str__(self): raise OSError\nraise Rude", "failed", "Rude"),
        ("", "incompatible", "does not say API = 1"),
        ("API = 2", "incompatible", "pip install --upgrade rl-harness"),
        ("API = 0", "incompatible", "pip install --upgrade dist-bad"),
        ("API = '1'", "incompatible", "is written for API '1', and this harness has API 1"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_a_row_and_the_others_work(
    install: Install, code: str, status: str, error: str
):
    install("bad", code)
    install("good", GOOD)
    registry, plugins = load("bad", "good")
    bad = plugins["dist-bad"]
    assert bad.status == status
    assert error in bad.error
    assert "\n" not in bad.error
    assert "Traceback" in bad.traceback
    assert not bad.provides
    assert list(registry.algorithms) == ["good/good"]


LOOPS = {
    "in Python": "while True: pass",
    "in the system": "import time; time.sleep(600)",
    "for a terminal": "import os; os.read(os.pipe()[0], 1)",
    "catching exceptions": "import time\nwhile True:\n  try: time.sleep(600)\n  except Exception: pass",
    "in a hook": "from harness.api import hookimpl\nAPI = 1\n@hookimpl\ndef harness_suites():\n  while True: pass",
}


@pytest.mark.parametrize("code", LOOPS.values(), ids=LOOPS)
def test_a_plugin_that_does_not_return_is_a_row_and_the_others_work(install: Install, monkeypatch, code: str):
    monkeypatch.setattr(guests, "LOAD_SECONDS", 0.2)
    install("bad", code)
    install("good", GOOD)
    registry, loaded = load("bad", "good")
    assert (loaded["dist-bad"].status, loaded["dist-bad"].error) == ("failed", "it took longer than 0.2 s")
    assert list(registry.algorithms) == ["good/good"]


def program(folder: Path, code: str) -> "subprocess.CompletedProcess[str]":
    """``harness list algorithms`` with one plugin, to which a fifth of a second is given."""
    write_distribution(folder, "bad", code)
    line = "from harness.discovery import guests; guests.LOAD_SECONDS = 0.2\n"
    line += "from harness.commands import cli; raise SystemExit(cli.main(['list', 'algorithms']))"
    environment = {**os.environ, "PYTHONPATH": str(folder), "HARNESS_PLUGINS": "bad"}
    return subprocess.run([sys.executable, "-c", line], env=environment, capture_output=True, text=True, timeout=60)


def test_a_plugin_that_catches_whatever_would_stop_it_ends_the_program_by_its_name(tmp_path: Path):
    ended = program(tmp_path, "import time\nwhile True:\n  try: time.sleep(600)\n  except BaseException: pass")
    assert ended.returncode == ExitCode.MISSING
    assert ended.stderr.startswith("harness: plugin 'bad' took longer than 0.2 s")
    assert "leave it out with -p no:NAME" in ended.stderr


def test_a_plugin_that_crashes_the_program_is_shown(tmp_path: Path):
    ended = program(tmp_path, "import ctypes\nctypes.string_at(0)")
    assert ended.returncode == -signal.SIGSEGV
    assert re.search(r'fake_dist_bad.py", line 2 in <module>', ended.stderr)


def test_a_plugin_that_closes_the_streams_costs_nobody_theirs(tmp_path: Path):
    ended = program(tmp_path, "import os\nfor number in range(3): os.close(number)\nraise ValueError('torn')")
    assert ended.returncode == ExitCode.YES
    assert ended.stdout.startswith("ID ")
    assert "plugin 'bad' is failed: ValueError: torn" in ended.stderr


def test_a_plugin_that_forks_makes_no_second_harness(tmp_path: Path):
    ended = program(tmp_path, "import os\nif os.fork():\n  os.wait()\nAPI = 1")
    assert ended.returncode == ExitCode.YES
    assert ended.stdout.count("ID ") == 1


def test_processes_of_a_plugin_end_as_they_like(install: Install):
    code = "import multiprocessing, os\np = multiprocessing.get_context('fork').Process(target=os._exit, args=(3,))\n"
    install("good", f"{GOOD}\n{code}p.start(); p.join()\nassert p.exitcode == 3")
    assert load("good")[1]["dist-good"].status == "ok"


HEADER = "from harness.api import AlgorithmSpec, EnvironmentSpec, hookimpl\nAPI = 1\n"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return 42", "harness_algorithms gave int where a list of AlgorithmSpec is expected"),
        ("return None", "harness_algorithms gave NoneType where"),
        ("return 'dqn'", "harness_algorithms gave str where"),
        ("return {'dqn': 1}", "harness_algorithms gave dict where"),
        ("return ['dqn']", "harness_algorithms gave str in its list, not AlgorithmSpec"),
        ("yield EnvironmentSpec('x', 'X-v0')", "gave EnvironmentSpec in its list, not AlgorithmSpec"),
        ("yield AlgorithmSpec('x', 'm', '1'); yield AlgorithmSpec('x', 'm', '1')", "'x' more than once"),
        ("yield AlgorithmSpec('x', 'm', '1', summary=5)", "summary must be a text, not 5"),
        ("for i in range(10**9): yield AlgorithmSpec(f'a{i}', 'm', '1')", "describes more than 10,000 of them"),
        ("yield AlgorithmSpec('algorithms/dqn', 'm', '1')", "name must be 1 to 64 of a-z"),
        ("yield AlgorithmSpec('x', 'm', '1'); raise KeyError('late')", "KeyError: 'late'"),
        ("raise SystemExit", "it called sys.exit(None)"),
    ],
)
def test_garbage_from_a_hook_fails_its_plugin_and_leaves_nothing_registered(install: Install, body: str, error: str):
    environments = "\n@hookimpl\ndef harness_environments():\n    yield EnvironmentSpec('maze', 'Maze-v0')\n"
    install("bad", f"{HEADER}@hookimpl\ndef harness_algorithms():\n    {body}\n{environments}")
    install("good", GOOD)
    registry, plugins = load("bad", "good")
    assert plugins["dist-bad"].status == "failed"
    assert error in plugins["dist-bad"].error
    assert list(registry.algorithms) == ["good/good"]
    assert not registry.environments
    assert registry.run_finished({}) == []


def test_a_hook_with_arguments_that_the_harness_does_not_give_fails_its_plugin(install: Install):
    install("bad", HEADER + "@hookimpl\ndef harness_algorithms(config):\n    return []\n")
    _, plugins = load("bad")
    assert plugins["dist-bad"].status == "failed"
    assert "config" in plugins["dist-bad"].error


@pytest.mark.parametrize(
    ("code", "warning"),
    [
        ("@hookimpl\ndef harness_algorithm(): ...", "unknown hook harness_algorithm; did you mean harness_algorithms?"),
        ("@hookimpl\ndef shutdown(): ...", "unknown hook shutdown; it may be of a newer harness"),
        ("def harness_suites(): ...", "harness_suites is not marked @hookimpl, so it is never called"),
        ("@hookimpl(wrapper=True)\ndef harness_suites(): yield", "harness_suites is a hook wrapper"),
    ],
)
def test_hooks_that_would_never_be_called_are_reported(install: Install, code: str, warning: str):
    install("odd", HEADER + code)
    _, plugins = load("odd")
    assert plugins["dist-odd"].status == "ok"
    assert len(plugins["dist-odd"].warnings) == 1
    assert warning in plugins["dist-odd"].warnings[0]


def test_a_name_taken_twice_loads_neither_and_names_both_distributions(install: Install):
    first = install("twin", GOOD, distribution="dist-a", version="1.0")
    second = install("twin", GOOD, distribution="dist-b", version="2.1")
    for module in (first, second):
        module.write_text(f"open({str(module.with_suffix('.imported'))!r}, 'w')")
    registry, plugins = load("twin")
    for distribution in ("dist-a", "dist-b"):
        assert plugins[distribution].status == "collision"
        assert "dist-a 1.0 and by dist-b 2.1" in plugins[distribution].error
        assert f"-p no:{distribution}" in plugins[distribution].error
    assert not registry.algorithms
    assert not list(first.parent.glob("*.imported"))


def test_a_collision_is_resolved_by_leaving_one_distribution_out(install: Install):
    install("twin", ALGORITHM.format(name="a", module="a"), distribution="dist-a")
    install("twin", ALGORITHM.format(name="b", module="b"), distribution="dist-b")
    registry = Registry.load(blocked={"Dist_A"}, only={"twin"})
    assert list(registry.algorithms) == ["twin/b"]


def test_the_built_in_plugin_cannot_be_shadowed(install: Install):
    install("harness", GOOD, distribution="impostor")
    registry, plugins = load("harness")
    assert plugins["impostor"].status == "collision"
    assert plugins["rl-harness"].status == "ok"
    assert "harness/quickstart" in registry.suites
    assert not registry.algorithms


def test_a_plugin_name_that_no_id_could_start_with_fails(install: Install):
    install("Bad/Name", GOOD, distribution="dist-good")
    _, plugins = load("Bad/Name")
    assert "the name of its entry point" in plugins["dist-good"].error


def test_a_distribution_without_readable_metadata_is_a_row(install: Install):
    module = install("good", GOOD)
    (module.parent / "dist_good-1.0.dist-info" / "METADATA").unlink()
    _, plugins = load("good")
    assert plugins["unknown"].status == "ok"


@pytest.mark.parametrize("content", [b"[console_scripts]\nfoo = caf\xe9:main\n", b"[harness]\nfoo\n"])
def test_an_unreadable_file_of_another_package_stops_nothing_and_is_told(install: Install, content: bytes):
    module = install("good", GOOD)
    unrelated = module.parent / "unrelated_pkg-1.0.dist-info"
    unrelated.mkdir()
    (unrelated / "METADATA").write_text("Metadata-Version: 2.1\nName: unrelated-pkg\nVersion: 1.0\n")
    (unrelated / "entry_points.txt").write_bytes(content)
    registry, plugins = load("good")
    assert plugins["dist-good"].status == "ok"
    (warning,) = registry.plugins[0].warnings
    assert warning.startswith("no plugin of unrelated-pkg is found: its entry_points.txt: ")


def test_what_pip_left_behind_is_not_a_second_plugin(install: Install):
    module = install("good", GOOD, version="2.0")
    info = module.parent / "dist_good-2.0.dist-info"
    for name, version in (("~ist_good", "1.0"), ("~~st_good", "2.0")):
        left = shutil.copytree(info, module.parent / f"{name}-{version}.dist-info")
        (left / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-good\nVersion: {version}\n")
    registry, plugins = load("good")
    assert [plugin.version for plugin in registry.plugins if plugin.name == "good"] == ["2.0"]
    assert plugins["dist-good"].status == "ok"
    shutil.rmtree(info)
    assert "dist-good" not in load("good")[1]


def test_ctrl_c_during_loading_is_not_swallowed(install: Install):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    install("bad", "import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    with pytest.raises(KeyboardInterrupt):
        load("bad")
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def test_what_a_plugin_prints_while_it_loads_stays_off_stdout(install: Install, capfd: pytest.CaptureFixture[str]):
    install("loud", "print('hello')\nAPI = 1")
    load("loud")
    assert capfd.readouterr() == ("", "hello\n")


def test_a_heavy_import_is_reported_by_name(tmp_path: Path):
    """In a fresh process, since other tests import torch for good reasons."""
    write_distribution(tmp_path, "heavy", "import torch\nAPI = 1\n")
    (tmp_path / "torch.py").write_text("")
    program = (
        "from harness.discovery.registry import Registry\n"
        "heavy, = (p for p in Registry.load(only={'heavy'}).plugins if p.name == 'heavy')\n"
        "print(heavy.status, *heavy.warnings)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    output = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True)
    assert output.startswith("ok imports torch at import, which slows every command down")


def test_strict_loading_names_every_problem_at_once(install: Install):
    install("bad", "raise ValueError('torn')")
    install("odd", HEADER + "@hookimpl\ndef harness_algorithm(): ...")
    install("good", GOOD)
    with pytest.raises(MissingPlugin) as raised:
        Registry.load(only={"bad", "odd", "good"}, strict=True)
    message = str(raised.value)
    assert "bad (dist-bad 1.0): ValueError: torn" in message
    assert "odd (dist-odd 1.0): unknown hook harness_algorithm" in message
    assert "good" not in message
    assert raised.value.exit_code == 4


def test_strict_loading_allows_plugins_left_out_on_purpose(install: Install):
    install("bad", "raise ValueError('torn')")
    registry = Registry.load(blocked={"bad"}, only={"bad"}, strict=True)
    assert registry.plugins[-1].status in ("ok", "disabled")


def test_nothing_of_a_plugin_left_out_is_imported(install: Install):
    module = install("marker")
    marker = module.with_suffix(".imported")
    module.write_text(f"open({str(marker)!r}, 'w')")
    for choice in ({"blocked": {"marker"}}, {"blocked": {"dist_marker"}}, {"only": frozenset()}):
        registry = Registry.load(**{"only": {"marker"}, **choice})
        assert [p.status for p in registry.plugins if p.name == "marker"] == ["disabled"]
    assert not marker.exists()
    Registry.load(only={"Dist.Marker"})
    assert marker.exists()


def test_an_observer_that_does_not_return_is_told(install: Install, monkeypatch):
    monkeypatch.setattr("harness.discovery.registry.OBSERVER_SECONDS", 0.2)
    install("bad", HEADER + "@hookimpl\ndef harness_run_finished(run):\n    while True: pass\n")
    registry, _ = load("bad")
    assert registry.run_finished({}) == ["plugin 'bad': harness_run_finished: it took longer than 0.2 s"]


def test_each_observer_is_called_and_its_failure_is_its_own(install: Install):
    observer = HEADER + "seen = []\n@hookimpl\ndef harness_run_finished(run):\n    seen.append(run['key'])\n"
    install("one", HEADER + "@hookimpl\ndef harness_run_finished(run):\n    raise OSError('disk')\n")
    install("two", observer)
    install("zero", HEADER + "@hookimpl\ndef harness_run_finished():\n    raise SystemExit(1)\n")
    registry, _ = load("one", "two", "zero")
    problems = registry.run_finished({"key": "abc"})
    assert sys.modules["fake_dist_two"].seen == ["abc"]
    assert problems == [
        "plugin 'one': harness_run_finished: OSError: disk",
        "plugin 'zero': harness_run_finished: it called sys.exit(1)",
    ]
