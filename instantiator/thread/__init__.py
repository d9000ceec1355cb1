"""A processing from dataset to record, and its repetition."""
