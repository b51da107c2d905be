"""Statistics over runs: pure functions over arrays, of NumPy and SciPy. Knows no table, no file and no figure."""
