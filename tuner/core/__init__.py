"""Values and ports, used by all other packages; no input or output."""
