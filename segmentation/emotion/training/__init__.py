"""How the shipped weights were made: texts → weights, card and evaluation.

Needs the extra `train`; nothing here is imported when the product runs.
"""
