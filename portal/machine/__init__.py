"""This machine: room on its disks, private folders, signs of life, programs kept apart."""
