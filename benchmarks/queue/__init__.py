"""How fast the labeling queue is, through its public contract. `make bench-queue`."""
