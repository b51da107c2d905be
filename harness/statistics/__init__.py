"""Statistics over runs: pure functions over arrays, of NumPy alone. Knows no table, no file and no figure."""
