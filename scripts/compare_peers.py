#!/usr/bin/env python3
"""Measures this engine and other engines that the machine has on the same weights, in turn in one run."""

import sys

from mnv2.peers.command import main

if __name__ == "__main__":
    sys.exit(main())
