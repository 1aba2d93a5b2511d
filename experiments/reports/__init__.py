"""What do people write down? Markdown with charts, tables and players in it."""
