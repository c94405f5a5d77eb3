"""Settings of every method, with their defaults and why. Standard library only.

A setting that would silently do nothing is refused by `check`, because a person who set it believes it did something.
Which method has which settings: `training.engine.methods`.
"""
