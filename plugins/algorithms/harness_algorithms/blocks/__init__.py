"""Formulas and records that several algorithms share: functions over arrays, never control flow."""
