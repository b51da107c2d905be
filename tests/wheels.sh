#!/usr/bin/env bash
# Builds the wheels of all distributions into DIR, installs them into a fresh environment there, and uses them
# from an empty folder, as somebody does who has no checkout. The first step that fails ends it.
#
# usage: tests/wheels.sh DIR, with a Python that has the package `build`
set -euo pipefail

root="$(cd "$(dirname "$0")/.." && pwd)"
mkdir -p "$1"
work="$(mktemp -d "$(cd "$1" && pwd)/wheels.XXXXXX")"
trap 'rm -rf "$work"' EXIT
mkdir "$work/source" "$work/wheels" "$work/empty"
unset PYTHONPATH HARNESS_PLUGINS

step() { echo "== $*" >&2; }

step "build, from a copy without the remains of earlier builds"
tar -C "$root" --exclude=./.git --exclude=./.tox --exclude=./results --exclude=build --exclude='*.egg-info' -cf - . |
    tar -C "$work/source" -xf -
for distribution in . plugins/environments plugins/games plugins/algorithms plugins/stable_baselines3 plugins/ray plugins/slurm plugins/mujoco plugins/example; do
    python -m build --wheel --outdir "$work/wheels" "$work/source/$distribution" >"$work/build.log" 2>&1 ||
        { cat "$work/build.log" >&2; exit 1; }
done

step "look into the wheels"
python "$root/tests/wheel_contents.py" "$work"/wheels/*.whl

step "install them into a fresh environment"
python -m venv "$work/environment"
export PATH="$work/environment/bin:$PATH"
grep '==' "$root/requirements.txt" >"$work/constraints.txt"
mkdir "$work/extra" && mv "$work"/wheels/harness_{ray,slurm,mujoco}-*.whl "$work/extra"
pip install --quiet --constraint "$work/constraints.txt" "$work"/wheels/*.whl
pip install --quiet --no-deps "$work"/extra/*.whl

cd "$work/empty"
step "every plugin is well, the standard suites are there"
harness --strict-plugins plugins --json >plugins.json
python -c 'import json; bad = [p for p in json.load(open("plugins.json")) if p["status"] != "ok"]; assert not bad, bad'
harness list suites >suites.txt
for suite in quickstart tabular classic-control; do
    grep -q "^harness/$suite " suites.txt
done

step "an executor says what it lacks"
for lacking in "ray/ray needs ray" "slurm/slurm needs submitit"; do
    code=0
    harness run quickstart --executor "${lacking%%/*}" 2>refusal.txt || code=$?
    test "$code" = 4
    grep -q "$lacking" refusal.txt
done

step "an environment says what it lacks"
harness list environments >environments.txt
grep -q "^mujoco/reacher .*unavailable: needs mujoco" environments.txt

step "the example keeps the contract"
harness check example/hill-climbing

step "the example trains, and its report is written"
harness run quickstart -a example/hill-climbing -e cartpole --seeds 0 --out results/example | tee table.txt
grep -q hill-climbing table.txt
grep -q '</html>' results/example/quickstart/report/index.html
harness results ls results/example --json >runs.json
python -c 'import json; (run,) = json.load(open("runs.json"))["runs"]; assert run["status"] == "done", run'

step "a new plugin installs and keeps the contract as it stands"
harness new algorithm climber
pip install --quiet --constraint "$work/constraints.txt" ./harness-climber
harness check climber
