"""Parallel algorithms: roles written once, over a handful of operations, and the backends that carry these out."""
