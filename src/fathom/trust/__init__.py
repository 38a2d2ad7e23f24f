"""What a trained network is worth, for whom it fails, and why it answers as it does."""
