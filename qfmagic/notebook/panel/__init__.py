"""The panel of ``%qf panel``: its state, its actions, its widget, and the table that stands for it in the document."""
