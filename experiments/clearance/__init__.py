"""What a run or a model may be used for, and why it may not be started or loaded."""
