"""What is recorded of a real training step, to differentiate it afterwards."""
