"""What rightsholders read of their own: repertoire, status of each use, all that is stored."""
