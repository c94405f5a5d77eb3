"""What the pages show: rows made of runs and models, without a request."""
