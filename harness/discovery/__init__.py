"""Plugins: found, loaded one by one, asked in a child process, and resolved by name."""
