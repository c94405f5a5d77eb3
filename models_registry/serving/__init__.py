"""The manager of model servers: makes what is wanted run, and nothing else."""
