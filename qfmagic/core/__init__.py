"""The pure part of qfmagic: values, rules and codecs, without network, clock, environment or IPython."""
