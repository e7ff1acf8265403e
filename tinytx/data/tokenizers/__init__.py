"""From text to ids and back: one tokenizer for each way to cut a text."""
