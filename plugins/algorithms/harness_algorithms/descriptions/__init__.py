"""Descriptions of the algorithms, by family. Importing them imports nothing heavy."""
