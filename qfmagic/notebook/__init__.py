"""The notebook layer: the only part that knows IPython."""
