"""What others would use instead: each a program that stands alone."""
