"""The loop in front of a person: real processes, a real small model, simulated annotators, everything over HTTP."""
