"""Exact Tanimoto similarity over packed bits: kernels, search, library files and diverse picks. No chemistry in
here.
"""
