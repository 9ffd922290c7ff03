"""`python -m slsim`, the same as `slsim`."""

from slsim.cli import main

if __name__ == "__main__":
    main()
