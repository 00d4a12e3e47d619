"""
What is wrong with a saved notebook as a document: answers changed by hand, questions changed since, secrets, ...

:func:`qfmagic.audit.audit.audit` looks at a notebook that was read; nothing in this package runs anything, asks a
service, or knows IPython.
"""
