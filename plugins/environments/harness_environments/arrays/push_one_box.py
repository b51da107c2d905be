"""Push-box with one box as array functions."""

from functools import partial

from harness_environments.arrays import push_box

initial = partial(push_box.initial, boxes=1)
step, observe, state_of = push_box.step, push_box.observe, push_box.state_of
