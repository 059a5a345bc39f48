"""What a run leaves on the disk, and what finds it there."""
