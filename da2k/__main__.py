"""`python -m da2k`."""

from da2k.cli import main

if __name__ == "__main__":
    main()
