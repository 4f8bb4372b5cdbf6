#!/usr/bin/env python3
"""Draws images of 14 kinds of figures and pages into folders named after them, to train a classifier on and to test it."""

import sys

from mnv2.figures.command import main

if __name__ == "__main__":
    sys.exit(main())
