"""``python -m tuner``: the command line under its other name."""

from tuner.cli import main

if __name__ == "__main__":
    main()
