"""From stored runs to numbers: tables, curves, metrics and intervals. Knows no figure and no file format."""
