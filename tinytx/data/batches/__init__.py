"""Ids to what a model is trained on: rows, masks, and batches by step."""
