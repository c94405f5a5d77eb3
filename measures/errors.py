class NoData(ValueError):
    """Nothing to measure: every outcome was missing or excluded. A page shows a dash, never a number."""
