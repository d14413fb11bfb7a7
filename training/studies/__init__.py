"""Experiments that show how recurrent networks work: `refrain study`.

Each study is a module with three functions: `measure` runs the experiment and gives its figures as plain numbers,
`draw` makes a picture of them, `table` a few lines of text.
"""
