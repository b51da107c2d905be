"""Recorded transitions of the rings, a module for each kind of ring."""
