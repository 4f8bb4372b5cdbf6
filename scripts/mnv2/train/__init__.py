"""Training a classifier on folders of images."""
