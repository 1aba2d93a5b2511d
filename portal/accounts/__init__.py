"""Who logs in: passwords, second factors, sessions, known devices, counted tries."""
