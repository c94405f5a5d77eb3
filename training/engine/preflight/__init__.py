"""What can be known of a run before it costs a second of a GPU: its rows as token ids, their faults, memory and time.

Tokenizer only. `python -m training.engine.preflight <run directory>` reads spec.json, data/ and `preflight-request.json` and writes
`preflight.json`; it encodes with the same functions as training (`training.engine.rows`), so the counts are those of the run.
"""
