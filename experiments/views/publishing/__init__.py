"""Pages of published models: for their owners, for rights admins, for everybody."""
