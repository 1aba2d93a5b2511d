"""What a rightsholder reads of their own: the repertoire, each use's status, all that is kept."""
