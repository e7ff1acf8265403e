"""From ids to arrays for training: rows, masks, batches."""
