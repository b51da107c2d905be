"""From numbers to a page: figures, sheets and the report."""
