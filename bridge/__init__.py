"""The agent of a bridge, which runs in a customer's network: `python -m bridge --creds FILE --allow NETWORK`.

It needs no database, key or setting of the service, only its credential. Of the service's code it uses `core.outbound`.
"""

VERSION = "0.1.0"
