"""Tests on one Ray cluster of three nodes, which is started once for all of them."""
