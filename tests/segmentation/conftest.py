"""The generator, loaded by path: tests are not a package."""

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def generator():
    path = Path(__file__).with_name("generator.py")
    spec = importlib.util.spec_from_file_location("segment_generator", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["segment_generator"] = module
    spec.loader.exec_module(module)
    return module
