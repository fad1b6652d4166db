"""The two papers' systems: networks and one training step each, readable top to bottom."""
