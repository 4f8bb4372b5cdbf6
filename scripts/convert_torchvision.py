#!/usr/bin/env python3
"""Writes a model file from torchvision's weights or a checkpoint; convert() does it with a torch.nn.Module."""

import sys

from mnv2.convert.architecture import ConversionError
from mnv2.convert.module import convert
from mnv2.convert.preprocessing import PreprocessingWishes
from mnv2.convert.torchvision_command import main

__all__ = ["ConversionError", "PreprocessingWishes", "convert", "main"]

if __name__ == "__main__":
    sys.exit(main())
