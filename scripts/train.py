#!/usr/bin/env python3
"""Trains a classifier on a folder with a folder of images for each class, and makes it a model file."""

import sys

from mnv2.train.command import main

if __name__ == "__main__":
    sys.exit(main())
