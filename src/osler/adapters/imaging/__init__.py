"""Readers of pictures and scans: one format family per file, `scan.read` as the one front."""
