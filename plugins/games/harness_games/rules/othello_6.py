"""Othello on 6 x 6 cells, as functions of tensors."""

from harness_games.rules.othello import Othello

_rules = Othello(6)
BOARD, position, played_out = _rules.BOARD, _rules.position, _rules.played_out
initial, legal, apply = _rules.initial, _rules.legal, _rules.apply
to_move, outcome, observe = _rules.to_move, _rules.outcome, _rules.observe
