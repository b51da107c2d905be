"""The games as pure functions of tensors over any leading shape, as `harness.api.GameRules` says.

Beside those functions every module has ``BOARD``, rows and columns.
"""
