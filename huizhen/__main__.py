"""`python -m huizhen` is `huizhen`."""

from huizhen.cli import main

if __name__ == "__main__":
    main()
