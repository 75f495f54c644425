"""With which secret: credentials, sealed for their place and never shown."""
