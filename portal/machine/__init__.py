"""This machine: room on its disks, private folders, liveness, separation of programs."""
