"""A funnel over a library of molecules of any size: `osler screen`."""
