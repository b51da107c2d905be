"""The games as pure functions of tensors over any leading shape, as `harness.api.GameRules` says.

Beside those functions every module has ``BOARD``, rows and columns, and ``position``, which an algorithm needs that
searches where it is evaluated: the position that looks as an observation does, with the first player to move.
"""
