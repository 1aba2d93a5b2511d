"""What follows when a permission ends: what is lost, the holds, and the case until it is closed."""
