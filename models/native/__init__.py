"""The native part: two libraries of C, the step of the engine and the layer of training, and their one loader.

They are compiled when the package is installed, once for each kind of processor; all variants of the step give the
same bytes. A call holds no lock of Python's.
"""
