"""The version, by itself: every layer may say it without importing the package's front."""

__version__ = "0.1.0"
