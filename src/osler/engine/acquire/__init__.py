"""What to make or measure next: `osler next`."""
