"""From the files in which people keep networks to model files (models/README.md)."""
