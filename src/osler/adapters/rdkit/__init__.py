"""Small molecules through RDKit: reading, standardising, features, graphs, scaffolds, sameness and drawings.

`osler.modalities.molecule` is the door; each file here holds one subject and imports RDKit inside its functions.
"""
