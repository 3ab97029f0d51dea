"""Pure functions on numpy arrays: nothing here reads a file or knows a network."""
