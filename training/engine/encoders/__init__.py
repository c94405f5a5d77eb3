"""Encoders (the BERT family) that label texts, or the words in them, and say what they found in texts nobody judged."""
