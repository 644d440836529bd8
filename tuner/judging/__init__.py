"""Statistics of a study's results, and their sentences: intervals, ties, confirmation, overtuning."""
