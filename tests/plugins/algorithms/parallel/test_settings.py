"""Settings of the parallel algorithms that make no sense are refused, each by its name."""

import pytest

from harness.discovery.config import ConfigError, resolve_config
from harness_algorithms import a3c, dppo, dppo_data, gorila


@pytest.mark.parametrize(
    ("module", "settings"),
    [
        (dppo, {"target_kl": -1.0}),
        (dppo, {"target_kl": 0.0}),
        (dppo, {"beta": -1.0}),
        (dppo, {"hinge": -1.0}),
        (dppo, {"value_weight": -0.5}),
        (dppo, {"max_gradient_norm": 0.0}),
        (dppo_data, {"value_weight": -0.5}),
        (dppo_data, {"entropy_weight": -0.1}),
        (dppo_data, {"max_gradient_norm": -1.0}),
        (a3c, {"rms_epsilon": 0.0}),
        (a3c, {"value_weight": -0.5}),
        (a3c, {"entropy_weight": -0.1}),
        (a3c, {"max_gradient_norm": 0.0}),
        (gorila, {"huber_threshold": -1.0}),
        (gorila, {"max_staleness_seconds": 0.0}),
        (gorila, {"loss_deviations": 0.0}),
    ],
    ids=lambda told: "-".join(map(str, *told.items())) if isinstance(told, dict) else told.__name__.rpartition(".")[2],
)
def test_a_number_below_what_makes_sense_is_refused_by_name(module, settings):
    (name,) = settings

    with pytest.raises(ConfigError, match=f"{name}: must be greater than"):
        resolve_config(module.Config, settings)


def test_what_is_wrong_with_several_settings_is_said_without_a_name_before_it():
    with pytest.raises(ConfigError) as refusal:
        resolve_config(dppo.Config, {"batch_size": 10, "workers": 4})

    assert str(refusal.value).endswith("\n  batch_size: 10 steps cannot be shared equally by workers = 4")
