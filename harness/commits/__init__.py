"""Two commits side by side: the old one installed, both trained or timed in turn."""
