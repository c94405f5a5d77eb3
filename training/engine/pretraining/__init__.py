"""Language models from raw text: on from a base or from scratch, with its tokenizer or one trained for the texts."""
