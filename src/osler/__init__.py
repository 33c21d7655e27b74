"""Osler."""
