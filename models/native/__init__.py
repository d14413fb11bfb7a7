"""Two libraries of C and their one loader, which asks the processor what it runs.

They are compiled when the package is installed, once for each kind of processor; all variants of the step give the
same bytes. A call holds no lock of Python's.
"""
