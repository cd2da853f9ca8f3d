"""What has changed on disk, what it means, and who is told."""
