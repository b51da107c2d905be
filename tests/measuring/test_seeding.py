import json
import random
import subprocess
import sys
from itertools import combinations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.contract.specs import EnvironmentSpec
from harness.measuring import seeding
from harness.measuring.description import TrialDescription
from harness.measuring.training import Training, seed_libraries

TAGS = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 1_000)), max_size=3)


@given(seed=st.integers(0, 2**63), tags=TAGS)
def test_integers_fit_a_signed_32_bit_seed_and_repeat(seed, tags):
    assert 0 <= seeding.integer(seed, *tags) < 2**31
    assert seeding.integer(seed, *tags) == seeding.integer(seed, *tags)
    assert seeding.stream(seed, *tags).entropy == seeding.stream(seed, *tags).entropy


def test_values_are_frozen():
    assert seeding.integer(0, "environment", 0) == 1691794398
    assert seeding.integer(1, "evaluation", 2, 3) == 1877488601
    assert seeding.of_environment(0, "cartpole") == 262198182
    assert np.random.default_rng(seeding.stream(0, "policy")).integers(1_000, size=3).tolist() == [1, 389, 315]


def test_another_process_has_the_same_streams():
    code = "from harness.measuring import seeding; print([seeding.integer(s, 'policy', 1) for s in range(5)])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert json.loads(printed) == [seeding.integer(seed, "policy", 1) for seed in range(5)]


def test_streams_of_different_names_or_seeds_differ():
    names = [("environment", k) for k in range(8)] + [("evaluation", i, k) for i in range(8) for k in range(8)]
    names += [("policy",), ("batches",), ("initialisation",), ("12",), (1, 2), ("1", "2"), (12,)]
    integers = [seeding.integer(seed, *name) for seed in range(10) for name in names]
    assert len(set(integers)) == len(integers)


def test_no_stream_of_a_run_is_that_of_its_seed_on_another_environment():
    """Libraries' global generators, the environment's, the policy's, evaluation's: a seed is lucky on one only."""

    def streams(name):
        trained = Training(TrialDescription(EnvironmentSpec(name, "CartPole-v1"), target="math"))
        glob = random.random(), np.random.random(), float(torch.rand(()))  # noqa: NPY002, which libraries draw from
        trial = trained.trial
        starts = trial.make_env().reset()[0].tolist()
        drawn = trial.rng.random(), float(torch.rand((), generator=trial.generators()[0]))
        return [*glob, trial.seed("x"), *drawn, *starts]

    assert streams("one") == streams("one")
    assert not set(streams("one")) & set(streams("two"))


def test_neighbouring_seeds_give_unlike_generators():
    draws = [np.random.default_rng(seeding.stream(seed, "policy")).random(2_000) for seed in range(6)]
    for first, second in combinations(draws, 2):
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.1  # 4.5 standard errors


def test_a_trial_pins_what_would_make_a_gpu_give_other_numbers(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    threads, state = torch.get_num_threads(), torch.get_rng_state()

    seed_libraries(0, threads)

    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.allow_tf32
    torch.set_rng_state(state)
