"""What holds for every test."""

from hypothesis import settings

# The first example may compile kernels, and other tests share the cores: no example is timed.
settings.register_profile("house", deadline=None)
settings.load_profile("house")
