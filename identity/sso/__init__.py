"""Single sign-on: configurations of identity providers, and signing in with them."""
