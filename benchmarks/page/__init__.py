"""What the labeling page costs its reader."""
