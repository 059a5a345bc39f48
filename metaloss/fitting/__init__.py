"""From data with doubtful labels to a classifier, in one call."""
