"""The proof that overlap N means N, whatever races, dies, retries or comes late. `make prove-overlap`."""
