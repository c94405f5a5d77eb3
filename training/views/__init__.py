"""What answers the pages of data, runs, models and the loop."""
