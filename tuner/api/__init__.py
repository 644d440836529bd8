"""The public functions, and what they wire together; their names for users are those of `tuner`."""
