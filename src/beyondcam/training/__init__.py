"""What training a classifier and training a segmentation network have in common."""
