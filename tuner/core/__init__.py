"""Values and ports: the nouns every other room speaks in; no input or output."""
