"""What people object to, and who judges it: flags of rightsholders, and hearing what is judged."""
