"""What speaks against a run: before it begins, and when it is done."""
