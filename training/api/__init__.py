"""What programs ask of runs: the views of the REST API."""
