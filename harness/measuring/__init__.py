"""The process of a trial: environments with the meter around them, clock, evaluation, random streams."""
