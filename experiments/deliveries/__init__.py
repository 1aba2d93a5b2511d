"""What a running program sends: the portal's side of the client."""
