"""The tests of files with the bytes in an object store (npm's s3rver)."""
from test_files import *  # noqa: F401, F403

OBJECTS = True
