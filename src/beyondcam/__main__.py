"""`python -m beyondcam`."""

from beyondcam.cli import main

main()
