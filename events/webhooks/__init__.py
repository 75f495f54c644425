"""Organization webhooks: who is told of what, where, and with which secret it is signed."""
