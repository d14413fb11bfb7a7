"""The native part: one call advances many sequences by many steps, and holds no lock of Python's.

refrain.c is compiled when the package is installed, once for each kind of processor; all kinds give the same bytes.
"""
