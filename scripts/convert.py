#!/usr/bin/env python3
"""Makes a model file for mnv2-classify of any MobileNet classifier that people have."""

import sys

from mnv2.convert.command import main

if __name__ == "__main__":
    sys.exit(main())
