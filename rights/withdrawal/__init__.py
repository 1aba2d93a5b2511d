"""What follows when a permission ends: what it takes away, the holds, the case until its end."""
