"""Live chat at the gateway: replies stream from there, so that no web thread waits for a model."""
