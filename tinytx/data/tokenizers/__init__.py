"""Text to ids and back: a tokenizer for each way to cut a text."""
