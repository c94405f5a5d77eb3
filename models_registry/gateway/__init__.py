"""The door for applications: OpenAI-compatible, its own process, every answer stored before it is given."""
