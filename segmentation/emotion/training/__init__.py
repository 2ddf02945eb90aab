"""How the shipped weights were made: texts → weights, card and evaluation.

Needs the extra `train` (all but goemotions.py); the running product imports none of it.
"""
