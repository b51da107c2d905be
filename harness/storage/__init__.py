"""The results folder: its files, who may write them, and reading them without trust."""
