"""`python -m beyondcam`, and what torchrun starts."""

from beyondcam.cli import main

main()
