"""The command line itself: options that act before anything loads, exit codes, no traceback."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.commands import cli, common
from harness.contract.errors import ExitCode, HarnessError
from support.fake_distributions import ALGORITHM, Install
from support.results import Run, write_runs

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def marker(install: Install) -> Path:
    """A plugin that leaves a file behind when it is imported; returns that file."""
    module = install("marker", distribution="dist-marker")
    file = module.with_suffix(".imported")
    module.write_text(f"open({str(file)!r}, 'w')\n" + ALGORITHM.format(name="marked", module="m"))
    return file


def fails_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command that raises."""

    def fail(self: common.GlobalOptions) -> None:
        raise error

    monkeypatch.setattr(common.GlobalOptions, "load_registry", fail)
    return cli.main(["plugins"])


@pytest.mark.parametrize(
    "arguments",
    [["--no-plugins"], ["-p", "no:marker"], ["-p", "no:dist_marker"], ["-p", "no:Dist-Marker", "-p", "no:x"]],
)
def test_options_that_leave_a_plugin_out_act_before_it_is_imported(marker: Path, arguments: list[str]):
    assert cli.main([*arguments, "plugins"]) == 0
    assert cli.main([*arguments, "list", "algorithms"]) == 0
    assert not marker.exists()


@pytest.mark.parametrize(("value", "imported"), [("", False), ("a, b", False), ("a,marker", True)])
def test_harness_plugins_is_the_list_of_what_may_be_imported(
    marker: Path, monkeypatch: pytest.MonkeyPatch, value: str, imported: bool
):
    monkeypatch.setenv("HARNESS_PLUGINS", value)
    assert cli.main(["plugins"]) == 0
    assert marker.exists() == imported


def test_no_plugins_wins_over_harness_plugins(marker: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HARNESS_PLUGINS", "marker")
    assert cli.main(["--no-plugins", "plugins"]) == 0
    assert not marker.exists()


def test_an_option_that_matches_no_plugin_is_mentioned(capsys: Capture):
    assert cli.main(["-p", "no:typo", "--no-plugins", "plugins", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "harness: no plugin or distribution named 'typo' is installed\n"
    assert json.loads(captured.out)[0]["name"] == "harness"


@pytest.mark.parametrize("value", ["marker", "no:", "no:harness", "no:rl-harness"])
def test_a_plugin_option_that_cannot_be_meant_is_a_usage_error(value: str, capsys: Capture):
    assert cli.main(["-p", value, "plugins"]) == ExitCode.USAGE
    assert f"-p {value}: " in capsys.readouterr().err


def test_strict_plugins_ends_with_the_code_for_missing(
    install: Install, monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    install("bad", "raise ValueError('torn')")
    monkeypatch.setenv("HARNESS_PLUGINS", "bad")
    assert cli.main(["--strict-plugins", "list", "suites"]) == ExitCode.MISSING
    captured = capsys.readouterr()
    assert "bad (dist-bad 1.0): ValueError: torn" in captured.err
    assert captured.out == ""
    assert cli.main(["list", "suites"]) == ExitCode.YES
    assert "plugin 'bad' is failed: ValueError: torn; see `harness plugins`" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"]])
def test_help_and_version_import_no_command_and_no_plugin(marker: Path, arguments: list[str], capsys: Capture):
    assert cli.main(arguments) == 0
    assert "harness" in capsys.readouterr().out
    assert not marker.exists()


def test_help_names_every_command(capsys: Capture):
    cli.main(["--help"])
    printed = capsys.readouterr().out
    assert all(f"\n  {name} " in printed for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_exists_and_has_its_own_help(name: str, capsys: Capture):
    assert cli.main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: harness {name}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lst"], "No command 'lst'. Did you mean 'list'?"),
        (["--jsn", "plugins"], "No such option"),
        (["list", "nonsense"], "'nonsense' is not one of"),
        (["list"], "Missing argument"),
    ],
)
def test_wrong_usage_is_explained_with_exit_code_2(arguments: list[str], message: str, capsys: Capture):
    assert cli.main(arguments) == ExitCode.USAGE
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("code", ExitCode)
def test_an_error_ends_with_its_own_exit_code(code: ExitCode, monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    error = HarnessError("what and how")
    error.exit_code = code
    assert fails_with(error, monkeypatch) == code
    assert capsys.readouterr() == ("", "harness: what and how\n")


def test_a_package_that_is_not_installed_ends_with_the_code_for_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    assert fails_with(ModuleNotFoundError(name="pyarrow"), monkeypatch) == ExitCode.MISSING
    assert f"'pyarrow' is missing; try: {sys.executable} -m pip install" in capsys.readouterr().err
    assert fails_with(ModuleNotFoundError(name="harness.nowhere"), monkeypatch) == ExitCode.DEFECT


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    assert fails_with(KeyboardInterrupt(), monkeypatch) == 130
    assert capsys.readouterr().err.strip() == "harness: interrupted"


def test_a_defect_shows_no_traceback_unless_asked_and_is_never_an_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
):
    assert fails_with(ZeroDivisionError("oops"), monkeypatch) == ExitCode.DEFECT
    quiet = capsys.readouterr().err
    assert "ZeroDivisionError: oops" in quiet
    assert "Traceback" not in quiet
    monkeypatch.setenv("HARNESS_DEBUG", "1")
    assert fails_with(ZeroDivisionError("oops"), monkeypatch) == ExitCode.DEFECT
    assert "Traceback" in capsys.readouterr().err


def test_a_command_that_calls_sys_exit_is_a_defect_whatever_its_code(monkeypatch: pytest.MonkeyPatch, capsys: Capture):
    assert fails_with(SystemExit(0), monkeypatch) == ExitCode.DEFECT
    assert "SystemExit" in capsys.readouterr().err


def test_a_reader_that_stops_reading_is_no_defect():
    program = "import sys; from harness.commands.cli import main; sys.exit(main(['--no-plugins', 'list', 'suites']))"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate()
    assert (process.returncode, errors) == (ExitCode.BROKEN_PIPE, b"")


@pytest.mark.parametrize("arguments", [["list", "nothings"], ["show", "algorithms/nothing"]])
def test_nobody_reading_what_went_wrong_does_not_make_it_an_answer(arguments: list[str]):
    program = f"import sys; from harness.commands.cli import main; sys.exit(main({arguments!r}))"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    process.stderr.close()
    assert process.wait() == ExitCode.BROKEN_PIPE


@pytest.mark.parametrize("option", ["--time-limit", "--memory-limit", "--gpu-share"])
def test_a_limit_that_is_no_number_is_refused(option: str, capsys: Capture):
    assert cli.main(["run", "quickstart", option, "nan"]) == ExitCode.USAGE
    assert "nan" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path, capsys: Capture):
    results = write_runs(tmp_path / "results", [Run()])
    (tmp_path / "file").touch()
    assert cli.main(["report", str(results), "--out", str(tmp_path / "file")]) == ExitCode.USAGE
    assert "the report cannot be written there" in capsys.readouterr().err


def test_results_show_themselves_in_a_line(tmp_path: Path):
    results = harness.load(write_runs(tmp_path / "results", [Run()]))
    assert repr(results).endswith("1 runs: 1 done)")


def test_a_ctrl_c_while_the_program_is_being_imported_is_an_interruption() -> None:
    interrupted = (
        "import builtins, runpy\n"
        "def importing(name, *more, real=builtins.__import__, **named):\n"
        "    if name == 'harness.commands.cli': raise KeyboardInterrupt\n"
        "    return real(name, *more, **named)\n"
        "builtins.__import__ = importing\n"
        "runpy.run_module('harness', run_name='__main__')\n"
    )
    ended = subprocess.run([sys.executable, "-c", interrupted], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (ExitCode.INTERRUPTED, "harness: interrupted\n")


def test_a_sigterm_while_the_executor_is_made_interrupts(monkeypatch: pytest.MonkeyPatch, capsys):
    def joining(*given: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda number, frame: pytest.fail("nobody has prepared for it"))
    monkeypatch.setattr("harness.commands.run.where_to_run", joining)
    try:
        assert cli.main(["run", "quickstart"]) == ExitCode.INTERRUPTED
    finally:
        signal.signal(signal.SIGTERM, before)

    assert capsys.readouterr().err.strip() == "harness: interrupted"
