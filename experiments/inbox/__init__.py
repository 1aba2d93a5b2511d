"""What a person is told, in the portal and by mail, and what happened while they were away."""
